//! Lines of the source that code was compiled from, where debug information (DWARF) says them, and the functions that
//! were inlined.
//!
//! Files of anybody's are read. gimli parses them; what is read, how often, and how long, is bounded by `fuel`.
use std::{borrow::Cow, cell::Cell, time::Duration};

use gimli::{DwarfSections, Reader as _, Section as _, SectionId};
use object::{CompressionFormat, Object as _, ObjectSection as _};
use serde::{Deserialize, Serialize};

use crate::{
    model::Bytes,
    parse::{
        elf::{Bounded, Elf},
        go,
    },
    text::base64,
};

mod fuel;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod units;

pub(super) use fuel::Fuel;
use fuel::Metered;

/// Of all debug information of a stack so much is read while others wait, in bytes.
pub(super) const LIVE: u64 = 16 << 20;

/// What is asked of debug information.
const SECTIONS: [SectionId; 9] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
];

/// What the source calls a place in the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    #[serde(with = "base64")]
    pub function: Option<Bytes>,
    /// The file, by the path that the compiler was told.
    #[serde(with = "base64")]
    pub file: Option<Bytes>,
    pub line: Option<u32>,
}

/// What is spent on a stack while others wait.
pub(super) fn live() -> Fuel {
    Fuel::new(20_000_000, Duration::from_millis(200))
}

/// The sites of each address of a file, innermost first: that of the instruction, then where each function around it was
/// inlined. `None` if the file has no debug information, or more than `most` bytes of it, of which it takes its own.
pub(super) fn of(
    file: Bounded<'_>,
    addresses: &[Option<u64>],
    most: &Cell<u64>,
    fuel: &Fuel,
) -> Option<Vec<Vec<Site>>> {
    let elf = object::File::parse(file).ok().filter(object::File::is_little_endian)?;
    let known: Vec<u64> = addresses.iter().copied().flatten().collect();
    let sites = match by_dwarf(&elf, &known, most, fuel) {
        Some(mut sites) => {
            // Of Go there is always its own table, where reading of the other took too long.
            if sites.iter().any(Vec::is_empty)
                && let Some(by_go) = by_go(&elf, file, &known)
            {
                let missing = sites.iter_mut().zip(by_go).filter(|(sites, _)| sites.is_empty());
                missing.for_each(|(sites, by_go)| *sites = by_go);
            }
            sites
        }
        None => by_go(&elf, file, &known)?,
    };
    let mut sites = sites.into_iter();
    let of = |address: &Option<u64>| address.and_then(|_| sites.next()).unwrap_or_default();
    Some(addresses.iter().map(of).collect())
}

fn by_dwarf(
    elf: &Elf<'_>,
    addresses: &[u64],
    most: &Cell<u64>,
    fuel: &Fuel,
) -> Option<Vec<Vec<Site>>> {
    elf.section_by_name(SectionId::DebugInfo.name())?;
    // Nothing is read of what is too much.
    let mut sections = SECTIONS.iter().filter_map(|id| elf.section_by_name(id.name()));
    let size = sections.try_fold(0_u64, |size, section| {
        size.checked_add(section.compressed_file_range().ok()?.uncompressed_size)
    })?;
    most.set(most.get().checked_sub(size)?);
    let sections = DwarfSections::load(|id| section(elf, id).ok_or(())).ok()?;
    let dwarf = sections.borrow(|section| Metered::new(section, fuel));
    let any = !dwarf.debug_info.reader().is_empty();
    any.then(|| units::sites(&dwarf, fuel, addresses))
}

fn by_go(elf: &Elf<'_>, file: Bounded<'_>, addresses: &[u64]) -> Option<Vec<Vec<Site>>> {
    let table = go::Table::of(elf, file)?;
    let site = |address: &u64| {
        let place = table.place(*address)?;
        Some(Site { function: Some(place.function), file: place.file, line: place.line })
    };
    Some(addresses.iter().map(|address| site(address).into_iter().collect()).collect())
}

/// The bytes of a section; `None` if they cannot be had.
fn section<'a>(elf: &Elf<'a>, id: SectionId) -> Option<Cow<'a, [u8]>> {
    let section = elf.section_by_name(id.name()).filter(|_| SECTIONS.contains(&id));
    let Some(section) = section else { return Some(Cow::default()) };
    let data = section.compressed_data().ok()?;
    Some(match data.format {
        CompressionFormat::None => data.data.into(),
        CompressionFormat::Zlib => {
            let size = usize::try_from(data.uncompressed_size).ok()?;
            miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(data.data, size).ok()?.into()
        }
        _ => return None,
    })
}
