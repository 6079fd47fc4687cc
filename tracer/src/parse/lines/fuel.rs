//! Debug information, read step by step: whoever wrote it decides how much there is to do, we how much is done.
use std::{
    borrow::Cow,
    cell::Cell,
    fmt,
    time::{Duration, Instant},
};

use gimli::{EndianSlice, Error, LittleEndian, Reader, ReaderOffsetId, Result};

/// Steps between two looks at the clock.
const LOOK: u64 = 4_096;
/// Steps of the tables at the start of a unit: of these a copy is made, of about 100 bytes a step.
const TABLES: u64 = 200_000;

/// What may be spent.
pub struct Fuel {
    steps: Cell<u64>,
    /// Of these, until the tables of a unit are read.
    tables: Cell<u64>,
    look: Cell<u64>,
    until: Cell<Instant>,
}

impl Fuel {
    pub fn new(steps: u64, time: Duration) -> Self {
        let until = Cell::new(Instant::now() + time);
        Self { steps: Cell::new(steps), tables: Cell::new(u64::MAX), look: Cell::new(0), until }
    }

    /// What `others` give: their time is not ours.
    pub fn wait<T>(&self, others: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let given = others();
        self.until.set(self.until.get() + began.elapsed());
        given
    }

    /// What `read` gives, which copies tables of a unit.
    pub fn tables<T>(&self, read: impl FnOnce() -> Result<T>) -> Result<T> {
        self.tables.set(TABLES);
        let tables = read();
        self.tables.set(u64::MAX);
        tables
    }

    /// Takes so many steps; an error if there are no more.
    pub fn take(&self, steps: usize) -> Result<()> {
        let steps = steps as u64;
        self.tables.set(self.tables.get().checked_sub(steps).ok_or(Error::Io)?);
        let look = self.look.get() + steps;
        self.look.set(if look < LOOK { look } else { 0 });
        let late = look >= LOOK && Instant::now() >= self.until.get();
        let left = self.steps.get().checked_sub(steps).filter(|_| !late);
        self.steps.set(left.unwrap_or(0));
        left.map(drop).ok_or(Error::Io)
    }
}

/// Bytes whose reading takes fuel.
#[derive(Clone, Copy)]
pub struct Metered<'a> {
    bytes: EndianSlice<'a, LittleEndian>,
    fuel: &'a Fuel,
}

impl<'a> Metered<'a> {
    pub fn new(bytes: &'a [u8], fuel: &'a Fuel) -> Self {
        Self { bytes: EndianSlice::new(bytes, LittleEndian), fuel }
    }
}

impl fmt::Debug for Metered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

impl Reader for Metered<'_> {
    type Endian = LittleEndian;
    type Offset = usize;

    fn endian(&self) -> LittleEndian {
        LittleEndian
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn empty(&mut self) {
        self.bytes.empty();
    }

    fn truncate(&mut self, len: usize) -> Result<()> {
        self.bytes.truncate(len)
    }

    fn offset_from(&self, base: &Self) -> usize {
        self.bytes.offset_from(base.bytes)
    }

    fn offset_id(&self) -> ReaderOffsetId {
        self.bytes.offset_id()
    }

    fn lookup_offset_id(&self, id: ReaderOffsetId) -> Option<usize> {
        self.bytes.lookup_offset_id(id)
    }

    fn find(&self, byte: u8) -> Result<usize> {
        let found = self.bytes.find(byte);
        self.fuel.take(1 + found.unwrap_or(self.bytes.len()) / 16)?;
        found.ok_or_else(|| Error::UnexpectedEof(self.offset_id()))
    }

    fn skip(&mut self, len: usize) -> Result<()> {
        self.fuel.take(1)?;
        self.bytes.skip(len)
    }

    fn split(&mut self, len: usize) -> Result<Self> {
        self.fuel.take(1)?;
        Ok(Self { bytes: self.bytes.split(len)?, fuel: self.fuel })
    }

    fn to_slice(&self) -> Result<Cow<'_, [u8]>> {
        self.bytes.to_slice()
    }

    fn to_string(&self) -> Result<Cow<'_, str>> {
        self.fuel.take(self.bytes.len())?;
        Reader::to_string(&self.bytes)
    }

    fn to_string_lossy(&self) -> Result<Cow<'_, str>> {
        self.fuel.take(self.bytes.len())?;
        Reader::to_string_lossy(&self.bytes)
    }

    fn read_slice(&mut self, to: &mut [u8]) -> Result<()> {
        self.fuel.take(1)?;
        Reader::read_slice(&mut self.bytes, to)
    }
}
