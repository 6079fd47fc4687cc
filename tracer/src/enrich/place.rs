//! The file that the instruction of a fault lies in, and its function: read while the process is there.
use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
    time::Duration,
};

use crate::{
    enrich::{open, parser::Parser, process},
    host::proc::maps::{Mapping, parse},
    model::{
        Bytes,
        fact::{Place, Symbol},
        fault::Fault,
        file::name,
        process::ProcessExit,
        task::Task,
    },
    parse::protocol::{self, Answer, Request, TEXT},
};

/// Of the list of mappings no more is read: some 100,000 of them.
const MAPS: u64 = 16 << 20;
/// So long a file may be read.
pub(super) const TIMEOUT: Duration = Duration::from_millis(900);

/// Where a fault happened in its program. `None` if its process is gone or runs another program by now, or if the
/// instruction lies in no file.
pub fn of_fault(fault: &Fault, parser: &Parser) -> Option<Place> {
    let (ip, task) = (fault.ip?, &fault.actor.task);
    let mapping = mapping(task.id.tgid, ip)?;
    let offset = ip - mapping.start + mapping.file_offset;
    let file = mapped(task.id.tgid, &mapping);
    // Until now these were its mappings. The file is open: what Go's handler ends is gone before it is read.
    runs_still(task).then_some(())?;
    let told =
        file.map(|file| told(file, offset, &mapping.path, TIMEOUT, parser)).unwrap_or_default();
    let protocol::Place { function, build_id, address } = told;
    let victim = task.id;
    let symbol =
        function.map(|function| Symbol { victim, name: function.name, offset: function.offset });
    let module = mapping.path;
    Some(Place { victim, ip, module, offset, address, symbol, build_id })
}

/// The function that the last fault of a process happened in. Its file is looked for as we see it
/// and as the ancestors do, one of which may share the victim's mount namespace; it is the file only
/// if its inode number is the one the kernel told, and its device, where that can be compared.
pub fn of_death(death: &ProcessExit, parser: &Parser) -> Option<Symbol> {
    let module = death.module.as_ref()?;
    let path = name(&module.path, &[]).0?;
    let ancestors = death.actor.ancestors.iter().map(|ancestor| ancestor.id.tgid);
    let file = open::regular(&path, ancestors, |meta| meta.ino() == module.id.ino)?;
    open::lies_on(&file, module.id.dev).then_some(())?;
    let function = told(file, module.offset, &path, TIMEOUT, parser).function?;
    Some(Symbol { victim: death.exit.id, name: function.name, offset: function.offset })
}

/// The build id of a file.
pub(super) fn build_id(
    file: File,
    path: &[u8],
    timeout: Duration,
    parser: &Parser,
) -> Option<Bytes> {
    // No file has that byte, so that none is looked for.
    told(file, u64::MAX, path, timeout, parser).build_id
}

/// What a file says of one of its bytes.
fn told(
    file: File,
    offset: u64,
    path: &[u8],
    timeout: Duration,
    parser: &Parser,
) -> protocol::Place {
    let mut told = None;
    let mut take = |answer: Answer| match answer {
        Answer::Instruction(place) if told.is_none() => {
            let texts = [place.function.as_ref().map(|f| &f.name), place.build_id.as_ref()];
            let short = texts.into_iter().flatten().all(|text| text.len() <= TEXT);
            told = Some(place).filter(|_| short);
            short
        }
        _ => false,
    };
    let request = Request::Instruction { offset };
    let asked = parser.ask(&request, &[file], timeout, &mut |_, _, _| Vec::new(), &mut take);
    if let Err(why) = asked {
        parser.failed(Some(path), &why);
    }
    told.unwrap_or_default()
}

/// The mapping of a file that `ip` lies in.
fn mapping(tgid: u32, ip: u64) -> Option<Mapping> {
    let mut text = Vec::new();
    File::open(format!("/proc/{tgid}/maps")).ok()?.take(MAPS).read_to_end(&mut text).ok()?;
    parse(&text).find(|mapping| mapping.executable && (mapping.start..mapping.end).contains(&ip))
}

/// The file that is mapped, by the kernel's own link to it, whatever its path leads to by now. Devices are not opened.
fn mapped(tgid: u32, mapping: &Mapping) -> Option<File> {
    let link = format!("/proc/{tgid}/map_files/{:x}-{:x}", mapping.start, mapping.end);
    let is_it = |link: &Path| {
        let target = fs::read_link(link).ok()?;
        let target = target.as_os_str().as_bytes();
        let path: Bytes = target.strip_suffix(b" (deleted)").unwrap_or(target).to_vec();
        let meta = fs::metadata(link).ok()?;
        (path == mapping.path && meta.is_file()).then_some(())
    };
    is_it(link.as_ref())?;
    let file = File::open(&link).ok()?;
    // Nothing else was mapped there in between.
    is_it(link.as_ref()).map(|()| file)
}

/// Whether the task is there and has run no other program since.
fn runs_still(task: &Task) -> bool {
    let comm = fs::read(format!("/proc/{}/task/{}/comm", task.id.tgid, task.tid));
    let same = comm.is_ok_and(|comm| comm.strip_suffix(b"\n") == Some(&task.thread_comm));
    same && process::is_there(task.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::task::ProcessId, testing::fault};

    #[inline(never)]
    extern "C" fn geo_lookup(at: u64) -> u64 {
        std::hint::black_box(at + 1)
    }

    /// A fault of this thread in `geo_lookup`.
    fn ours() -> Fault {
        let mut fault = fault(0, 0);
        let task = &mut fault.actor.task;
        task.id = ProcessId { tgid: std::process::id(), start: 0 };
        task.tid = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
        task.comm = b"the leader".to_vec();
        task.thread_comm = fs::read("/proc/thread-self/comm").expect("a name");
        task.thread_comm.pop();
        fault.ip = Some(geo_lookup as *const () as u64);
        fault
    }

    #[test]
    fn an_instruction_has_a_file_and_a_function() {
        let place = of_fault(&ours(), &Parser::here()).expect("a place");
        let exe = std::env::current_exe().expect("a path");
        assert_eq!(place.module, exe.as_os_str().as_bytes());
        // Only root may follow the link.
        if rustix::process::geteuid().is_root() {
            let symbol = place.symbol.expect("a function");
            assert!(String::from_utf8_lossy(&symbol.name).contains("geo_lookup"), "{symbol:?}");
            assert_eq!(symbol.offset, 0);
        }
    }

    #[test]
    fn another_process_or_program_is_not_asked() {
        let (mut reused, mut executed) = (ours(), ours());
        reused.actor.task.id.start = 1;
        executed.actor.task.thread_comm = b"before".to_vec();
        let gone = Fault { ip: ours().ip, ..fault(0, 0) };
        assert_eq!(
            [reused, executed, gone].map(|fault| of_fault(&fault, &Parser::here())),
            [None, None, None]
        );
    }

    #[test]
    fn data_and_anonymous_memory_are_no_place() {
        static DATA: [u8; 1] = [7];
        let heap = Box::new(0_u8);
        for ip in [&raw const *heap as u64, DATA.as_ptr() as u64, 0] {
            assert_eq!(of_fault(&Fault { ip: Some(ip), ..ours() }, &Parser::here()), None);
        }
    }
}
