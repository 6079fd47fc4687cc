//! Reads one value of a file of bbolt's (go.etcd.io/bbolt), in which containerd keeps what it knows, while it writes to it:
//! pages of a state are written over only after the state after the next began, so what was read holds if the newest state
//! is still the same afterwards. What is damaged says nothing.
use std::{fs::File, os::unix::fs::FileExt as _};

use bytes::Buf as _;

/// page.go: id, flags, count, overflow.
const HEADER: usize = 16;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const MAGIC: u32 = 0xed0c_daed;
const VERSION: u32 = 2;
/// Bytes of a meta page up to its checksum (meta.go).
const META: usize = 56;
/// Of an element of a leaf that holds a bucket.
const BUCKET: u32 = 1;
/// Levels of a tree, and bytes of the largest page with what overflows it.
const DEPTH: usize = 16;
const PAGE: usize = 1 << 20;

/// The newest state: its number, and the page its tree begins at.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    page_size: usize,
    root: u64,
    transaction: u64,
}

/// What stands under `key` in the bucket at `path`.
pub fn get(file: &File, path: &[&[u8]], key: &[u8]) -> Option<Vec<u8>> {
    let state = newest(file)?;
    let found = look_up(file, state, path, key);
    (newest(file) == Some(state)).then_some(found)?
}

fn look_up(file: &File, state: State, path: &[&[u8]], key: &[u8]) -> Option<Vec<u8>> {
    let mut bucket = [&state.root.to_le_bytes()[..], &[0; 8]].concat();
    for name in path {
        let (flags, value) = in_bucket(file, state, &bucket, name)?;
        bucket = (flags == BUCKET).then_some(value)?;
    }
    let (flags, value) = in_bucket(file, state, &bucket, key)?;
    (flags == 0).then_some(value)
}

/// An element of a bucket, whose value is the page of its root and a counter, or, where it is small, that page itself
/// behind them.
fn in_bucket(file: &File, state: State, bucket: &[u8], key: &[u8]) -> Option<(u32, Vec<u8>)> {
    let mut root = bucket.get(..8)?.get_u64_le();
    if root == 0 {
        return leaf(bucket.get(16..)?, key);
    }
    for _ in 0..DEPTH {
        let page = page(file, state, root)?;
        match page.get(8..10)?.get_u16_le() {
            LEAF => return leaf(&page, key),
            BRANCH => root = branch(&page, key)?,
            _ => return None,
        }
    }
    None
}

/// The page with what overflows it.
fn page(file: &File, state: State, id: u64) -> Option<Vec<u8>> {
    let at = id.checked_mul(state.page_size as u64)?;
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, at).ok()?;
    let pages = (&header[12..]).get_u32_le() as usize + 1;
    let len = pages.checked_mul(state.page_size).filter(|len| *len <= PAGE)?;
    if (&header[..8]).get_u64_le() != id {
        return None;
    }
    let mut page = vec![0; len];
    file.read_exact_at(&mut page, at).ok()?;
    Some(page)
}

fn count(page: &[u8]) -> Option<usize> {
    Some(usize::from(page.get(10..12)?.get_u16_le()))
}

/// Flags and value of the element of this key.
fn leaf(page: &[u8], key: &[u8]) -> Option<(u32, Vec<u8>)> {
    (page.get(8..10)?.get_u16_le() == LEAF).then_some(())?;
    (0..count(page)?).find_map(|i| {
        let at = HEADER + i * 16;
        let mut element = page.get(at..at + 16)?;
        let (flags, pos) = (element.get_u32_le(), element.get_u32_le() as usize);
        let (key_len, len) = (element.get_u32_le() as usize, element.get_u32_le() as usize);
        let begin = at.checked_add(pos)?;
        let value = begin.checked_add(key_len)?;
        let is_it = page.get(begin..value)? == key;
        is_it.then(|| Some((flags, page.get(value..value.checked_add(len)?)?.to_vec())))?
    })
}

/// The page below that this key can be in: the last that begins at or before it.
fn branch(page: &[u8], key: &[u8]) -> Option<u64> {
    let mut found = None;
    for i in 0..count(page)? {
        let at = HEADER + i * 16;
        let mut element = page.get(at..at + 16)?;
        let (pos, len) = (element.get_u32_le() as usize, element.get_u32_le() as usize);
        let begin = at.checked_add(pos)?;
        let first = page.get(begin..begin.checked_add(len)?)?;
        if first > key && found.is_some() {
            break;
        }
        found = Some(element.get_u64_le());
    }
    found
}

/// The newer of the two states that are whole.
fn newest(file: &File) -> Option<State> {
    let first = state(file, 0);
    // The second is one page further; where the first is not whole, its size is not known.
    let size = first.map_or(4096, |first| first.page_size);
    let second = state(file, size as u64);
    first.into_iter().chain(second).max_by_key(|state| state.transaction)
}

