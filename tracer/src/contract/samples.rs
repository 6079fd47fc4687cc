//! What tests are made of: an incident, and one of every kind with every fact and hostile names.
use crate::{
    contract::{
        Ancestor, Before, Blind, Capability, Cause, CauseCount, Chosen, Container, Count, Doctor,
        EarlierBuild, EarlierImage, Elsewhere, End, Fault, File, Finding, FoundFile, FoundMapping,
        FoundProcess, Frame, Gap, GapReason, Hex, Incident, Label, Loss, Lost, Mapper, Mapping,
        MappingDriver, Memory, Missed, Module, Mount, Observed, Oom, Other, Output, OutputKind,
        Outputs, Process, Record, Recorder, Remote, Replacement, Restart, RestartSpread, RuledOut,
        Run, Scan, Server, ShrunkFile, Sizing, Stack, Status, Step, Story, Time, Truncation,
        Untrusted, Watching,
    },
    model::{
        cause::{CauseKind, Confidence},
        observe::Readiness,
    },
};

/// An incident as a history of version 1 has it: victim 10, child of sv[5].
pub fn incident(class: CauseKind, signal: u32) -> Incident {
    let process = |pid: u32, comm: &str| {
        serde_json::json!({
            "pid": pid, "comm": comm, "uid": 0,
            "start_time": "2026-11-21T10:00:00.000000000Z",
            "ancestors": [{"pid": 5, "comm": "sv"}],
        })
    };
    let sender = (class == CauseKind::Sent).then(|| process(5, "sv"));
    let json = serde_json::json!({
        "schema": 1, "kind": "incident", "id": "019aa4d2-6f31-7abc-8def-0123456789ab",
        "number": 1, "time": "2026-11-21T10:03:07.121456789Z",
        "last": "2026-11-21T10:03:07.121456789Z", "boot_ns": 187_121_456_789_u64,
        "host": "host", "boot_id": "boot", "victim": process(10, "geo-api"),
        "cause": {
            "class": class.name(), "confidence": "proven", "summary": "as it was", "culprit": sender,
        },
        "signal": {"number": 9, "name": "SIGKILL", "code": 0, "code_name": "SI_USER"},
        "outcome": if signal == 0 { "exited" } else { "killed" },
        "exit": {
            "signal": (signal != 0).then_some(signal), "code": (signal == 0).then_some(1),
            "core": false, "time": "2026-11-21T10:03:07.131456789Z",
        },
        "advice": "be careful", "complete": true, "lost": 0,
    });
    serde_json::from_value(json).expect("the contract")
}

/// Bytes that are no UTF-8, with something that acts on a terminal.
pub fn hostile() -> Untrusted {
    Untrusted(b"a\x1b[2J\n\xff\xfe{\"text\":".to_vec())
}

fn remote() -> Remote {
    Remote { server: hostile(), address: Some(hostile()), export: hostile() }
}

fn plain(text: &str) -> Untrusted {
    Untrusted(text.as_bytes().to_vec())
}

pub fn process(pid: u32) -> Process {
    Process {
        pid,
        ns_pid: Some(7),
        ppid: Some(5),
        start_time: Some(Time(1_000)),
        comm: hostile(),
        exe: Some(hostile()),
        cmdline: Some(vec![plain("cp"), hostile(), plain("")]),
        cmdline_why: None,
        uid: 1000,
        login_uid: Some(1000),
        login_user: Some(hostile()),
        audit_session: Some(3),
        tty: Some(hostile()),
        cgroup: Some(hostile()),
        cgroup_why: Some("why".into()),
        pod: Some(crate::contract::Pod {
            uid: "12345678-9abc-def0-1234-56789abcdef0".into(),
            qos: Some("burstable".into()),
            name: Some(hostile()),
            namespace: Some(hostile()),
        }),
        slurm: Some(crate::contract::SlurmJob { job: 7, step: Some("batch".into()) }),
        container: Some(Container {
            id: "0123".into(),
            runtime: Some("docker".into()),
            name: Some(hostile()),
            image: Some(hostile()),
        }),
        unit: Some(hostile()),
        unit_timers: vec![hostile()],
        cgroup_id: Some(1),
        ancestors: vec![Ancestor { pid: 5, comm: hostile() }],
        thread_comm: Some(hostile()),
        tid: Some(pid),
        output: Some(Box::new(outputs())),
    }
}

