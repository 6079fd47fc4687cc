//! Stacks of this process, captured as the kernel captures those of a thread that dies.
use std::{
    fs::{self, File},
    hint::black_box,
    os::unix::{ffi::OsStrExt as _, fs::FileExt as _, fs::MetadataExt as _},
    sync::Mutex,
    thread,
};

use super::*;
use crate::{
    host::proc::maps,
    model::{
        file::{Inode, Path},
        stack::Registers,
        task::ProcessId,
    },
    parse::protocol::{Files, Place},
    text::demangle,
};

/// The registers of the function that it stands in.
macro_rules! registers {
    () => {{
        let mut registers = Registers { ip: 0, sp: 0, fp: 0, lr: 0 };
        #[cfg(target_arch = "x86_64")]
        // SAFETY: registers are read only.
        unsafe {
            std::arch::asm!(
                "lea {ip}, [rip]", "mov {sp}, rsp", "mov {fp}, rbp",
                ip = out(reg) registers.ip, sp = out(reg) registers.sp, fp = out(reg) registers.fp,
            );
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: registers are read only.
        unsafe {
            std::arch::asm!(
                "adr {ip}, .", "mov {sp}, sp", "mov {fp}, x29", "mov {lr}, x30",
                ip = out(reg) registers.ip, sp = out(reg) registers.sp, fp = out(reg) registers.fp,
                lr = out(reg) registers.lr,
            );
        }
        registers
    }};
}

const MACHINE: u32 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };

#[inline(never)]
fn innermost(depth: u32) -> Sample {
    let registers = registers!();
    let mut bytes = vec![0; 64 << 10];
    let memory = File::open("/proc/self/mem").expect("our own memory");
    let size = memory.read_at(&mut bytes, registers.sp).expect("our own stack");
    bytes.truncate(black_box(size.min(usize::MAX - depth as usize)));
    Sample {
        process: ProcessId { tgid: std::process::id(), start: 0 },
        tid: 7,
        act: None,
        machine: MACHINE,
        registers: Some(registers),
        chain: Vec::new(),
        modules: modules(),
        bytes,
    }
}

#[inline(never)]
fn middle(depth: u32) -> Sample {
    let sample = if depth == 0 { innermost(depth) } else { middle(depth - 1) };
    black_box(sample)
}

#[inline(never)]
fn outermost(depth: u32) -> Sample {
    let room = black_box([depth; 100]);
    let sample = middle(room[1]);
    black_box(sample)
}

/// What a thread of its own has on its stack; `middle` has called itself so often.
fn captured(depth: u32) -> Sample {
    thread::spawn(move || outermost(depth)).join().expect("no panic")
}

/// The files that this process runs code of.
fn modules() -> Vec<Mapping> {
    let text = fs::read("/proc/self/maps").expect("proc");
    let runs = maps::parse(&text).filter(|mapping| mapping.executable);
    runs.filter_map(|mapping| {
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(&mapping.path));
        let meta = fs::metadata(path).ok()?;
        let mut inode: Inode = crate::testing::fault(0, meta.len()).inode;
        inode.id.ino = meta.ino();
        inode.ctime = meta.ctime() * 1_000_000_000 + meta.ctime_nsec();
        let names = mapping.path.split(|byte| *byte == b'/').skip(1).map(<[u8]>::to_vec);
        Some(Mapping {
            start: mapping.start,
            end: mapping.end,
            offset: mapping.file_offset,
            inode,
            path: Path { names: names.collect(), ..Path::default() },
        })
    })
    .collect()
}

fn told(sample: &Sample) -> Stack {
    frames(sample, &[], &Parser::here())
}

/// The functions, without the path to them.
fn functions(stack: &Stack) -> Vec<String> {
    let name = |frame: &Frame| {
        let name = demangle::name(frame.symbol.as_deref().unwrap_or(b"?"));
        let name = String::from_utf8_lossy(&name).into_owned();
        let ours = name.strip_prefix("whybus::enrich::stack::tests::");
        ours.map(str::to_owned).unwrap_or(name)
    };
    stack.frames.iter().map(name).collect()
}

#[test]
fn a_stack_is_unwound_to_the_start_of_its_thread() {
    let stack = told(&captured(0));
    let functions = functions(&stack);
    assert_eq!(functions[..3], ["innermost", "middle", "outermost"], "{functions:#?}");
    assert!(functions.iter().any(|name| name.contains("thread")), "{functions:#?}");
    assert_eq!(stack.cut, None, "{functions:#?}");
    assert!(stack.frames.iter().all(|frame| frame.module.is_some()), "{stack:?}");
    let ours = std::env::current_exe().expect("a path");
    assert_eq!(stack.frames[0].module.as_deref(), Some(ours.as_os_str().as_bytes()));
}

#[test]
fn a_function_that_calls_itself_is_there_as_often() {
    let stack = told(&captured(5));
    let functions = functions(&stack);
    assert_eq!(functions.iter().filter(|name| *name == "middle").count(), 6, "{functions:#?}");
    let many = told(&captured(2 * FRAMES as u32));
    assert_eq!((many.frames.len(), many.cut), (FRAMES, Some(Cut::Many)));
}