fn state(file: &File, at: u64) -> Option<State> {
    let mut bytes = [0; META + 8];
    file.read_exact_at(&mut bytes, at + HEADER as u64).ok()?;
    let (meta, mut checksum) = bytes.split_at(META);
    let mut fields = meta;
    let (magic, version) = (fields.get_u32_le(), fields.get_u32_le());
    let page_size = fields.get_u32_le() as usize;
    fields.advance(4);
    let root = fields.get_u64_le();
    // The counter of the root, the list of free pages, and how many pages there are.
    fields.advance(24);
    let transaction = fields.get_u64_le();
    let sound = (magic, version) == (MAGIC, VERSION)
        && checksum.get_u64_le() == fnv1a(meta)
        && (1024..=65_536).contains(&page_size);
    sound.then_some(State { page_size, root, transaction })
}

/// FNV-1a of 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const SIZE: usize = 4096;

    /// A page of elements: of a leaf (flags, key, value), or of a branch (page below, key, nothing).
    fn filled(id: u64, kind: u16, elements: &[(u64, &[u8], &[u8])]) -> Vec<u8> {
        let mut page = Vec::new();
        page.extend(id.to_le_bytes());
        page.extend(kind.to_le_bytes());
        page.extend((elements.len() as u16).to_le_bytes());
        page.extend([0; 4]);
        let mut pos = elements.len() * 16;
        for (i, (number, key, value)) in elements.iter().enumerate() {
            let (key_len, len) =
                ((key.len() as u32).to_le_bytes(), (value.len() as u32).to_le_bytes());
            let begin = ((pos - i * 16) as u32).to_le_bytes();
            match kind {
                LEAF => page.extend([(*number as u32).to_le_bytes(), begin, key_len, len].concat()),
                _ => page.extend([&begin[..], &key_len, &number.to_le_bytes()].concat()),
            }
            pos += key.len() + value.len();
        }
        for (_, key, value) in elements {
            page.extend([*key, *value].concat());
        }
        page
    }

    fn meta(root: u64, transaction: u64) -> Vec<u8> {
        let mut meta = Vec::new();
        meta.extend([MAGIC, VERSION, SIZE as u32, 0].map(u32::to_le_bytes).concat());
        meta.extend([root, 0, 2, 9, transaction].map(u64::to_le_bytes).concat());
        let checksum = fnv1a(&meta).to_le_bytes();
        [vec![0; HEADER], meta, checksum.to_vec()].concat()
    }

    fn bucket(root: u64) -> Vec<u8> {
        [root, 0].map(u64::to_le_bytes).concat()
    }

    fn written(pages: &[Vec<u8>]) -> File {
        let mut file = tempfile::tempfile().expect("a temporary file");
        for page in pages {
            let mut page = page.clone();
            page.resize(SIZE, 0);
            file.write_all(&page).expect("room");
        }
        file
    }

    /// `v1` in a leaf of its own, `web` in one below a branch, and what is in that inline.
    fn pages() -> Vec<Vec<u8>> {
        let inline =
            [bucket(0), filled(0, LEAF, &[(0, b"image", b"geo:1"), (0, b"z", b"")])].concat();
        vec![
            meta(9, 6),
            meta(3, 7),
            Vec::new(),
            filled(3, LEAF, &[(1, b"v1", &bucket(4)), (0, b"version", b"1")]),
            filled(4, BRANCH, &[(5, b"a", b""), (6, b"m", b"")]),
            filled(5, LEAF, &[(0, b"a", b"1")]),
            filled(6, LEAF, &[(0, b"m", b"2"), (1, b"web", &inline)]),
        ]
    }

    const WEB: [&[u8]; 2] = [b"v1", b"web"];

    #[test]
    fn a_value_is_found_by_its_path() {
        let file = written(&pages());
        assert_eq!(get(&file, &WEB, b"image").as_deref(), Some(&b"geo:1"[..]));
        assert_eq!(get(&file, &[b"v1"], b"a").as_deref(), Some(&b"1"[..]));
        assert_eq!(get(&file, &[], b"version").as_deref(), Some(&b"1"[..]));
        let none: [(&[&[u8]], &[u8]); 5] = [
            (&WEB, b"imag"),
            (&[b"v1"], b"web"),
            (&[b"version"], b"x"),
            (&[b"v1", b"b"], b"x"),
            (&[], b""),
        ];
        for (path, key) in none {
            assert_eq!(get(&file, path, key), None, "{path:?} {key:?}");
        }
    }

    /// Any byte of it may be another: that is a wrong value at worst where the value is, and never a panic or a loop.
    #[test]
    fn what_is_damaged_is_no_harm() {
        let good = pages();
        for number in 0..good.len() {
            for at in 0..good[number].len() {
                for value in [0, 1, 0x7f, 0xff] {
                    let mut pages = good.clone();
                    pages[number][at] = value;
                    let _ = get(&written(&pages), &WEB, b"image");
                }
            }
        }
        for len in 0..good.len() {
            let _ = get(&written(&good[..len]), &WEB, b"image");
        }
        let mut circle = good.clone();
        circle[4] = filled(4, BRANCH, &[(4, b"a", b"")]);
        assert_eq!(get(&written(&circle), &WEB, b"image"), None);
        let mut old = good;
        old[1] = meta(3, 5);
        assert_eq!(get(&written(&old), &WEB, b"image"), None, "page 9 is newer, and not there");
    }
}
