//! How processes end and start.
use anyhow::Result;
use bytes::Buf;
use tracer_common::event as wire;

use crate::{
    model::{
        crash::Crash,
        output::{LastOutput, OpenFile},
        process::{Exit, Module, ProcessExit, ProcessStart, Program, SelfSignal},
        task::ProcessId,
    },
    wire::decode::{
        file::{dev, file_id, inode, path},
        task::actor,
    },
};

/// include/linux/fs.h
const FMODE_WRITE: u32 = 2;

/// `wire::Exit`
pub fn exit(b: &mut &[u8], time: u64) -> Result<ProcessExit> {
    let actor = actor(b);
    // The kernel remembers these by the tgid alone: what is older is of an earlier process that had it.
    let is_own = |raised: &SelfSignal| raised.time >= actor.task.id.start;
    let (fault, own) = (self_signal(b).filter(is_own), self_signal(b).filter(is_own));
    let (exe, module) = (file_id(b), file_id(b));
    let offset = b.get_u64_le();
    let code = b.get_u32_le();
    let flags = b.get_u32_le();
    let (path_flags, path_len) = (b.get_u32_le(), b.get_u32_le());
    let path = path(b, path_flags, path_len)?;
    Ok(ProcessExit {
        exit: Exit { id: actor.task.id, time, code },
        actor,
        exe,
        fault,
        own,
        module: module.map(|id| Module { id, offset, path }),
        crash: None,
        oom: flags & wire::EXIT_OOM != 0,
        signals_left: flags & wire::EXIT_SIGNALS_LEFT != 0,
        prompt: None,
    })
}

/// `wire::Crash`
pub fn crash(b: &mut &[u8]) -> Crash {
    let start = b.get_u64_le();
    let (tgid, tid) = (b.get_u32_le(), b.get_u32_le());
    let ip = b.get_u64_le();
    let (signal, code) = (b.get_i32_le(), b.get_i32_le());
    let module = Some(inode(b)).filter(|module| module.id.ino != 0);
    let mut bytes = b.copy_to_bytes(wire::CODE).to_vec();
    let registers: Vec<u64> = (0..wire::REGISTERS).map(|_| b.get_u64_le()).collect();
    bytes.truncate(b.get_u32_le() as usize);
    let registers = (b.get_u32_le() as usize == wire::REGISTERS).then_some(registers);
    let machine = b.get_u32_le();
    let id = ProcessId { tgid, start };
    Crash { id, tid, ip, signal, code, module, bytes, registers, machine }
}

/// `wire::SelfSignal`; `None` if there was none.
fn self_signal(b: &mut &[u8]) -> Option<SelfSignal> {
    let time = b.get_u64_le();
    let address = b.get_u64_le();
    let ip = Some(b.get_u64_le()).filter(|ip| *ip != 0);
    let (signal, code, tid) = (b.get_i32_le(), b.get_i32_le(), b.get_u32_le());
    let may_be_sent = b.get_u32_le() != 0;
    (time != 0).then_some(SelfSignal { time, address, ip, signal, code, tid, may_be_sent })
}

/// `wire::Start`
pub fn start(b: &mut &[u8]) -> ProcessStart {
    let (actor, exe) = (actor(b), file_id(b));
    ProcessStart { actor, exe, forked: b.get_u32_le() != 0 }
}

/// `wire::Program`
pub fn program(b: &mut &[u8]) -> Result<Program> {
    let start = b.get_u64_le();
    let tgid = b.get_u32_le();
    let (path_flags, path_len) = (b.get_u32_le(), b.get_u32_le());
    b.advance(4);
    Ok(Program { id: ProcessId { tgid, start }, path: path(b, path_flags, path_len)? })
}

