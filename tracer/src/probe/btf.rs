//! Reads kernel BTF: where a struct's field lies, what a function takes. Pure: bytes in, numbers
//! out.
//!
//! Keeps the bytes and the ids of what was asked for, nothing else: a whole type graph of a
//! vmlinux costs tens of MiB and, under emulation, a second.
//! Format: Documentation/bpf/btf.rst.
use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};

const MAGIC: u16 = 0xeb9f;

/// Anonymous structs and unions within one another, and members looked at in all, for one name.
const DEEPEST: u32 = 8;
const MEMBERS: u32 = 1 << 16;
/// include/linux/kallsyms.h KSYM_NAME_LEN
const LONGEST_NAME: usize = 512;

mod kind {
    pub const PTR: u32 = 2;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC: u32 = 12;
    pub const FUNC_PROTO: u32 = 13;
    pub const TYPE_TAG: u32 = 18;
}

/// The BTF of one kernel, indexed for the names it was opened with.
pub struct Btf {
    data: Vec<u8>,
    strings: usize,
    /// Where each type's record starts in `data`, by type id; id 0 is `void`.
    types: Vec<u32>,
    /// Structs, enums and functions asked for, by name. Several types may share one.
    ids: HashMap<String, Vec<u32>>,
}

/// One parameter of a function: its name, and the struct it points to, if it does.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Param {
    pub name: String,
    pub points_to: Option<String>,
}

/// Where the types of a kernel are looked up.
pub trait Types {
    /// Offset in bytes of the member `path` (dotted) of the struct `root`.
    fn offset(&self, root: &str, path: &str) -> Option<u32>;

    /// Whether there is a struct `name`, and it has no members.
    fn is_hollow(&self, name: &str) -> bool;

    /// Value of `name` in the enum `root`.
    fn enumerator(&self, root: &str, name: &str) -> Option<u32>;

    /// Parameters of the function `name`; `None` if the kernel has none of that name.
    fn params(&self, name: &str) -> Option<Vec<Param>>;
}

impl Types for Btf {
    fn offset(&self, root: &str, path: &str) -> Option<u32> {
        let candidates = self.of_kind(root, kind::STRUCT);
        candidates.into_iter().find_map(|id| {
            let mut offset: u32 = 0;
            let mut id = id;
            let mut steps = MEMBERS;
            for name in path.split('.') {
                let (member, at) = self.member(id, name, 0, &mut steps)?;
                offset = offset.checked_add(at)?;
                id = member;
            }
            Some(offset / 8)
        })
    }

    fn is_hollow(&self, name: &str) -> bool {
        let members = |id: u32| Some(self.u32(self.at(id)? + 4).ok()? & 0xffff);
        let structs = self.of_kind(name, kind::STRUCT);
        !structs.is_empty() && structs.into_iter().all(|id| members(id) == Some(0))
    }

    fn enumerator(&self, root: &str, name: &str) -> Option<u32> {
        self.of_kind(root, kind::ENUM).into_iter().find_map(|id| {
            let at = self.at(id)?;
            let count = self.u32(at + 4).ok()? & 0xffff;
            (0..count as usize).map(|i| at + 12 + i * 8).find_map(|at| {
                let named = self.string(self.u32(at).ok()?).ok()? == name.as_bytes();
                named.then(|| self.u32(at + 4).ok())?
            })
        })
    }

    fn params(&self, name: &str) -> Option<Vec<Param>> {
        let id = *self.of_kind(name, kind::FUNC).first()?;
        let id = self.u32(self.at(id)? + 8).ok()?;
        let proto = self.at(id).filter(|_| self.kind(id) == Some(kind::FUNC_PROTO))?;
        let count = self.u32(proto + 4).ok()? & 0xffff;
        (0..count as usize)
            .map(|i| {
                let at = proto + 12 + i * 8;
                let name = self.text(self.u32(at).ok()?)?;
                let points_to = self.pointee(self.u32(at + 4).ok()?);
                Some(Param { name, points_to })
            })
            .collect()
    }
}

