//! The floors of the house: a folder of `src/` imports only from folders that come earlier in the
//! list of `src/lib.rs`, and no two files of a folder import each other in a circle.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The folders in their order, and the files of `src/`, by module path.
struct House {
    floors: Vec<String>,
    /// Module path (`correlate::engine`) and what its code names (`crate::…` paths, without `crate::`).
    files: BTreeMap<String, BTreeSet<String>>,
}

#[test]
fn imports_between_folders_run_down_only() {
    let wrong = upward(&House::read());
    assert!(wrong.is_empty(), "imports that run up:\n{}", wrong.join("\n"));
}

#[test]
fn no_files_of_a_folder_import_each_other_in_a_circle() {
    let circles = circles(&House::read());
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n"));
}

#[test]
fn no_files_of_xtask_import_each_other_in_a_circle() {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/src");
    let circles = circles_anywhere(&House::read_from(&xtask));
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n"));
}

#[test]
fn every_folder_stands_in_the_list() {
    let house = House::read();
    let folders: BTreeSet<&str> = house.files.keys().map(|path| floor(path)).collect();
    let listed: BTreeSet<&str> = house.floors.iter().map(String::as_str).collect();
    assert_eq!(folders, listed);
}

#[test]
fn an_import_that_runs_up_is_found_with_both_names() {
    let mut house = House::read();
    house.files.entry("model::task".into()).or_default().insert("render::human::Style".into());
    assert_eq!(upward(&house), ["model::task imports render::human::Style"]);
}

#[test]
fn a_circle_is_found() {
    let mut house = House::read();
    house.files.entry("model::time".into()).or_default().insert("model::input::Input".into());
    let found = circles(&house);
    assert!(found.iter().any(|circle| circle.contains("model::time")), "{found:?}");
}

#[test]
fn files_and_functions_are_short() {
    let mut long = Vec::new();
    for (path, text) in sources() {
        let name = path.display();
        let lines = text.lines().count();
        if lines > 500 && !is_table(&path) {
            long.push(format!("{name}: {lines} lines"));
        }
        long.extend(
            long_functions(&text).into_iter().map(|function| format!("{name}: {function}")),
        );
    }
    assert!(long.is_empty(), "too long:\n{}", long.join("\n"));
}

