//! Incidents as a fleet has them: 50 services with 20 pods each, a year in all.
use whybus::{
    contract::{
        Ancestor, Cause, Container, Exit, Fault, File, Hex, Incident, Mapper, Mapping, Mount,
        Process, Restart, ShrunkFile, Signal, Time, Truncation, Untrusted,
    },
    model::cause::{CauseKind, Confidence, Outcome},
};

/// 2026-01-01, ns since the epoch.
const START: i64 = 1_767_225_600_000_000_000;
/// Between two incidents, ns: a million make a year.
const EVERY: i64 = 31_536_000_000;
/// Size of each file before somebody cut it short.
const SIZE: u64 = 1 << 26;

/// One incident of the million, and what it is made of.
pub struct One {
    i: u64,
    service: u64,
    pod: u64,
    pid: u32,
}

fn bytes(text: impl AsRef<str>) -> Untrusted {
    Untrusted(text.as_ref().as_bytes().to_vec())
}

impl One {
    pub fn new(i: u64) -> Self {
        let mut one = Self { i, service: 0, pod: 0, pid: 0 };
        one.service = one.dice(1, 50);
        one.pod = one.service * 20 + one.dice(2, 20);
        one.pid = 300 + one.dice(3, 100_000) as u32;
        one
    }

    /// Spread by a multiplicative hash, so that it is the same everywhere and nothing is in step.
    fn dice(&self, salt: u64, sides: u64) -> u64 {
        let x = (self.i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt << 32);
        let x = (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (x ^ x >> 32) % sides
    }

    /// Ns after its process was started.
    fn time(&self, ns: i64) -> Time {
        Time(START + self.i as i64 * EVERY + ns)
    }

    fn comm(&self) -> String {
        format!("service-{}", self.service)
    }

    fn shim(&self) -> Ancestor {
        Ancestor { pid: 200 + self.service as u32, comm: bytes("containerd-shim") }
    }

    /// What ended it, the signal (0: none), and the outcome.
    fn kind(&self) -> (CauseKind, u32, Outcome) {
        match self.dice(4, 100) {
            0..60 => (CauseKind::Truncated, 7, Outcome::Killed),
            60..75 => (CauseKind::Signal, 11, Outcome::Killed),
            75..85 => (CauseKind::OomKilled, 9, Outcome::Killed),
            85..95 => (CauseKind::Exited, 0, Outcome::Exited),
            95..99 => (CauseKind::NoSpace, 7, Outcome::Killed),
            _ => (CauseKind::Quota, 7, Outcome::Killed),
        }
    }

    fn process(&self, pid: u32, comm: &str, args: &[&str]) -> Process {
        Process {
            pid,
            ns_pid: Some(pid),
            ppid: Some(200 + self.service as u32),
            start_time: Some(self.time(0)),
            comm: bytes(comm),
            exe: Some(bytes(format!("/app/bin/{comm}"))),
            cmdline: Some(args.iter().map(bytes).collect()),
            cmdline_why: None,
            uid: 1000 + self.dice(5, 10) as u32,
            cgroup: None,
            cgroup_why: None,
            pod: None,
            slurm: None,
            container: None,
            unit: None,
            cgroup_id: Some(5000 + self.pod),
            ancestors: vec![self.shim(), Ancestor { pid: 1, comm: bytes("systemd") }],
            thread_comm: None,
            login_uid: None,
            login_user: None,
            audit_session: None,
            tty: None,
            unit_timers: Vec::new(),
            tid: None,
            output: None,
        }
    }

    /// In a pod, or for a few services on the host itself.
    fn victim(&self) -> Process {
        let comm = self.comm();
        let id = format!("{:08x}{:056x}", self.pod, u128::from(self.pod) * 0x1234_5678_9abc_def1);
        let bare = self.service < 10;
        let cgroup = match bare {
            true => format!("/system.slice/{comm}.service"),
            false => format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{:08}.slice/\
                 cri-containerd-{id}.scope",
                self.pod
            ),
        };
        let container = Container {
            id: id.into(),
            runtime: Some("containerd".into()),
            name: Some(bytes(&comm)),
            image: Some(bytes(format!("registry.example/{comm}:1"))),
        };
        let config = format!("/etc/{comm}/config.yaml");
        let args = [&format!("/app/bin/{comm}"), "--config", &config];
        Process {
            ns_pid: Some(1),
            unit: cgroup.rsplit('/').next().map(bytes),
            cgroup: Some(bytes(&cgroup)),
            container: (!bare).then_some(container),
            thread_comm: Some(bytes(&comm)),
            tid: Some(self.pid),
            ..self.process(self.pid, &comm, &args)
        }
    }

    fn fault(&self, offset: u64) -> Fault {
        Fault {
            driver: None,
            access: Some("read".into()),
            mode: "user".into(),
            address: Hex(0x7f00_0000_0000 + offset),
            address_exact: true,
            ip: Some(Hex(0x55d0_a3b1_4c5c)),
            file_offset: Some(offset),
            pgoff: offset / 4096,
            mapping: None,
            handler: "filemap_fault".into(),
            read_errno: None,
            write_errno: None,
            owner_pid: None,
            count: 1,
            threads: 1,
        }
    }