impl Btf {
    /// Indexes `data` for the structs and functions named in `wanted`.
    ///
    /// # Errors
    /// Where the data is not BTF, or a record reaches past its end.
    pub fn parse(data: Vec<u8>, wanted: &[&str]) -> Result<Self> {
        let word = |at: usize| -> Result<u32> {
            let bytes = data.get(at..at + 4).context("BTF ends inside its header")?;
            Ok(u32::from_le_bytes(bytes.try_into()?))
        };
        ensure!(word(0)? as u16 == MAGIC, "not BTF: the magic number is missing");
        let header = word(4)? as usize;
        let (type_off, type_len) = (word(8)? as usize, word(12)? as usize);
        let (str_off, str_len) = (word(16)? as usize, word(20)? as usize);
        let first = header.checked_add(type_off).context("BTF header out of range")?;
        let end = first.checked_add(type_len).context("BTF header out of range")?;
        let strings = header.checked_add(str_off).context("BTF header out of range")?;
        ensure!(
            end <= data.len() && strings.saturating_add(str_len) <= data.len(),
            "BTF is cut short"
        );

        let mut btf = Self { data, strings, types: vec![0], ids: HashMap::new() };
        for name in wanted {
            btf.ids.insert((*name).to_owned(), Vec::new());
        }
        let mut at = first;
        while at < end {
            let id = btf.types.len() as u32;
            btf.types.push(at as u32);
            let info = btf.u32(at + 4)?;
            let vlen = (info & 0xffff) as usize;
            let extra = match info >> 24 & 0x1f {
                1 | 14 | 17 => 4,
                kind::PTR | 7 | 8..=12 | 16 | kind::TYPE_TAG => 0,
                kind::ARRAY => 12,
                kind::STRUCT | kind::UNION | 15 | 19 => vlen * 12,
                kind::ENUM | kind::FUNC_PROTO => vlen * 8,
                unknown => bail!("BTF type {id} is of the unknown kind {unknown}"),
            };
            if matches!(info >> 24 & 0x1f, kind::STRUCT | kind::ENUM | kind::FUNC) {
                let name = btf.string(btf.u32(at)?)?;
                let name = std::str::from_utf8(name).unwrap_or_default().to_owned();
                if let Some(ids) = btf.ids.get_mut(&name) {
                    ids.push(id);
                }
            }
            at += 12 + extra;
        }
        ensure!(at == end, "the last BTF record reaches past the end");
        Ok(btf)
    }

    fn of_kind(&self, name: &str, wanted: u32) -> Vec<u32> {
        let ids = self.ids.get(name).map(Vec::as_slice).unwrap_or_default();
        ids.iter().copied().filter(|id| self.kind(*id) == Some(wanted)).collect()
    }

    /// Type and offset in bits of a member, looked up through anonymous structs and unions.
    fn member(&self, id: u32, wanted: &str, depth: u32, steps: &mut u32) -> Option<(u32, u32)> {
        let id = self.resolve(id)?;
        let at = self.at(id)?;
        let info = self.u32(at + 4).ok()?;
        if !matches!(info >> 24 & 0x1f, kind::STRUCT | kind::UNION) || depth > DEEPEST {
            return None;
        }
        for i in 0..(info & 0xffff) as usize {
            *steps = steps.checked_sub(1)?;
            let member = at + 12 + i * 12;
            let name = self.string(self.u32(member).ok()?).ok()?;
            let ty = self.u32(member + 4).ok()?;
            let raw = self.u32(member + 8).ok()?;
            // With kind_flag the upper byte is the width of a bit field.
            let offset = if info >> 31 != 0 { raw & 0xff_ffff } else { raw };
            if name == wanted.as_bytes() {
                return Some((ty, offset));
            }
            if name.is_empty()
                && let Some((ty, inner)) = self.member(ty, wanted, depth + 1, steps)
            {
                return Some((ty, offset.checked_add(inner)?));
            }
        }
        None
    }

    /// Name of the struct a pointer type leads to; `None` where it has none.
    fn pointee(&self, id: u32) -> Option<String> {
        let pointer = self.resolve(id)?;
        if self.kind(pointer)? != kind::PTR {
            return None;
        }
        let target = self.resolve(self.u32(self.at(pointer)? + 8).ok()?)?;
        if self.kind(target)? != kind::STRUCT {
            return None;
        }
        self.text(self.u32(self.at(target)?).ok()?).filter(|name| !name.is_empty())
    }

