//! Reads what `dump.rs` has written.
use std::collections::{BTreeMap, BTreeSet};

use whybus::probe::btf::{Param, Types};

/// The facts of one kernel.
#[derive(Default)]
pub struct Stored {
    pub release: String,
    /// As `/proc/version` ends.
    pub version: String,
    helpers: BTreeMap<String, bool>,
    modules: BTreeMap<String, String>,
    /// Offset in bytes by struct and path; a struct this kernel lacks has no path.
    structs: BTreeMap<String, BTreeMap<String, u32>>,
    /// Embedded structs whose members are listed, as `struct.path`.
    opened: BTreeSet<String>,
    /// Structs that have no members.
    hollow: BTreeSet<String>,
    /// Values by enum and word.
    enums: BTreeMap<String, BTreeMap<String, u32>>,
    /// Of the kernel itself; `None` where it has none, or a module has it.
    functions: BTreeMap<String, Option<Vec<Param>>>,
}

impl Stored {
    pub fn parse(text: &str) -> Self {
        let mut stored = Self::default();
        let mut of = String::new();
        for (number, line) in text.lines().enumerate() {
            let bad = || -> ! { panic!("line {}: {line}", number + 1) };
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(member) = line.strip_prefix("  ") {
                let mut words = member.split(' ');
                let (Some(path), Some(offset)) = (words.next(), words.next()) else { bad() };
                let Ok(offset) = offset.parse() else { bad() };
                if let Some((outer, _)) = path.rsplit_once('.') {
                    stored.opened.insert(format!("{of}.{outer}"));
                }
                stored.structs.entry(of.clone()).or_default().insert(path.to_owned(), offset);
                continue;
            }
            let (Some((word, rest)), true) = (line.split_once(' '), !line.starts_with(' ')) else {
                bad()
            };
            match (word, rest.split_once(' ')) {
                ("release", _) => stored.release = rest.to_owned(),
                ("version", _) => stored.version = rest.to_owned(),
                ("helper", Some((name, has))) => {
                    stored.helpers.insert(name.to_owned(), has == "yes");
                }
                ("module", Some((name, state))) => {
                    stored.modules.insert(name.to_owned(), state.to_owned());
                }
                ("struct", name) => {
                    let (name, size) = name.unwrap_or((rest, ""));
                    of = name.to_owned();
                    if size == "0" {
                        stored.hollow.insert(of.clone());
                    }
                    stored.structs.entry(of.clone()).or_default();
                }
                ("enum", Some((name, words))) => {
                    let words = words.split(' ').map(|word| {
                        let (word, value) = word.split_once('=').unwrap_or_else(|| bad());
                        (word.to_owned(), value.parse().unwrap_or_else(|_| bad()))
                    });
                    stored.enums.insert(name.to_owned(), words.collect());
                }
                ("function", _) => {
                    let (name, params) = prototype(rest).unwrap_or_else(|| bad());
                    stored.functions.insert(name, params);
                }
                _ => bad(),
            }
        }
        stored
    }

    pub fn helper(&self, name: &str) -> bool {
        *self.helpers.get(name).unwrap_or_else(|| panic!("no helper {name} in the stored facts"))
    }

    /// `built-in`, `module` or `absent`.
    pub fn module(&self, name: &str) -> &str {
        self.modules.get(name).unwrap_or_else(|| panic!("no module {name} in the stored facts"))
    }

    pub fn knows_struct(&self, name: &str) -> bool {
        self.structs.contains_key(name)
    }

    /// Whether the members along `path` are listed as deep as it goes, or it leads nowhere.
    pub fn knows_inside(&self, root: &str, path: &str) -> bool {
        path.match_indices('.').all(|(dot, _)| {
            let outer = &path[..dot];
            let has = self.structs.get(root).is_some_and(|paths| paths.contains_key(outer));
            !has || self.opened.contains(&format!("{root}.{outer}"))
        })
    }

    pub fn knows_function(&self, name: &str) -> bool {
        self.functions.contains_key(name)
    }
}

impl Types for Stored {
    fn offset(&self, root: &str, path: &str) -> Option<u32> {
        self.structs.get(root)?.get(path).copied()
    }

    fn is_hollow(&self, name: &str) -> bool {
        self.hollow.contains(name)
    }

    fn enumerator(&self, root: &str, name: &str) -> Option<u32> {
        self.enums.get(root)?.get(name).copied()
    }

    fn params(&self, name: &str) -> Option<Vec<Param>> {
        self.functions.get(name)?.clone()
    }
}

/// `name absent`, `name(struct vm_fault *vmf, unsigned long flags) -> int`, and the same of a module.
fn prototype(text: &str) -> Option<(String, Option<Vec<Param>>)> {
    if let Some(name) = text.strip_suffix(" absent") {
        return Some((name.to_owned(), None));
    }
    let (name, rest) = text.split_once('(')?;
    if let Some((name, _)) = name.split_once(" of ") {
        return Some((name.to_owned(), None));
    }
    let (params, _) = rest.rsplit_once(") -> ")?;
    let params = params.split(", ").filter(|param| !param.is_empty()).map(|param| {
        let at = param.rfind([' ', '*']).map_or(0, |at| at + 1);
        let (of, name) = param.split_at(at);
        let target = of.strip_prefix("struct ").and_then(|of| of.strip_suffix(" *"));
        let points_to = target.filter(|target| !target.contains('*')).map(str::to_owned);
        Param { name: name.to_owned(), points_to }
    });
    Some((name.to_owned(), Some(params.collect())))
}
