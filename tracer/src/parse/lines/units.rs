//! From addresses to lines of the source, by DWARF. No function here calls itself, however deep functions are inlined.
use gimli::{
    Attribute, AttributeValue, DebugInfoOffset, Dwarf, Range, Reader as _, Result, Unit,
    UnitOffset, UnitRef, constants as dw,
};

use crate::{
    model::Bytes,
    parse::lines::{
        Site,
        fuel::{Fuel, Metered},
    },
    text::demangle,
};

/// Functions inlined in one another at one address that are told, the outermost.
const DEPTH: usize = 16;
/// Where linkers leave functions that they have left out.
const REMOVED: u64 = 1;
/// From an entry to the one that has its name, at most.
const HOPS: usize = 8;
/// Of a path, and of a name as compilers write it, so much is read, in bytes.
const TEXT: usize = 1_024;

/// A file, by its number in the unit, and a line.
type Line = (u64, u64);

/// A function that covers an address, or one inlined in it.
#[derive(Clone, Copy)]
struct Scope {
    depth: isize,
    entry: UnitOffset<usize>,
    /// Where it was inlined, if that is said.
    call: Option<Line>,
}

/// The sites of each address, innermost first: what was found until the fuel was spent.
pub(super) fn sites(dwarf: &Dwarf<Metered<'_>>, fuel: &Fuel, addresses: &[u64]) -> Vec<Vec<Site>> {
    let mut found = vec![Vec::new(); addresses.len()];
    let mut units = dwarf.units();
    while found.iter().any(Vec::is_empty)
        && let Ok(Some(header)) = units.next()
    {
        // One that makes no sense costs its own lines alone.
        let Ok(unit) = fuel.tables(|| dwarf.unit(header)) else { continue };
        let here = At { dwarf, fuel, unit: unit.unit_ref(dwarf) };
        let Ok(inside) = here.inside(addresses) else { continue };
        if inside.is_empty() {
            continue;
        }
        let wanted: Vec<u64> = inside.iter().map(|at| addresses[*at]).collect();
        let (mut lines, mut scopes) = (vec![None; wanted.len()], vec![Vec::new(); wanted.len()]);
        // What was found until something made no sense counts, but no line of a function that is not known to be it.
        let _ = here.lines(&wanted, &mut lines);
        if here.scopes(&wanted, &mut scopes).is_err() {
            continue;
        }
        for ((at, line), scopes) in inside.into_iter().zip(lines).zip(scopes) {
            if found[at].is_empty() {
                found[at] = here.told(line, &scopes);
            }
        }
    }
    found
}

/// One unit.
struct At<'u, 'a> {
    dwarf: &'u Dwarf<Metered<'a>>,
    fuel: &'u Fuel,
    unit: UnitRef<'u, Metered<'a>>,
}

