//! A file that a captured stack runs through.
use std::fs::File;

use crate::{
    enrich::open,
    model::{Bytes, file, stack::Mapping},
    parse::protocol::{Module, Range},
};

/// Of a path of a file so much is told, in bytes: its end.
const PATH: usize = 512;

/// A file that is mapped, once or several times.
pub(super) struct MappedFile {
    /// At least one.
    pub(super) mappings: Vec<Mapping>,
    pub(super) path: Option<Bytes>,
    open: bool,
    /// When it was written last, ns since the epoch, if it could be opened.
    pub(super) written: Option<i64>,
}

impl MappedFile {
    /// What it is called in frames.
    pub(super) fn name(&self) -> Option<Bytes> {
        self.path.clone().map(|path| end(path, PATH))
    }

    /// One by its first mapping, and the file.
    pub(super) fn new(mapping: &Mapping, file: Option<&File>) -> Self {
        let written = file.and_then(|file| file.metadata().ok());
        Self {
            mappings: vec![mapping.clone()],
            path: file::name(&mapping.path, &[]).0,
            open: file.is_some(),
            written: written.map(|meta| open::written(&meta)),
        }
    }

    /// As whoever parses it is told.
    pub(super) fn module(&self) -> Module {
        let range = |m: &Mapping| Range { start: m.start, end: m.end, offset: m.offset };
        Module { mappings: self.mappings.iter().map(range).collect(), file: self.open }
    }
}

/// By which a file can be opened: in a directory, and told whole.
pub(super) fn path(path: &file::Path) -> Option<Bytes> {
    let whole = !path.cut && !path.name_missing && !path.pseudo;
    whole.then(|| file::name(path, &[]).0).flatten()
}

/// The last bytes of a path.
fn end(path: Bytes, most: usize) -> Bytes {
    match path.len().checked_sub(most) {
        None | Some(0) => path,
        Some(from) => [b"\xe2\x80\xa6", &path[from..]].concat(),
    }
}