    fn file(&self, path: &str, table: u64) -> File {
        let (start, end) = (Hex(0x7f00_0000_0000), Hex(0x7f00_0000_0000 + SIZE));
        File {
            sized: None,
            path: Some(bytes(path)),
            dev: "259:1".into(),
            inode: 1000 + table,
            generation: 77,
            fstype: Some(bytes("ext4")),
            size: 0,
            nlink: 1,
            deleted: false,
            mount: Some(Mount {
                point: bytes("/srv"),
                source: Some(bytes("/dev/nvme1n1")),
                address: None,
                backing: None,
            }),
            mapping: Mapping { start, end, file_offset: 0 },
            path_why: None,
            host_path: None,
            volume: None,
            server: None,
            server_why: None,
        }
    }

    fn cause(&self, class: CauseKind, signal: u32, path: &str) -> Cause {
        let bus = signal == 7;
        let by = ["cp", "rsync", "logrotate", "backup.sh"][self.dice(8, 4) as usize];
        let culprit = || self.process(300 + self.dice(9, 10_000) as u32, by, &[by, path]);
        let summary = "truncated under the mapping, 130 ms earlier: 64 MiB → 0 B by open(O_TRUNC)";
        Cause {
            class: class.into(),
            confidence: Confidence::Proven.into(),
            summary: summary.into(),
            how: bus.then(|| "open(O_TRUNC)".into()),
            old_size: bus.then_some(SIZE),
            new_size: bus.then_some(0),
            time: bus.then(|| self.time(870_000_000)),
            before_ns: bus.then_some(130_000_000),
            path: bus.then(|| bytes(path)),
            mapped: bus.then_some(true),
            culprit_stack: None,
            culprit: (signal != 0 && signal != 11).then(culprit),
            mapping: None,
            truncation: None,
            at_risk: None,
            others: Vec::new(),
            memory: None,
            oom: None,
        }
    }

    fn restart(&self) -> Restart {
        Restart {
            pid: self.pid + 7,
            start_time: Some(self.time(2_100_000_000)),
            time: self.time(2_110_000_000),
            after_ns: 1_100_000_000 + self.dice(15, 100_000_000),
            by: Some(self.shim()),
            forked: false,
            same_arguments: Some(true),
        }
    }

    pub fn incident(&self) -> Incident {
        let i = self.i;
        let (class, signal, outcome) = self.kind();
        let bus = signal == 7;
        let (data, table) = (self.dice(6, 20), self.dice(7, 500));
        let path = format!("/srv/data-{data}/table-{table}.db");
        let offset = self.dice(10, SIZE);
        let id = format!(
            "{:08x}-{:04x}-7{:03x}-8{:03x}-{:012x}",
            0x019b_0000 + (i >> 16),
            i & 0xffff,
            self.dice(11, 1 << 12),
            self.dice(12, 1 << 12),
            self.dice(13, 1 << 48)
        );
        let name = match signal {
            7 => "SIGBUS",
            9 => "SIGKILL",
            _ => "SIGSEGV",
        };
        let sent = || Signal {
            number: signal as i32,
            name: name.into(),
            code: 2,
            code_name: Some("BUS_ADRERR".into()),
            address: Some(Hex(0x7f00_0000_0000 + offset)),
            disposition: Some("default".into()),
        };
        Incident {
            blind: Vec::new(),
            updated: false,
            id: id.into(),
            number: i + 1,
            time: self.time(1_000_000_000),
            last: self.time(1_000_000_000),
            boot_ns: i * EVERY as u64 % (1 << 50),
            host: format!("node-{}", self.dice(14, 8)).into(),
            boot_id: format!("boot-{}", i / 100_000).into(),
            victim: self.victim(),
            fault: bus.then(|| self.fault(offset)),
            file: bus.then(|| self.file(&path, table)),
            cause: self.cause(class, signal, &path),
            signal: (signal != 0).then(sent),
            outcome: outcome.into(),
            exit: Some(Exit {
                signal: (signal != 0).then_some(signal),
                code: (signal == 0).then_some(1),
                core: false,
                time: self.time(1_010_000_000),
            }),
            restart: Some(self.restart()),
            stack: None,
            signature: (signal == 11).then(|| {
                bytes(format!("serve_{}+0x1a in {}", self.dice(16, 20), self.comm()))
            }),
            modules: Vec::new(),
            advice: "write the new file beside the old one and rename(2) it into place; never write over \
                     a mapped file"
                .into(),
            complete: true,
            lost: 0,
            count: None,
            oom_kills: Some(3),
        }
    }
}

/// A file that was shrunk under who maps it.
pub fn warning(i: u64) -> Truncation {
    let one = One::new(i * 50);
    let path = format!("/srv/data-{}/table-{}.db", one.dice(6, 20), one.dice(7, 500));
    Truncation {
        id: format!("019b{i:04x}-0000-7000-8000-{i:012x}").into(),
        time: one.time(0),
        host: format!("node-{}", one.dice(14, 8)).into(),
        boot_id: format!("boot-{}", i * 50 / 100_000).into(),
        file: ShrunkFile {
            path: Some(bytes(&path)),
            dev: "259:1".into(),
            inode: 1000 + one.dice(7, 500),
            generation: 77,
            fstype: None,
            remote: None,
            server: None,
            server_why: None,
        },
        how: "open(O_TRUNC)".into(),
        old_size: SIZE,
        new_size: 0,
        culprit: Some(one.process(300 + one.dice(9, 10_000) as u32, "cp", &["cp", &path])),
        at_risk: vec![Mapper { pid: one.pid, start_time: one.time(0), comm: bytes(one.comm()) }],
        at_risk_why: None,
    }
}
