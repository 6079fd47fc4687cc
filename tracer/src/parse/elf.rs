//! Files of programs, read as far as their reading is bounded. They are not mapped: whoever cuts a mapped file short
//! sends us SIGBUS.
use std::{cell::Cell, fs::File, ops::Range};

use object::{ReadCache, ReadRef};

/// Of a file no more is read: the symbols of 1,400,000 functions. `ReadCache` keeps all that it ever read, so this
/// bounds the memory, too, of a file whose tables overlap or have no end.
pub(super) const READ: u64 = 32 << 20;
/// Longest name of a function, in bytes.
const NAME: u64 = 4_096;
/// What the cache takes beside each, in bytes.
const BESIDE: u64 = 64;

/// A file to be read.
pub(super) struct Source<'t> {
    cache: ReadCache<File>,
    left: Cell<u64>,
    /// What may be read of this file and others.
    all: &'t Cell<u64>,
}

impl<'t> Source<'t> {
    pub(super) fn new(file: File, all: &'t Cell<u64>) -> Self {
        Self::with(file, READ, all)
    }

    /// The same, of which no more than `most` bytes are read.
    pub(super) fn with(file: File, most: u64, all: &'t Cell<u64>) -> Self {
        Self { cache: ReadCache::new(file), left: Cell::new(most), all }
    }

    pub(super) fn bounded(&self) -> Bounded<'_> {
        Bounded { cache: &self.cache, left: [&self.left, self.all] }
    }
}

/// A file whose tables are read.
pub(super) type Elf<'a> = object::File<'a, Bounded<'a>>;

/// A file of which only so many bytes are read.
#[derive(Clone, Copy)]
pub(super) struct Bounded<'a> {
    cache: &'a ReadCache<File>,
    left: [&'a Cell<u64>; 2],
}

impl Bounded<'_> {
    /// Takes `size` bytes of what may be read, before room is made for them.
    fn take(self, size: u64) -> Result<(), ()> {
        for left in self.left {
            left.set(left.get().checked_sub(size).ok_or(())?);
        }
        Ok(())
    }
}

impl<'a> ReadRef<'a> for Bounded<'a> {
    fn len(self) -> Result<u64, ()> {
        self.cache.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.take(size.saturating_add(BESIDE))?;
        self.cache.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        // No name is longer.
        let end = range.end.min(range.start.saturating_add(NAME));
        let found = self.cache.read_bytes_at_until(range.start..end, delimiter);
        // One without an end was read as well.
        let read = found.map_or(NAME, |found| found.len() as u64);
        self.take(read + BESIDE).and(found)
    }
}