fn outputs() -> Outputs {
    let output = Output {
        kind: OutputKind::Pipe.into(),
        path: Some(hostile()),
        deleted: true,
        foreign: true,
        inode: Some(9),
        reader: Some(Ancestor { pid: 5, comm: hostile() }),
        command: Some(hostile()),
    };
    Outputs { stdout: Some(output.clone()), stderr: Some(output), at_start: true }
}

fn server() -> Server {
    Server {
        pid: 40,
        start_time: Time(1),
        comm: hostile(),
        exe: Some(hostile()),
        confidence: Confidence::Likely.into(),
        by: "name".into(),
    }
}

fn file() -> File {
    File {
        path: Some(hostile()),
        dev: "8:1".into(),
        inode: 12,
        generation: 1,
        fstype: Some(hostile()),
        size: 0,
        nlink: 1,
        deleted: false,
        mount: Some(Mount {
            point: hostile(),
            source: Some(hostile()),
            address: Some(hostile()),
            backing: Some(hostile()),
        }),
        mapping: Mapping { start: Hex(0x1000), end: Hex(0x3000), file_offset: 0 },
        sized: Some(Sizing { by: process(11), old_size: 0, time: Time(1_500), before_ns: 500 }),
        path_why: Some("cut".into()),
        host_path: Some(Some(hostile())),
        volume: Some(crate::contract::Volume { kind: plain("empty-dir"), name: hostile() }),
        server: Some(server()),
        server_why: Some("why".into()),
    }
}

/// With every fact there may be.
pub fn full_incident() -> Incident {
    let other = Other {
        pid: 6,
        comm: hostile(),
        how: "truncate".into(),
        old_size: 8,
        new_size: 4,
        time: Time(2_000),
    };
    let sent = incident(CauseKind::Truncated, 7);
    Incident {
        victim: process(10),
        fault: Some(Fault {
            access: Some("read".into()),
            mode: "user".into(),
            address: Hex(0x1000),
            address_exact: true,
            ip: Some(Hex(0x2000)),
            file_offset: Some(u64::MAX),
            pgoff: 3,
            mapping: Some(hostile()),
            handler: "filemap_fault".into(),
            read_errno: Some(5),
            write_errno: Some(28),
            driver: Some(driver()),
            owner_pid: Some(10),
            count: 2,
            threads: 1,
        }),
        file: Some(file()),
        cause: Cause {
            how: Some("open(O_TRUNC)".into()),
            old_size: Some(8),
            new_size: Some(0),
            time: Some(Time(3_000)),
            before_ns: Some(130),
            path: Some(hostile()),
            mapped: Some(true),
            culprit_stack: None,
            culprit: Some(process(20)),
            mapping: Some(hostile()),
            truncation: Some("019aa4d2-6f31-7abc-8def-0123456789ac".into()),
            at_risk: Some(vec![Mapper { pid: 11, start_time: Time(1), comm: hostile() }]),
            others: vec![other],
            memory: Some(Memory { cgroup: hostile(), limit: 1 << 30, used: Some(1 << 30) }),
            oom: Some(Oom {
                ran_out: "cgroup".into(),
                total: 1 << 31,
                chosen: Chosen { pid: 10, comm: hostile() },
            }),
            ..sent.cause.clone()
        },
        restart: Some(Restart {
            pid: 30,
            start_time: Some(Time(4_000)),
            time: Time(4_001),
            after_ns: 5,
            by: Some(Ancestor { pid: 5, comm: hostile() }),
            forked: false,
            same_arguments: Some(true),
        }),
        stack: Some(Stack { user: vec![full_frame()], cut: Some("it has more frames".into()) }),
        signature: Some(hostile()),
        modules: vec![Module {
            path: hostile(),
            program: true,
            build_id: Some("8a3f00".into()),
            changed: Time(900),
            written: Some(Time(800)),
            removed: true,
            replaced_by: Some(Replacement { build_id: Some("cd3400".into()), changed: Time(901) }),
        }],
        blind: vec!["fentry notify_change".into()],
        complete: false,
        count: Some(3),
        oom_kills: Some(1),
        ..sent
    }
}

