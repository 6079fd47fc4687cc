//! Reads kernel BTF: where a struct's field lies, what a function takes. Pure: bytes in, numbers
//! out.
//!
//! Keeps the bytes and the ids of what was asked for, nothing else: a whole type graph of a
//! vmlinux costs tens of MiB and, under emulation, a second.
//! Format: Documentation/bpf/btf.rst.
use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};

const MAGIC: u16 = 0xeb9f;

mod kind {
    pub const PTR: u32 = 2;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
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
    /// Structs and functions asked for, by name. Several types may share one.
    ids: HashMap<String, Vec<u32>>,
}

/// One parameter of a function: its name, and the struct it points to, if it does.
#[derive(Debug, PartialEq, Eq, Clone)]
pub struct Param {
    pub name: String,
    pub points_to: Option<String>,
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
                6 | kind::FUNC_PROTO => vlen * 8,
                unknown => bail!("BTF type {id} is of the unknown kind {unknown}"),
            };
            if matches!(info >> 24 & 0x1f, kind::STRUCT | kind::FUNC) {
                let name = btf.string(btf.u32(at)?)?;
                let name = std::str::from_utf8(name).unwrap_or_default().to_owned();
                if let Some(ids) = btf.ids.get_mut(&name) {
                    ids.push(id);
                }
            }
            at += 12 + extra;
        }
        Ok(btf)
    }

    /// Offset in bytes of the member `path` (dotted) of the struct `root`.
    pub fn offset(&self, root: &str, path: &str) -> Option<u32> {
        let candidates = self.of_kind(root, kind::STRUCT);
        candidates.into_iter().find_map(|id| {
            let mut offset = 0;
            let mut id = id;
            for name in path.split('.') {
                let (member, at) = self.member(id, name, 0)?;
                offset += at;
                id = member;
            }
            Some(offset / 8)
        })
    }

    /// Parameters of the function `name`; `None` if the kernel has none of that name.
    pub fn params(&self, name: &str) -> Option<Vec<Param>> {
        let id = *self.of_kind(name, kind::FUNC).first()?;
        let proto = self.at(self.u32(self.at(id)? + 8).ok()?)?;
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

    fn of_kind(&self, name: &str, wanted: u32) -> Vec<u32> {
        let ids = self.ids.get(name).map(Vec::as_slice).unwrap_or_default();
        ids.iter().copied().filter(|id| self.kind(*id) == Some(wanted)).collect()
    }

    /// Type and offset in bits of a member, looked up through anonymous structs and unions.
    fn member(&self, id: u32, wanted: &str, depth: u32) -> Option<(u32, u32)> {
        let id = self.resolve(id)?;
        let at = self.at(id)?;
        let info = self.u32(at + 4).ok()?;
        if !matches!(info >> 24 & 0x1f, kind::STRUCT | kind::UNION) || depth > 8 {
            return None;
        }
        for i in 0..(info & 0xffff) as usize {
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
                && let Some((ty, inner)) = self.member(ty, wanted, depth + 1)
            {
                return Some((ty, offset + inner));
            }
        }
        None
    }

    /// Name of the struct a pointer type leads to.
    fn pointee(&self, id: u32) -> Option<String> {
        let pointer = self.resolve(id)?;
        if self.kind(pointer)? != kind::PTR {
            return None;
        }
        let target = self.resolve(self.u32(self.at(pointer)? + 8).ok()?)?;
        if self.kind(target)? != kind::STRUCT {
            return None;
        }
        self.text(self.u32(self.at(target)?).ok()?)
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
        Ok(tail.split(|b| *b == 0).next().unwrap_or_default())
    }

    fn text(&self, offset: u32) -> Option<String> {
        Some(String::from_utf8_lossy(self.string(offset).ok()?).into_owned())
    }
}