/// `println!` and its kin abort where nobody reads; `sink/speak.rs` alone writes to the two streams.
#[test]
fn one_file_speaks() {
    const OTHERS: [&str; 7] =
        ["println!", "eprintln!", "print!(", "eprint!(", "dbg!(", "stdout().lock", "stderr().lock"];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let code = code(&text);
        let found = OTHERS.into_iter().filter(|word| code.contains(word));
        let speaks = path.ends_with("src/sink/speak.rs");
        wrong.extend(found.filter(|_| !speaks).map(|word| format!("{}: {word}", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files that are one table: they may be as long as it is.
fn is_table(path: &Path) -> bool {
    const TABLES: [&str; 2] = ["src/probe/table.rs", "src/model/signal_name.rs"];
    TABLES.iter().any(|table| path.ends_with(table))
}

/// Functions of more than 80 lines that do not say why in a comment with the word `long`.
fn long_functions(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let head =
            ["fn ", "pub fn ", "pub(super) fn ", "pub(crate) fn ", "async fn ", "pub async fn "];
        if !head.iter().any(|head| code.starts_with(head)) {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        let Some(length) = lines[start..].iter().position(|line| *line == end) else { continue };
        let docs =
            lines[..start].iter().rev().take_while(|line| line.trim_start().starts_with("//"));
        let excused = docs.into_iter().any(|line| line.contains("Long:"));
        if length + 1 > 80 && !excused {
            found.push(format!("line {}: a function of {} lines", start + 1, length + 1));
        }
    }
    found
}

fn floor(path: &str) -> &str {
    path.split("::").next().unwrap_or(path)
}

fn upward(house: &House) -> Vec<String> {
    let height = |name: &str| house.floors.iter().position(|floor| floor == name);
    let mut wrong = Vec::new();
    for (file, names) in &house.files {
        for name in names {
            if height(floor(name)) > height(floor(file)) {
                wrong.push(format!("{file} imports {name}"));
            }
        }
    }
    wrong
}

/// Circles among the files of one folder. A folder's `mod.rs` counts as a file.
fn circles(house: &House) -> Vec<String> {
    circles_of(house, |file, name| floor(name) == floor(file))
}

/// Circles among all files.
fn circles_anywhere(house: &House) -> Vec<String> {
    circles_of(house, |_, _| true)
}

fn circles_of(house: &House, counts: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let imports = |file: &str| -> BTreeSet<&str> {
        let names = house.files[file].iter().filter(|name| counts(file, name));
        names.filter_map(|name| house.file_of(name)).filter(|other| *other != file).collect()
    };
    let edges: BTreeMap<&str, BTreeSet<&str>> =
        house.files.keys().map(|file| (file.as_str(), imports(file))).collect();
    let mut found = Vec::new();
    for start in edges.keys() {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&str> = edges[start].iter().copied().collect();
        while let Some(file) = next.pop() {
            if file == *start {
                found.push(format!("{start} reaches itself by {seen:?}"));
                break;
            }
            if seen.insert(file) {
                next.extend(&edges[file]);
            }
        }
    }
    found
}

impl House {
    fn read() -> Self {
        let lib = fs::read_to_string(src().join("lib.rs")).expect("lib.rs");
        let floors =
            lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
        let floors = floors.map(str::to_owned).collect();
        Self { floors, ..Self::read_from(&src()) }
    }

    fn read_from(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        for (path, text) in sources_in(root) {
            let module = module_path(root, &path);
            if module != "lib" && module != "main" && module != "testing" {
                files.insert(module.clone(), names(&code(&text), &module));
            }
        }
        Self { floors: Vec::new(), files }
    }

    /// The file that holds what a path names.
    fn file_of(&self, name: &str) -> Option<&str> {
        let mut name = name;
        loop {
            if let Some((file, _)) = self.files.get_key_value(name) {
                return Some(file);
            }
            name = name.rsplit_once("::")?.0;
        }
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<(PathBuf, String)> {
    sources_in(&src())
}

fn sources_in(root: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

fn module_path(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).expect("below src").with_extension("");
    let path = path.to_str().expect("UTF-8").replace('/', "::");
    path.strip_suffix("::mod").map_or_else(|| path.clone(), str::to_owned)
}

/// Without tests and comments: a test may reach wherever it needs to.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text);
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Every `crate::…` path in `code`, use trees flattened; `super::` and `self::` resolved.
fn names(code: &str, module: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (start, _) in code.match_indices("crate::") {
        flatten("", &code[start + "crate::".len()..], &mut found);
    }
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    for (start, _) in code.match_indices("super::") {
        if !parent.is_empty() {
            flatten(&format!("{parent}::"), &code[start + "super::".len()..], &mut found);
        }
    }
    found
}

/// Reads one use tree (`a::{b, c::d}`) from the start of `text`; gives what is behind it.
fn flatten<'a>(prefix: &str, text: &'a str, found: &mut BTreeSet<String>) -> &'a str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let (path, mut rest) = text.split_at(end.unwrap_or(text.len()));
    let full = format!("{prefix}{path}");
    if !rest.starts_with('{') {
        found.insert(full.trim_end_matches("::self").trim_end_matches("::").to_owned());
        return rest;
    }
    rest = &rest[1..];
    loop {
        rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix('}') {
            return behind;
        }
        rest = flatten(&full, rest, found).trim_start();
        if let Some(name) = rest.strip_prefix("as ") {
            rest = name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').trim_start();
        }
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind,
            None if rest.starts_with('}') => {}
            // No use tree after all.
            None => return rest,
        }
    }
}