fn full_frame() -> Frame {
    Frame {
        ip: Some(Hex(0x2000)),
        symbol: Some(hostile()),
        symbol_offset: Some(4),
        module: Some(hostile()),
        module_offset: Some(0x400),
        build_id: Some("8a3f00".into()),
        module_address: Some(Hex(0x401_400)),
        source: Some(hostile()),
        line: Some(41),
        inlined: true,
    }
}

fn watch_kinds() -> [Record; 4] {
    let hook = || Label::from("fexit filemap_fault");
    [
        Record::Watching(Watching {
            time: Time(1),
            host: "host".into(),
            boot_id: "boot".into(),
            kernel: "6.12".into(),
            hooks: vec![hook()],
            blind: vec![Blind {
                hook: hook(),
                reason: "not there".into(),
                fix: Some("another kernel".into()),
                causes: "all".into(),
            }],
            verdict: Some(Readiness::NotReady.into()),
            summary: Some("nothing is told".into()),
        }),
        Record::Loss(Loss { time: Time(2), from: Time(1), cpu: 0, ring: "chatty".into(), lost: 9 }),
        Record::Missed(Missed { time: Time(3), hook: hook(), calls: 1 }),
        Record::End(End {
            time: Time(4),
            reason: "interrupted".into(),
            watched_ns: 3,
            incidents: 2,
            explained: 1,
            likely: 1,
            incomplete: 1,
            events: 10,
            lost: 9,
            missed: 1,
            truncations: 1,
            not_warned: 0,
            not_recorded: 1,
            signals_kept: 1,
            signals_left: 1,
            signals_handled: 1,
            stacks_lost: 1,
            files_unread: 1,
            not_told: Some("who truncated a file".into()),
            only_bus_errors: false,
        }),
    ]
}

pub fn truncation() -> Truncation {
    Truncation {
        id: "019aa4d2-6f31-7abc-8def-0123456789ac".into(),
        time: Time(1),
        host: "host".into(),
        boot_id: "boot".into(),
        file: ShrunkFile {
            path: Some(hostile()),
            dev: "8:1".into(),
            inode: 12,
            generation: 1,
            fstype: Some(hostile()),
            remote: Some(remote()),
            server: Some(server()),
            server_why: Some("why".into()),
        },
        how: "ftruncate".into(),
        old_size: 8,
        new_size: 0,
        culprit: Some(process(20)),
        at_risk: vec![Mapper { pid: 10, start_time: Time(1), comm: hostile() }],
        at_risk_why: Some("too many".into()),
    }
}

fn scan_kinds() -> [Record; 2] {
    let finding = Finding {
        what: "past-end".into(),
        process: FoundProcess { pid: 10, comm: hostile() },
        file: FoundFile { path: hostile(), dev: "8:1".into(), inode: 12, size: 0, deleted: true },
        mapping: FoundMapping {
            start: Hex(0x1000),
            end: Hex(0x2000),
            file_offset: 0,
            past_end: Some(4096),
        },
    };
    let scan =
        Scan { processes: 1, mappings: 2, findings: 1, denied: 0, unknown: 0, took_ns: 1_000 };
    [Record::Finding(Box::new(finding)), Record::Scan(scan)]
}

fn doctor() -> Record {
    Record::Doctor(Box::new(Doctor {
        kernel: "6.12".into(),
        lockdown: None,
        hooks: vec!["fexit filemap_fault".into()],
        blind: Vec::new(),
        culprit: "typed loads".into(),
        paths: "whole".into(),
        pending: vec!["fentry fuse_open".into()],
        capabilities: vec![Capability {
            name: "CAP_BPF".into(),
            held: true,
            without: "all".into(),
        }],
        explained: 1,
        total: 23,
        unexplained: vec!["sent".into()],
        verdict: Some(Readiness::Ready.into()),
        summary: Some("all is told".into()),
        observed: vec![Observed {
            what: "file-fault".into(),
            hook: "fexit filemap_fault".into(),
            state: "attached".into(),
            module: Some("xfs".into()),
            unknown_without: "all".into(),
            added_instructions: Some(180),
            undetected: Some("much".into()),
        }],
    }))
}