impl<'a> At<'_, 'a> {
    /// Which of the addresses lie in the unit.
    fn inside(&self, addresses: &[u64]) -> Result<Vec<usize>> {
        let mut entries = self.unit.entries_raw(None)?;
        let Some(root) = entries.read_abbreviation()? else { return Ok(Vec::new()) };
        self.fuel.take(root.attributes().len())?;
        let mut attributes = Vec::new();
        entries.read_attributes(root.attributes(), &mut attributes)?;
        let mut inside = self.covered(&attributes, addresses)?;
        inside.sort_unstable();
        inside.dedup();
        Ok(inside)
    }

    /// Which of the addresses an entry covers.
    fn covered(
        &self,
        attributes: &[Attribute<Metered<'a>>],
        addresses: &[u64],
    ) -> Result<Vec<usize>> {
        let (mut low, mut high, mut size) = (None, None, None);
        let mut covered = Vec::new();
        let mut cover = |range: Range| {
            let within = |(at, address): (usize, &u64)| {
                let covers = range.begin > REMOVED && (range.begin..range.end).contains(address);
                covers.then_some(at)
            };
            if covered.len() < addresses.len() {
                covered.extend(addresses.iter().enumerate().filter_map(within));
            }
            // Each address is compared.
            self.fuel.take(1 + addresses.len() / 8)
        };
        for attribute in attributes {
            match (attribute.name(), attribute.value()) {
                (dw::DW_AT_low_pc, value) => low = self.unit.attr_address(value)?,
                (dw::DW_AT_high_pc, AttributeValue::Udata(value)) => size = Some(value),
                (dw::DW_AT_high_pc, value) => high = self.unit.attr_address(value)?,
                (dw::DW_AT_ranges, value) => {
                    let Some(offset) = self.unit.attr_ranges_offset(value)? else { continue };
                    let mut ranges = self.unit.ranges(offset)?;
                    while let Some(range) = ranges.next()? {
                        cover(range)?;
                    }
                    return Ok(covered);
                }
                _ => {}
            }
        }
        if let Some(begin) = low
            && let Some(end) = size.and_then(|size| begin.checked_add(size)).or(high)
        {
            cover(Range { begin, end })?;
        }
        Ok(covered)
    }

    /// The line of each address.
    fn lines(&self, wanted: &[u64], lines: &mut [Option<Line>]) -> Result<()> {
        let Some(program) = self.unit.line_program.clone() else { return Ok(()) };
        let mut rows = program.rows();
        let (mut before, mut sequence): (Option<(u64, Line, bool)>, u64) = (None, 0);
        while let Some((_, row)) = rows.next_row()? {
            self.fuel.take(1 + wanted.len() / 8)?;
            // Of an instruction that several lines are in, the one counts where a debugger would stop, as gdb has it.
            let stops = row.is_stmt();
            if before.is_some_and(|(start, _, stopped)| {
                start == row.address() && stopped && !stops && !row.end_sequence()
            }) {
                continue;
            }
            if let Some((start, line, _)) = before.filter(|_| sequence > REMOVED) {
                let range = start..row.address();
                let here = wanted.iter().zip(&mut *lines);
                let here =
                    here.filter(|(address, told)| told.is_none() && range.contains(*address));
                here.for_each(|(_, told)| *told = Some(line));
            }
            let line = (row.file_index(), row.line().map_or(0, std::num::NonZero::get));
            if before.is_none() {
                sequence = row.address();
            }
            before = (!row.end_sequence()).then_some((row.address(), line, stops));
        }
        Ok(())
    }

    /// The functions that cover each address, the outermost first.
    fn scopes(&self, wanted: &[u64], scopes: &mut [Vec<Scope>]) -> Result<()> {
        let mut entries = self.unit.entries_raw(None)?;
        let mut attributes = Vec::new();
        while !entries.is_empty() {
            let (depth, entry) = (entries.next_depth(), entries.next_offset());
            let Some(kind) = entries.read_abbreviation()? else { continue };
            // Attributes may have no bytes to read.
            self.fuel.take(kind.attributes().len())?;
            let inlined = kind.tag() == dw::DW_TAG_inlined_subroutine;
            if !inlined && kind.tag() != dw::DW_TAG_subprogram {
                entries.skip_attributes(kind.attributes())?;
                continue;
            }
            entries.read_attributes(kind.attributes(), &mut attributes)?;
            let scope = Scope { depth, entry, call: call(&attributes) };
            for at in self.covered(&attributes, wanted)? {
                let scopes = &mut scopes[at];
                match scopes.last() {
                    // A function in a function is one of its own.
                    _ if !inlined => *scopes = vec![scope],
                    Some(outer) if outer.depth < depth && scopes.len() <= DEPTH => {
                        scopes.push(scope);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// What is told of one address, innermost first.
    fn told(&self, line: Option<Line>, scopes: &[Scope]) -> Vec<Site> {
        let mut line = line;
        let mut sites = Vec::new();
        for scope in scopes.iter().rev() {
            sites.push(self.site(line, self.name(scope.entry)));
            line = scope.call;
        }
        if sites.is_empty() && line.is_some() {
            sites.push(self.site(line, None));
        }
        sites
    }

    fn site(&self, line: Option<Line>, function: Option<Bytes>) -> Site {
        let file = line.and_then(|(file, _)| self.path(file));
        let line = line.and_then(|(_, line)| u32::try_from(line).ok()).filter(|line| *line != 0);
        Site { function, file, line }
    }

    /// The path of a file of the source, as the compiler was told.
    fn path(&self, file: u64) -> Option<Bytes> {
        let header = self.unit.line_program.as_ref()?.header();
        let file = header.file(file)?;
        let directory = file.directory(header).and_then(|directory| self.text(directory));
        // The first directory is that one itself.
        let compiled = self.unit.comp_dir.as_ref().filter(|_| file.directory_index() != 0);
        let compiled = compiled.and_then(bytes);
        let mut path = Bytes::new();
        for part in [compiled, directory, Some(self.text(file.path_name())?)].into_iter().flatten()
        {
            let part =
                if path.is_empty() { &part[..] } else { part.strip_prefix(b"./").unwrap_or(&part) };
            if part.starts_with(b"/") {
                path.clear();
            } else if !path.is_empty() && !path.ends_with(b"/") {
                path.push(b'/');
            }
            path.extend(part);
        }
        Some(path)
    }

    fn text(&self, value: AttributeValue<Metered<'a>>) -> Option<Bytes> {
        bytes(&self.unit.attr_string(value).ok()?)
    }

    /// What the function of an entry is called: what is inlined, and what is declared elsewhere, has its name there.
    fn name(&self, entry: UnitOffset<usize>) -> Option<Bytes> {
        let mut elsewhere: Option<Unit<Metered<'a>>> = None;
        let mut entry = entry;
        for _ in 0..HOPS {
            let unit = elsewhere.as_ref().map_or(self.unit, |unit| unit.unit_ref(self.dwarf));
            let mut entries = unit.entries_raw(Some(entry)).ok()?;
            let kind = entries.read_abbreviation().ok()??;
            self.fuel.take(kind.attributes().len()).ok()?;
            let mut attributes = Vec::new();
            entries.read_attributes(kind.attributes(), &mut attributes).ok()?;
            let of = |name| attributes.iter().find(|attribute| attribute.name() == name);
            let linked = of(dw::DW_AT_linkage_name).or_else(|| of(dw::DW_AT_MIPS_linkage_name));
            let origin = of(dw::DW_AT_abstract_origin).or_else(|| of(dw::DW_AT_specification));
            let text = |value| bytes(&unit.attr_string(value).ok()?);
            match (linked, origin.map(Attribute::value)) {
                (Some(linked), _) => return Some(demangle::name(&text(linked.value())?)),
                (None, Some(AttributeValue::UnitRef(at))) => entry = at,
                (None, Some(AttributeValue::DebugInfoRef(at))) => {
                    let (unit, at) = self.elsewhere(at)?;
                    (elsewhere, entry) = (Some(unit), at);
                }
                _ => return text(of(dw::DW_AT_name)?.value()),
            }
        }
        None
    }

    /// The unit that an entry of another unit is in.
    fn elsewhere(&self, at: DebugInfoOffset) -> Option<(Unit<Metered<'a>>, UnitOffset<usize>)> {
        let mut units = self.dwarf.units();
        while let Some(header) = units.next().ok()? {
            if let Some(at) = at.to_unit_offset(&header) {
                return Some((self.fuel.tables(|| self.dwarf.unit(header)).ok()?, at));
            }
        }
        None
    }
}

fn call(attributes: &[Attribute<Metered<'_>>]) -> Option<Line> {
    let value = |name| {
        let attribute = attributes.iter().find(|attribute| attribute.name() == name)?;
        match attribute.value() {
            AttributeValue::FileIndex(file) => Some(file),
            _ => attribute.udata_value(),
        }
    };
    Some((value(dw::DW_AT_call_file)?, value(dw::DW_AT_call_line)?))
}

fn bytes(text: &Metered<'_>) -> Option<Bytes> {
    let text = text.to_slice().ok()?;
    Some(text[..text.len().min(TEXT)].to_vec()).filter(|text| !text.is_empty())
}