static HANDLED: Mutex<Option<Sample>> = Mutex::new(None);

extern "C" fn handler(_signal: i32) {
    *HANDLED.lock().expect("no panic") = Some(innermost(0));
}

#[inline(never)]
fn interrupted() {
    // SAFETY: the handler takes a lock that nobody has who is interrupted by it.
    unsafe {
        libc::signal(libc::SIGUSR2, handler as *const () as libc::sighandler_t);
        libc::pthread_kill(libc::pthread_self(), libc::SIGUSR2);
    }
    black_box(());
}

#[test]
fn a_handler_is_called_by_a_signal() {
    thread::spawn(interrupted).join().expect("no panic");
    let sample = HANDLED.lock().expect("no panic").take().expect("a signal");
    let functions = functions(&told(&sample));
    let of = |name: &str| functions.iter().position(|function| function == name);
    let signal = of("<signal handler called>").unwrap_or_else(|| panic!("{functions:#?}"));
    assert_eq!(functions[..2], ["innermost", "handler"], "{functions:#?}");
    assert_eq!(signal, 2, "{functions:#?}");
    assert!(of("interrupted").is_some_and(|at| at > signal), "{functions:#?}");
}

#[test]
fn what_was_not_captured_is_said_to_be_missing() {
    let whole = captured(0);
    let all = told(&whole).frames;
    for size in [0, 8, 100, 700, 1_500] {
        let mut sample = whole.clone();
        sample.bytes.truncate(size);
        let stack = told(&sample);
        assert!(all.starts_with(&stack.frames) && stack.frames.len() < all.len(), "{size}");
        assert_eq!(stack.cut, Some(Cut::Captured), "{size}");
        // The kernel has walked further, which helps from a caller on.
        sample.chain = all.iter().map(|frame| frame.ip).collect();
        let further = told(&sample);
        let expected = match stack.frames.len() {
            1 => (stack.frames, Some(Cut::Captured)),
            _ => (all.clone(), None),
        };
        assert_eq!((further.frames, further.cut), expected, "{size}");
    }
}

#[test]
fn without_registers_the_innermost_frame_is_told() {
    let mut sample = captured(0);
    let all = told(&sample).frames;
    sample.registers = None;
    assert_eq!(told(&sample).frames, []);
    sample.chain = all.iter().map(|frame| frame.ip).collect();
    let stack = told(&sample);
    // Its caller may be missing from the chain.
    assert_eq!((stack.frames.as_slice(), stack.cut), (&all[..1], Some(Cut::Unwind)));
}

#[test]
fn a_file_that_cannot_be_read_ends_the_stack_without_a_wrong_frame() {
    let mut sample = captured(0);
    let all = told(&sample).frames;
    for module in &mut sample.modules {
        module.inode.ctime += 1;
    }
    let stack = told(&sample);
    let first = &stack.frames[0];
    assert_eq!((first.offset, &first.module), (all[0].offset, &all[0].module));
    assert_eq!((&first.symbol, &first.build_id), (&None, &None));
    assert!(stack.cut.is_some());
    let addresses: Vec<u64> = all.iter().map(|frame| frame.ip).collect();
    assert!(stack.frames.iter().all(|frame| addresses.contains(&frame.ip)), "{stack:?}");
}

#[test]
fn a_call_of_nothing_has_its_caller() {
    let mut sample = captured(0);
    let all = told(&sample);
    let Some(registers) = &mut sample.registers else { panic!("registers") };
    // As if `outermost` had called through a null pointer where it called `middle`.
    let at = all.frames[2].ip;
    let words =
        sample.bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("8")));
    let slot = words.into_iter().position(|word| word == at).expect("its return address") * 8;
    (registers.ip, registers.lr) = (0, at);
    registers.sp += slot as u64 + if cfg!(target_arch = "aarch64") { 8 } else { 0 };
    sample.bytes.drain(..slot);
    let stack = told(&sample);
    assert_eq!((stack.frames[0].ip, &stack.frames[0].module), (0, &None));
    assert_eq!(stack.frames[1], all.frames[2]);
}

#[test]
fn absurd_samples_are_no_trouble() {
    let whole = captured(0);
    let values = [0, 1, 7, 0xffff, 1 << 47, i64::MAX as u64, u64::MAX - 8, u64::MAX];
    for value in values {
        let mut sample = whole.clone();
        sample.registers = Some(Registers { ip: value, sp: value, fp: value, lr: value });
        sample.chain = vec![value; 200];
        told(&sample);
        sample.registers = whole.registers.map(|registers| Registers { sp: value, ..registers });
        told(&sample);
        sample.registers = whole.registers.map(|registers| Registers { fp: value, ..registers });
        told(&sample);
        let mut sample = whole.clone();
        for module in &mut sample.modules {
            module.offset = value;
        }
        told(&sample);
        for module in &mut sample.modules {
            (module.start, module.end) = (module.end, value);
        }
        told(&sample);
    }
}