/// `wire::Output`
pub fn output(b: &mut &[u8]) -> Result<LastOutput> {
    let start = b.get_u64_le();
    let inode = inode(b);
    let moved = b.get_i64_le() > 0;
    let mut bound = b.copy_to_bytes(wire::SOCKET_NAME).to_vec();
    bound.truncate(bound.iter().position(|byte| *byte == 0).unwrap_or(bound.len()));
    let (ino, on) = (b.get_u64_le(), dev(b.get_u32_le()));
    let bound = (ino != 0 && !bound.is_empty()).then_some((bound, ino, on));
    let id = ProcessId { tgid: b.get_u32_le(), start };
    let descriptors = b.get_u32_le();
    let writable = b.get_u32_le() & FMODE_WRITE != 0;
    let (device, mnt_ns) = (dev(b.get_u32_le()), b.get_u32_le());
    let mount = u32::try_from(b.get_i32_le()).ok();
    let (path_flags, path_len) = (b.get_u32_le(), b.get_u32_le());
    b.advance(4);
    let path = path(b, path_flags, path_len)?;
    let file = OpenFile { inode, writable, moved, device, mnt_ns, mount, path, bound };
    let file = Some(file).filter(|file| file.inode.ptr != 0);
    let has = |number: u32| descriptors & 1 << number != 0;
    Ok(LastOutput { id, stdout: has(1), stderr: has(2), file })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{file::Dev, input::KernelEvent, task::ProcessId},
        wire::decode::{
            decode,
            testing::{bytes, zeroed},
        },
    };

    fn decoded(exit: &wire::Exit, path: &[u8]) -> ProcessExit {
        let mut raw = bytes(exit, path);
        raw[24..32].copy_from_slice(&9_u64.to_le_bytes());
        match decode(&raw).expect("an event").1 {
            Some(KernelEvent::ProcessExit(exit)) => *exit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_field_of_an_exit() {
        let mut sent: wire::Exit = zeroed();
        (sent.actor.task.tgid, sent.actor.task.start_time) = (1, 2);
        sent.last_signals.fault = wire::SelfSignal {
            time: 3,
            address: 4,
            ip: 5,
            signal: 11,
            code: 1,
            tid: 6,
            may_be_sent: 1,
        };
        sent.last_signals.self_sent.time = 7;
        sent.last_signals.self_sent.signal = 6;
        (sent.exe.ino, sent.module.ino, sent.module_offset) = (10, 11, 12);
        (sent.code, sent.flags, sent.path_len) = (139, 1, 5);
        let exit = decoded(&sent, b"libc\0");
        let id = ProcessId { tgid: 1, start: 2 };
        assert_eq!(exit.exit, Exit { id, time: 9, code: 139 });
        assert_eq!(exit.actor.task.id, id);
        let fault = SelfSignal {
            time: 3,
            address: 4,
            ip: Some(5),
            signal: 11,
            code: 1,
            tid: 6,
            may_be_sent: true,
        };
        assert_eq!(exit.fault, Some(fault));
        assert_eq!(exit.own.map(|own| (own.time, own.ip, own.signal)), Some((7, None, 6)));
        sent.actor.task.start_time = 4;
        let later = decoded(&sent, b"libc\0");
        assert_eq!((later.fault, later.own.is_some()), (None, true), "of an earlier process");
        assert_eq!(exit.exe.map(|exe| exe.ino), Some(10));
        let module = exit.module.expect("a module");
        assert_eq!((module.id.ino, module.offset), (11, 12));
        assert_eq!(module.path.names, [b"libc".to_vec()]);
        assert!(exit.oom && !exit.signals_left);
        sent.flags = wire::EXIT_SIGNALS_LEFT;
        let exit = decoded(&sent, b"libc\0");
        assert!(!exit.oom && exit.signals_left);
    }

    #[test]
    fn one_of_which_little_is_known() {
        let exit = decoded(&zeroed(), b"");
        assert_eq!((exit.fault, exit.own, exit.exe, exit.module), (None, None, None, None));
        assert!(!exit.oom);
    }

    #[test]
    fn crashes() {
        let mut sent: wire::Crash = zeroed();
        (sent.tgid, sent.tid, sent.start_time, sent.ip) = (1, 2, 3, 4);
        (sent.signal, sent.code, sent.machine) = (11, 0x80, 62);
        (sent.module.ino, sent.module.ctime) = (5, 6);
        (sent.bytes[0], sent.bytes_len) = (0xf4, 2);
        (sent.registers[20], sent.registers_len) = (7, wire::REGISTERS as u32);
        let crash = |sent: &wire::Crash| match decode(&bytes(sent, b"")) {
            Ok((_, Some(KernelEvent::Crash(crash)))) => *crash,
            other => panic!("{other:?}"),
        };
        let told = crash(&sent);
        assert_eq!((told.id, told.tid, told.ip), (ProcessId { tgid: 1, start: 3 }, 2, 4));
        assert_eq!((told.signal, told.code, told.machine), (11, 0x80, 62));
        assert_eq!(told.module.map(|module| (module.id.ino, module.ctime)), Some((5, 6)));
        assert_eq!(told.bytes, [0xf4, 0]);
        assert_eq!(told.registers.and_then(|all| all.last().copied()), Some(7));
        (sent.bytes_len, sent.registers_len, sent.module.ino) = (u32::MAX, 0, 0);
        let told = crash(&sent);
        assert_eq!((told.bytes.len(), told.registers, told.module), (wire::CODE, None, None));
    }

    #[test]
    fn programs() {
        let mut sent: wire::Program = zeroed();
        (sent.tgid, sent.start_time) = (1, 2);
        (sent.path_flags, sent.path_len) = (wire::PATH_DELETED, 7);
        let Ok((_, Some(KernelEvent::Program(program)))) = decode(&bytes(&sent, b"sh\0bin\0"))
        else {
            panic!()
        };
        assert_eq!(program.id, ProcessId { tgid: 1, start: 2 });
        assert_eq!(program.path.names, [b"bin".to_vec(), b"sh".to_vec()]);
        assert!(program.path.deleted && !program.path.cut);
    }

    #[test]
    fn outputs() {
        let told = |sent: &wire::Output, path: &[u8]| match decode(&bytes(sent, path)) {
            Ok((_, Some(KernelEvent::Output(output)))) => *output,
            other => panic!("{other:?}"),
        };
        let mut sent: wire::Output = zeroed();
        (sent.tgid, sent.start_time, sent.descriptors) = (1, 2, 1 << 1 | 1 << 2);
        let closed = told(&sent, b"");
        assert_eq!((closed.id, closed.file), (ProcessId { tgid: 1, start: 2 }, None));
        assert!(closed.stdout && closed.stderr);
        (sent.descriptors, sent.file_mode, sent.position) = (1 << 2, 2, 9);
        (sent.inode.ptr, sent.inode.ino, sent.inode.mode) = (3, 4, 0o10_0644);
        (sent.device, sent.mnt_ns, sent.mount) = (1 << 20 | 3, 5, 6);
        (sent.bound_ino, sent.bound_dev) = (7, 8 << 20 | 9);
        sent.bound[..5].copy_from_slice(b"/a\0bc");
        (sent.path_flags, sent.path_len) = (wire::PATH_DELETED, 8);
        let output = told(&sent, b"log\0var\0");
        assert!(!output.stdout && output.stderr);
        let file = output.file.expect("it is open");
        assert!(file.writable && file.moved && file.path.deleted);
        assert_eq!((file.inode.id.ino, file.mnt_ns, file.mount), (4, 5, Some(6)));
        assert_eq!(file.device, Dev { major: 1, minor: 3 });
        assert_eq!(file.bound, Some((b"/a".to_vec(), 7, Dev { major: 8, minor: 9 })));
        assert_eq!(file.path.names, [b"var".to_vec(), b"log".to_vec()]);
        (sent.bound, sent.position, sent.file_mode) = ([b'x'; wire::SOCKET_NAME], -1, 1);
        let file = told(&sent, b"log\0var\0").file.expect("it is open");
        assert!(!file.writable && !file.moved);
        assert_eq!(file.bound.map(|(name, ..)| name.len()), Some(wire::SOCKET_NAME));
        sent.bound_ino = 0;
        assert_eq!(told(&sent, b"log\0var\0").file.and_then(|file| file.bound), None);
    }

    #[test]
    fn starts() {
        for forked in [false, true] {
            let mut sent: wire::Start = zeroed();
            (sent.actor.task.tgid, sent.exe.ino) = (1, 2);
            sent.forked = u32::from(forked);
            let Ok((_, Some(KernelEvent::ProcessStart(start)))) = decode(&bytes(&sent, b"")) else {
                panic!()
            };
            assert_eq!(start.actor.task.id.tgid, 1);
            assert_eq!(start.exe.map(|exe| exe.ino), Some(2));
            assert_eq!(start.forked, forked);
        }
    }
}
