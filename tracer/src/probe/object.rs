//! The compiled probes; `cargo xtask ebpf` rebuilds them.
use anyhow::{Context as _, Result, ensure};
use lz4_flex::block::decompress_size_prepended;
use object::{File, Object as _, ObjectSection as _, ObjectSymbol as _};
use tracer_common::LAYOUT;

/// An ELF file, packed by xtask/src/build/ebpf.rs and checked in: the program is a fifth smaller so.
static OBJECT: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/whybus.bpf.o.lz4"));

/// The same probes, which say what they decide as well.
static LOG_OBJECT: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/whybus-log.bpf.o.lz4"));

/// include/uapi/linux/bpf.h
const BPF_MAP_TYPE_LRU_HASH: u32 = 9;

/// The object with the probes.
///
/// # Errors
/// Where it is damaged.
pub fn object() -> Result<Vec<u8>> {
    decompress_size_prepended(OBJECT).context("unpacking the probes")
}

/// The object whose probes say what they decide.
///
/// # Errors
/// Where it is damaged.
pub fn log_object() -> Result<Vec<u8>> {
    decompress_size_prepended(LOG_OBJECT).context("unpacking the probes that log")
}

/// Sees that the object was compiled from the structs that we read it with.
///
/// # Errors
/// Where it was not.
pub fn check_layout(object: &[u8]) -> Result<()> {
    let layout = layout(object).context("the probes do not say which layout they have")?;
    ensure!(
        layout == LAYOUT,
        "the probes have layout {layout:08x}, this whybus {LAYOUT:08x}: the object was not built from \
         the sources of this program (`cargo xtask ebpf`)"
    );
    Ok(())
}

/// The LRU maps of an object, with how many entries each has at least.
pub fn lru_maps(object: &[u8]) -> Vec<(String, u32)> {
    let Ok(file) = File::parse(object) else { return Vec::new() };
    let Some(section) = file.section_by_name("maps") else { return Vec::new() };
    let Ok(data) = section.data() else { return Vec::new() };
    let in_section =
        file.symbols().filter(|symbol| symbol.section_index() == Some(section.index()));
    let maps = in_section.filter_map(|symbol| {
        // `struct bpf_map_def`: type, key_size, value_size, max_entries, …
        let definition = data.get(usize::try_from(symbol.address()).ok()?..)?;
        let word = |at: usize| Some(u32::from_le_bytes(*definition.get(at..)?.first_chunk()?));
        let name = symbol.name().ok()?.to_owned();
        (word(0)? == BPF_MAP_TYPE_LRU_HASH).then_some((name, word(12)?))
    });
    maps.collect()
}

/// `Config::layout`, the first field of the object's global.
fn layout(object: &[u8]) -> Option<u32> {
    let file = File::parse(object).ok()?;
    let config = file.symbols().find(|symbol| symbol.name() == Ok("CONFIG"))?;
    let section = file.section_by_index(config.section_index()?).ok()?;
    let data = section.data().ok()?.get(usize::try_from(config.address()).ok()?..)?;
    Some(u32::from_le_bytes(*data.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Vec<u8> {
        object().expect("`cargo xtask ebpf` was run")
    }

    #[test]
    fn the_object_has_our_layout() {
        check_layout(&ours()).expect("`cargo xtask ebpf` was run");
    }

    #[test]
    fn the_object_that_logs_has_the_same_maps_and_layout() {
        let object = log_object().expect("`cargo xtask ebpf` was run");
        check_layout(&object).expect("`cargo xtask ebpf` was run");
        assert_eq!(lru_maps(&object), lru_maps(&ours()));
    }

    #[test]
    fn every_lru_map_is_found() {
        let maps = lru_maps(&ours());
        assert!(maps.contains(&("SHRINKS".to_owned(), 8_192)), "{maps:?}");
        assert!(maps.contains(&("VICTIMS".to_owned(), 4_096)), "{maps:?}");
        let others = ["RINGS", "CRITICAL", "FAULT"];
        assert!(maps.iter().all(|(name, _)| !others.contains(&&**name)), "{maps:?}");
        assert_eq!(lru_maps(b"no object"), []);
        assert_eq!(lru_maps(&ours()[..ours().len() / 2]), []);
    }

    #[test]
    fn another_layout_is_refused() {
        // Wherever it stands in the object, it is not ours any more.
        let mut other = ours();
        let layout = LAYOUT.to_le_bytes();
        for at in 0..other.len() - layout.len() {
            if other[at..].starts_with(&layout) {
                other[at] ^= 1;
            }
        }
        assert!(check_layout(&other).is_err());
        assert!(check_layout(b"no object").is_err());
        assert!(check_layout(&ours()[..ours().len() / 2]).is_err());
    }
}