/// Frames are told where they are known to be, whatever a process answers that somebody has taken over.
#[test]
fn an_answer_is_not_believed() {
    let sample = captured(0);
    let (modules, _) = super::modules(&sample, &[]);
    let known = || Known::innermost(&sample, &modules);
    let bare = |module| Bare { ip: 7, module, offset: Some(9), signal: false };
    let unwound = |frames| Answer::Unwound { frames, cut: None };
    let named = |at, frame: Frame, count| Answer::Named { at, frames: vec![frame; count] };
    let long = Frame { symbol: Some(vec![b'x'; TEXT + 1]), ..Frame::default() };
    for wrong in [
        unwound(vec![bare(None); FRAMES + 1]),
        unwound(vec![bare(Some(modules.len()))]),
        named(0, Frame::default(), 1),
        Answer::Other,
        Answer::Instruction(Default::default()),
    ] {
        assert!(!known().take(wrong, modules.len()));
    }
    for wrong in [
        unwound(Vec::new()),
        named(1, Frame::default(), 1),
        named(0, Frame::default(), 0),
        named(0, Frame::default(), INLINED + 1),
        named(0, long, 1),
    ] {
        let mut known = known();
        assert!(known.take(unwound(vec![bare(Some(0))]), modules.len()));
        assert!(!known.take(wrong, modules.len()));
    }
    let mut known = known();
    assert!(known.take(unwound(vec![bare(Some(0))]), modules.len()));
    let lie = Frame { ip: 1, offset: Some(1), module: Some(b"/lie".to_vec()), ..Frame::default() };
    assert!(known.take(named(0, lie, 2), modules.len()));
    let frames = known.frames(&modules);
    let ours =
        |frame: &Frame| (frame.ip, frame.offset) == (7, Some(9)) && frame.module == modules[0].path;
    assert!(frames.len() == 2 && frames.iter().all(ours), "{frames:?}");
}

/// What was told before it ended counts; where nothing was, the instruction is known without a file.
#[test]
fn who_ends_early_costs_names_and_not_frames() {
    let sample = captured(0);
    let all = told(&sample);
    let silent = Parser::answering(drop);
    let stack = frames(&sample, &[], &silent);
    let first = Frame {
        symbol: None,
        symbol_offset: None,
        build_id: None,
        address: None,
        source: None,
        line: None,
        ..all.frames[0].clone()
    };
    assert_eq!((stack.frames, stack.cut), (vec![first.clone()], Some(Cut::Parser)));
    let unasked = innermost_only(&sample);
    assert_eq!((unasked.frames, unasked.cut), (vec![first.clone()], Some(Cut::Parser)));
    let failures = silent.failures();
    assert!(failures.count == 1 && failures.last.contains("ended"), "{failures:?}");
    let unnamed = Parser::answering(|channel| {
        let frame = |nth| Bare { ip: nth, module: None, offset: None, signal: nth == 1 };
        let answer = Answer::Unwound { frames: (0..3).map(frame).collect(), cut: None };
        let _ = channel
            .send(&answer, &[])
            .and_then(|()| channel.send(&Answer::Died { signal: 11 }, &[]));
    });
    let stack = frames(&sample, &[], &unnamed);
    let symbols: Vec<_> = stack.frames.iter().map(|frame| frame.symbol.as_deref()).collect();
    assert_eq!((symbols, stack.cut), (vec![None, Some(SIGNAL_FRAME), None], None));
}

/// Whoever parses may be the victim's by then, and ask for any file beside the program. Nobody but a process that parses
/// reads what it asks for: a server may never answer.
#[test]
fn a_file_that_is_asked_for_is_of_that_build_as_another_process_says() {
    static GOT: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let parser = Parser::answering(|channel| match channel.receive::<Request>(None) {
        Ok((Request::Stack(_), _)) => {
            for link in ["secret", "debug"] {
                let (build_id, link) = (b"a build".to_vec(), Some(link.into()));
                let wanted = Answer::Wanted { module: 0, build_id, link };
                channel.send(&wanted, &[]).expect("room");
                let (_, files) = channel.receive::<Files>(None).expect("an answer");
                GOT.lock().expect("ours").push(files.len());
            }
            channel.send(&Answer::Done { left: 0 }, &[]).expect("room");
        }
        Ok((Request::Instruction { .. }, files)) => {
            let text = files.into_iter().map(|file| std::io::read_to_string(File::from(file)));
            let text: String = text.map(|text| text.expect("a file")).collect();
            let place = Place { build_id: Some(text.into_bytes()), ..Place::default() };
            channel.send(&Answer::Instruction(place), &[]).expect("room");
            channel.send(&Answer::Done { left: 0 }, &[]).expect("room");
        }
        _ => {}
    });
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("secret"), "a password").expect("room");
    fs::write(directory.path().join("debug"), "a build").expect("room");
    let mut sample = captured(0);
    let program = directory.path().join("program");
    let names = program.as_os_str().as_bytes().split(|byte| *byte == b'/').skip(1);
    sample.modules.truncate(1);
    sample.modules[0].path.names = names.map(<[u8]>::to_vec).collect();
    frames(&sample, &[], &parser);
    assert_eq!(*GOT.lock().expect("ours"), [0, 1]);
}
