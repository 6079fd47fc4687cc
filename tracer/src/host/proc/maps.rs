//! Reads proc(5) maps. Pure.
use crate::model::{Bytes, file::Dev};

/// One mapping of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    pub start: u64,
    pub end: u64,
    pub executable: bool,
    /// Bytes.
    pub file_offset: u64,
    pub dev: Dev,
    pub inode: u64,
    /// Without the ` (deleted)` the kernel appends.
    pub path: Bytes,
    pub deleted: bool,
}

/// The mappings of files in `text`; lines that cannot be read are skipped.
pub fn parse(text: &[u8]) -> impl Iterator<Item = Mapping> {
    text.split(|b| *b == b'\n').filter_map(line)
}

/// `7f..-7f.. r-xp 00026000 08:01 1234    /usr/lib/x.so`, newlines in the path as `\012`.
fn line(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let mut word = || -> Option<&[u8]> {
        let end = rest.iter().position(|b| *b == b' ')?;
        let (word, tail) = rest.split_at(end);
        rest = tail.trim_ascii_start();
        Some(word)
    };
    let (start, end) = pair(word()?, b'-')?;
    let permissions = word()?;
    let file_offset = hex(word()?)?;
    let (major, minor) = pair(word()?, b':')?;
    let inode = std::str::from_utf8(word()?).ok()?.parse().ok()?;
    if inode == 0 || rest.is_empty() || end < start {
        return None;
    }
    let deleted = rest.ends_with(b" (deleted)");
    Some(Mapping {
        start,
        end,
        executable: permissions.get(2) == Some(&b'x'),
        file_offset,
        dev: Dev { major: u32::try_from(major).ok()?, minor: u32::try_from(minor).ok()? },
        inode,
        path: rest.strip_suffix(b" (deleted)").unwrap_or(rest).to_vec(),
        deleted,
    })
}

fn pair(word: &[u8], by: u8) -> Option<(u64, u64)> {
    let at = word.iter().position(|b| *b == by)?;
    Some((hex(&word[..at])?, hex(&word[at + 1..])?))
}

fn hex(word: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_the_rest_is_not() {
        let text = b"55d0-55e0 r-xp 00002000 fe:01 77                         /bin/a b (deleted)\n\
                     7f00-7f10 rw-p 00000000 00:00 0 \n\
                     7ffe-7fff r-xp 00000000 00:00 0                          [vdso]\n\
                     garbage\n\xff\xfe-1 r 0 0:0 1 /x\n";
        let mapping = Mapping {
            start: 0x55d0,
            end: 0x55e0,
            executable: true,
            file_offset: 0x2000,
            dev: Dev { major: 0xfe, minor: 1 },
            inode: 77,
            path: b"/bin/a b".to_vec(),
            deleted: true,
        };
        assert_eq!(parse(text).collect::<Vec<_>>(), [mapping]);
    }
}
