//! Files of /proc, of programs and of container runtimes.
use std::{
    fs::File,
    io::{Seek as _, Write as _},
};

use rustix::fs::{MemfdFlags, memfd_create};
use whybus::{
    enrich::process::Stat,
    host::{
        bolt, privilege,
        proc::{fdinfo, maps, mountinfo},
        runtime_state,
    },
    model::stack::Registers,
    parse::{
        protocol::{FRAMES, INLINED, Module, Range, Thread},
        unwind::{Known, frames},
    },
};

pub fn proc(bytes: &[u8]) {
    for mapping in maps::parse(bytes) {
        assert!(mapping.start <= mapping.end);
    }
    let mounts = mountinfo::parse(bytes);
    for mount in &mounts {
        let _ = mountinfo::opened_through(bytes, &mount.point);
    }
    let _ = mountinfo::with_option(bytes, b"cgroup", b"pids");
    let _ = (fdinfo::connection(bytes), Stat::parse(bytes).map(|stat| stat.start()));
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = privilege::effective(text);
    }
}

fn file(bytes: &[u8]) -> File {
    let mut file = File::from(memfd_create("fuzz", MemfdFlags::CLOEXEC).expect("memory"));
    file.write_all(bytes).and_then(|()| file.rewind()).expect("memory");
    file
}

/// A database of pages of 1 KiB, both of whose states have the checksum they should.
pub fn bolt(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    for start in [16, 1_024 + 16] {
        if let Some(state) = bytes.get_mut(start..start + 64) {
            let (state, checksum) = state.split_at_mut(56);
            let sum = state.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
            });
            checksum.copy_from_slice(&sum.to_le_bytes());
        }
    }
    let file = file(&bytes);
    let paths: [&[&[u8]]; 2] = [&[b"v1", b"web"], &[]];
    for path in paths {
        let _ = bolt::get(&file, path, b"image");
        let _ = bolt::get(&file, path, b"version");
    }
}

pub fn runtimes(bytes: &[u8]) {
    let id = "0123456789abcdef".repeat(4);
    let cgroup = format!("/docker/{id}");
    let _ = runtime_state::docker(bytes, &id);
    let _ = runtime_state::containerd(bytes, &id, cgroup.as_bytes());
    let _ = runtime_state::cri_o(bytes, &id);
    let _ = runtime_state::podman(bytes, &id);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = runtime_state::logs_of(text, "12345678-9abc-def0-1234-56789abcdef0");
        let _ = runtime_state::linked(text, &id, "geo-api");
    }
}

/// Where the program is mapped, whole.
const BASE: u64 = 0x40_0000;
/// Four places in the program, before its file: the instruction and what the stack holds.
const HEAD: usize = 8;

/// A program, which is also its own file of debug information, and a stack of a process that ran it: functions, unwinding,
/// lines, Go's tables.
pub fn elf(bytes: &[u8]) {
    let Some((places, elf)) = bytes.split_at_checked(HEAD) else { return };
    let size = elf.len() as u64;
    let places: Vec<u64> = places
        .chunks_exact(2)
        .map(|two| BASE + u64::from(u16::from_le_bytes([two[0], two[1]])) % size.max(1))
        .collect();
    let stack = 0x7fff_0000;
    let words =
        (0..64).map(|at| if at % 3 == 0 { stack + 8 * at } else { places[at as usize % 4] });
    for machine in [62, 183] {
        let range = Range { start: BASE, end: BASE + size.next_multiple_of(4096), offset: 0 };
        let thread = Thread {
            machine,
            registers: Some(Registers { ip: places[0], sp: stack, fp: stack + 24, lr: places[1] }),
            chain: vec![places[0], places[2]],
            bytes: words.clone().flat_map(u64::to_le_bytes).collect(),
            modules: vec![Module { mappings: vec![range], file: true }],
        };
        frames(
            &thread,
            vec![Some(file(elf))],
            &|_, _, _| vec![file(elf)],
            &mut |known| match known {
                Known::Unwound(found, _) => {
                    assert!(found.len() <= FRAMES, "{} frames", found.len())
                }
                Known::Named(_, found) => {
                    assert!(found.len() <= INLINED, "{} inlined", found.len())
                }
            },
        );
    }
}