    /// Strips typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<u32> {
        for _ in 0..32 {
            match self.kind(id)? {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = self.u32(self.at(id)? + 8).ok()?;
                }
                _ => return Some(id),
            }
        }
        None
    }

    fn kind(&self, id: u32) -> Option<u32> {
        Some(self.u32(self.at(id)? + 4).ok()? >> 24 & 0x1f)
    }

    fn at(&self, id: u32) -> Option<usize> {
        self.types.get(id as usize).filter(|at| **at != 0).map(|at| *at as usize)
    }

    fn u32(&self, at: usize) -> Result<u32> {
        let bytes = self.data.get(at..at + 4).context("a BTF record reaches past the end")?;
        Ok(u32::from_le_bytes(bytes.try_into()?))
    }

    fn string(&self, offset: u32) -> Result<&[u8]> {
        let tail = self.data.get(self.strings + offset as usize..);
        let tail = tail.context("a BTF name reaches past the end")?;
        let tail = &tail[..tail.len().min(LONGEST_NAME)];
        Ok(tail.split(|b| *b == 0).next().unwrap_or_default())
    }

    fn text(&self, offset: u32) -> Option<String> {
        Some(String::from_utf8_lossy(self.string(offset).ok()?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BTF made by hand.
    #[derive(Default)]
    struct Made {
        types: Vec<u8>,
        strings: Vec<u8>,
        count: u32,
    }

    impl Made {
        fn name(&mut self, name: &str) -> u32 {
            if self.strings.is_empty() {
                self.strings.push(0);
            }
            if name.is_empty() {
                return 0;
            }
            let at = self.strings.len() as u32;
            self.strings.extend_from_slice(name.as_bytes());
            self.strings.push(0);
            at
        }

        /// A type; its id. `third` is its size, or the type it refers to.
        fn add(&mut self, kind: u32, name: &str, third: u32, flag: bool, rest: &[[u32; 3]]) -> u32 {
            let name = self.name(name);
            let info = kind << 24 | rest.len() as u32 | u32::from(flag) << 31;
            let words = if matches!(kind, kind::FUNC_PROTO | kind::ENUM) { 2 } else { 3 };
            let extra = rest.iter().flat_map(|row| &row[..words]);
            for word in [name, info, third].iter().chain(extra) {
                self.types.extend_from_slice(&word.to_le_bytes());
            }
            self.count += 1;
            self.count
        }

        fn of_struct(&mut self, name: &str, members: &[(&str, u32, u32)]) -> u32 {
            let rows: Vec<_> =
                members.iter().map(|(name, ty, at)| [self.name(name), *ty, *at]).collect();
            self.add(kind::STRUCT, name, 64, false, &rows)
        }

        fn function(&mut self, name: &str, params: &[(&str, u32)]) -> u32 {
            let rows: Vec<_> = params.iter().map(|(name, ty)| [self.name(name), *ty, 0]).collect();
            let proto = self.add(kind::FUNC_PROTO, "", 0, false, &rows);
            self.add(kind::FUNC, name, proto, false, &[])
        }

        fn bytes(&self) -> Vec<u8> {
            let mut out = MAGIC.to_le_bytes().to_vec();
            out.extend_from_slice(&[1, 0]);
            let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
            for word in [24, 0, types, types, strings] {
                out.extend_from_slice(&word.to_le_bytes());
            }
            out.extend_from_slice(&self.types);
            out.extend_from_slice(&self.strings);
            out
        }
    }

    const ASKED: [&str; 7] = ["outer", "flagged", "round", "hook", "no_proto", "places", "hollow"];

    /// Anonymous members, an embedded struct, typedefs and qualifiers, two structs of one name.
    fn sample() -> Vec<u8> {
        let mut made = Made::default();
        let inner = made.of_struct("inner", &[("a", 0, 0), ("b", 0, 32)]);
        let anonymous = made.of_struct("", &[("x", 0, 0), ("y", 0, 64)]);
        let qualified = made.add(kind::CONST, "", inner, false, &[]);
        let typedef = made.add(kind::TYPEDEF, "inner_t", qualified, false, &[]);
        made.of_struct("outer", &[("other", 0, 0)]);
        made.of_struct("outer", &[("first", 0, 0), ("", anonymous, 64), ("in", typedef, 256)]);
        let bits = made.name("bits");
        made.add(kind::STRUCT, "flagged", 8, true, &[[bits, 0, 3 << 24 | 40]]);
        let pointer = made.add(kind::PTR, "", typedef, false, &[]);
        let nameless = made.add(kind::PTR, "", anonymous, false, &[]);
        made.function("hook", &[("task", pointer), ("flags", 0), ("pfn", nameless)]);
        made.add(kind::FUNC, "no_proto", inner, false, &[]);
        let [first, second] = ["first_place", "second_place"].map(|name| made.name(name));
        made.of_struct("hollow", &[]);
        made.add(kind::ENUM, "places", 4, false, &[[first, 0, 0], [second, 7, 0]]);
        made.bytes()
    }

    fn parsed(data: Vec<u8>) -> Btf {
        Btf::parse(data, &ASKED).unwrap()
    }

    #[test]
    fn a_member_is_found_through_anonymous_and_embedded_structs() {
        let btf = parsed(sample());
        assert_eq!(btf.offset("outer", "first"), Some(0));
        assert_eq!(btf.offset("outer", "y"), Some(16));
        assert_eq!(btf.offset("outer", "in.b"), Some(36));
        assert_eq!(btf.offset("outer", "other"), Some(0));
        assert_eq!(btf.offset("outer", "in.c"), None);
        assert_eq!(btf.offset("outer", "first.b"), None);
        // The upper byte is the width of a bit field.
        assert_eq!(btf.offset("flagged", "bits"), Some(5));
        // Not asked for as it was opened.
        assert_eq!(btf.offset("inner", "a"), None);
    }

    #[test]
    fn a_prototype_names_what_its_pointers_lead_to() {
        let btf = parsed(sample());
        let task = Param { name: "task".into(), points_to: Some("inner".into()) };
        let flags = Param { name: "flags".into(), points_to: None };
        let pfn = Param { name: "pfn".into(), points_to: None };
        assert_eq!(btf.params("hook"), Some(vec![task, flags, pfn]));
        assert_eq!(btf.params("outer"), None);
        assert_eq!(btf.params("no_proto"), None);
    }

    #[test]
    fn a_struct_without_members_is_told_from_one_that_is_not_there() {
        let btf = parsed(sample());
        assert!(btf.is_hollow("hollow"));
        for other in ["outer", "flagged", "places", "hook", "absent"] {
            assert!(!btf.is_hollow(other), "{other}");
        }
    }

    #[test]
    fn an_enum_tells_what_its_words_stand_for() {
        let btf = parsed(sample());
        assert_eq!(btf.enumerator("places", "second_place"), Some(7));
        assert_eq!(btf.enumerator("places", "third_place"), None);
        assert_eq!(btf.enumerator("outer", "first"), None);
    }

    fn ask_everything(btf: &Btf) {
        for name in ASKED {
            let _ = btf.params(name);
            let _ = btf.is_hollow(name);
            let _ = btf.enumerator(name, "second_place");
            for path in ["first", "y", "in.b", "bits", "round.round", "absent"] {
                let _ = btf.offset(name, path);
            }
        }
    }

    #[test]
    fn btf_that_is_cut_short_anywhere_is_an_error() {
        let whole = sample();
        for length in 0..whole.len() {
            assert!(Btf::parse(whole[..length].to_vec(), &ASKED).is_err(), "{length} bytes");
        }
        ask_everything(&parsed(whole));
    }

    #[test]
    fn no_byte_that_is_wrong_makes_it_panic() {
        let whole = sample();
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                if let Ok(btf) = Btf::parse(damaged, &ASKED) {
                    ask_everything(&btf);
                }
            }
        }
    }

    /// Each anonymous member leads back to the struct itself: 1000^8 ways.
    #[test]
    fn structs_within_themselves_come_to_an_end() {
        let mut made = Made::default();
        let members = vec![("", 1, u32::MAX); 1_000];
        made.of_struct("round", &members);
        let started = std::time::Instant::now();
        let btf = parsed(made.bytes());
        assert_eq!(btf.offset("round", "absent"), None);
        assert!(started.elapsed().as_secs() < 5, "took {:?}", started.elapsed());

        let mut made = Made::default();
        made.add(kind::TYPEDEF, "", 1, false, &[]);
        made.of_struct("round", &[("round", 1, 0)]);
        assert_eq!(parsed(made.bytes()).offset("round", "round.round"), None);
    }

    #[test]
    fn a_name_without_an_end_is_cut() {
        let mut made = Made::default();
        made.add(kind::FUNC, "hook", 2, false, &[]);
        let last = made.name("p");
        made.add(kind::FUNC_PROTO, "", 0, false, &[[last, 0, 0]]);
        made.strings.pop();
        let mut bytes = made.bytes();
        bytes.extend_from_slice(&[b'a'; 4_096]);
        let params = parsed(bytes).params("hook").unwrap();
        assert_eq!(params[0].name.len(), LONGEST_NAME);
    }
}