pub fn gap() -> Gap {
    Gap {
        host: "host".into(),
        boot_id: "boot".into(),
        since: Time(1),
        until: Time(2),
        reason: GapReason::Killed,
        lost: Some(3),
    }
}

fn story() -> Record {
    let (status, signal) = (Some(135), Some("SIGSEGV".into()));
    Record::Story(Box::new(Story {
        pids: Vec::new(),
        watched_after_ns: Some(1_000_000_000),
        incidents: 2,
        deaths: 2,
        first: Time(1),
        last: Time(2),
        partial: false,
        restarts: Some(RestartSpread { count: 1, min_ns: 1, median_ns: 1, max_ns: 1 }),
        causes: vec![CauseCount { class: "truncated".into(), status, signal, count: 2 }],
        differences: vec!["by: cp (2), mv (1)".into()],
        incident: Incident { updated: true, ..full_incident() },
        elsewhere: Some(Box::new(Elsewhere {
            id: "019aa4d2-6f31-7abc-8def-0123456789ad".into(),
            host: "updater".into(),
            boot_id: "boot".into(),
            confidence: Confidence::Likely.into(),
            summary: "shrunk on another host".into(),
            how: "truncate".into(),
            old_size: 8,
            new_size: 4,
            time: Time(3),
            before_ns: -1,
            path: Some(hostile()),
            remote: remote(),
            culprit: process(21),
        })),
        before: Some(Box::new(Before {
            since: Time(0),
            unwatched_ns: 7,
            unwatched_unknown: true,
            lossy: true,
            alike: 2,
            alike_last: Some(Time(1)),
            build: Some(EarlierBuild {
                build_id: "ab1200".into(),
                until: Time(1),
                own_since: Some(Time(2)),
            }),
            image: Some(EarlierImage {
                image: hostile(),
                until: Time(1),
                own_since: Some(Time(2)),
            }),
        })),
        timeline: vec![Step {
            time: Time(1),
            after_ns: 0,
            what: "start".into(),
            text: "it starts".into(),
        }],
        ruled_out: vec![RuledOut { theory: "a crash".into(), because: "no signal".into() }],
        gaps: vec![gap()],
        advice: "be careful".into(),
    }))
}

/// One of every kind, in the order of the schema.
pub fn every_kind() -> Vec<Record> {
    let [watching, loss, missed, end] = watch_kinds();
    let [finding, scan] = scan_kinds();
    let count = Count {
        by: "file".into(),
        name: hostile(),
        incidents: 4,
        first: Time(1),
        last: Time(2),
        span_ns: Some(60),
    };
    let run =
        Run { host: "host".into(), boot_id: "boot".into(), pid: 1, since: Time(1), until: None };
    let status = Status {
        time: Time(3),
        recorder: Some(Recorder {
            pid: 1,
            since: Time(1),
            seen: Time(3),
            verdict: Some(Readiness::Degraded.into()),
            summary: Some("not everything".into()),
        }),
        path: hostile(),
        size: 4_096,
        incidents: 1,
        last_day: 1,
        first: Some(Time(1)),
        last: Some(Time(2)),
        last_id: Some("019aa4d2-6f31-7abc-8def-0123456789ab".into()),
        began: Some(Time(1)),
        lost: Some(7),
        lost_unknown: None,
        losses: vec![Lost { why: "events before they were read".into(), lost: 7 }],
        unwatched_ns: Some(1),
        gaps: vec![gap()],
    };
    vec![
        watching,
        full_incident().into(),
        Incident { updated: true, ..full_incident() }.into(),
        Record::Truncation(Box::new(truncation())),
        loss,
        missed,
        end,
        finding,
        scan,
        doctor(),
        story(),
        Record::Count(count),
        Record::Gap(gap()),
        Record::Run(run),
        Record::Status(Box::new(status)),
    ]
}

fn driver() -> MappingDriver {
    MappingDriver {
        function: Some(hostile()),
        vm_ops: Some(hostile()),
        file_ops: Some(hostile()),
        module: Some(hostile()),
        device: Some("1:1".into()),
        bound: Some(hostile()),
    }
}
