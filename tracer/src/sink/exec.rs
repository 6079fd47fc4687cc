//! `record --exec`: a command for each incident, in a thread of its own: a command that hangs or fails holds nothing up.
use std::{
    io::{Seek as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, OnceLock,
        mpsc::{self, Receiver, SyncSender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use rustix::{
    fs::MemfdFlags,
    process::{Pid, Signal, kill_process_group},
};

use crate::{
    contract::{Incident, Record},
    host::{memory::leaves_huge_pages, privilege::spawn_for_commands},
    render::json,
    sink::speak::say,
    text::format::counted,
};

/// How much may be asked of a command.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Incidents that wait for it.
    waiting: usize,
    /// It is called so often at once, and once more every `every`.
    burst: u32,
    every: Duration,
    /// Then it is killed, with its process group; and at our own end it has that long, with all that waits.
    time: Duration,
}

const LIMITS: Limits =
    Limits { waiting: 64, burst: 20, every: Duration::from_secs(6), time: Duration::from_secs(10) };

/// The command, and the thread that calls it.
pub struct Exec {
    sender: Option<SyncSender<Vec<u8>>>,
    runner: Option<JoinHandle<Runner>>,
    /// When it must be over, once we end.
    until: Arc<OnceLock<Instant>>,
    time: Duration,
    /// Incidents that found no room among those that wait.
    overflowed: u64,
}

impl Exec {
    /// # Errors
    /// Where no thread can be started.
    pub fn start(command: &str) -> Result<Self> {
        Self::limited(command, LIMITS)
    }

    fn limited(command: &str, limits: Limits) -> Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(limits.waiting);
        let until = Arc::new(OnceLock::new());
        let runner = Runner {
            command: command.to_owned(),
            limits,
            until: Arc::clone(&until),
            left: limits.burst,
            counted: Instant::now(),
            skipped: 0,
            complained: false,
        };
        let runner = spawn_for_commands("whybus-exec", move || runner.run(&receiver))?;
        let sender = Some(sender);
        Ok(Self { sender, runner: Some(runner), until, time: limits.time, overflowed: 0 })
    }

    /// Has it called for an incident, unless that is of the command itself, which would call it for ever.
    pub fn tell(&mut self, incident: &Incident) {
        let own = std::process::id();
        let mut ancestors = incident.victim.ancestors.iter();
        if ancestors.any(|ancestor| ancestor.pid == own) {
            return;
        }
        let Some(sender) = &self.sender else { return };
        let line = json(&Record::Incident(Box::new(incident.clone())));
        self.overflowed += u64::from(sender.try_send(line).is_err());
    }

    /// There will be no more. Says for how many incidents the command was not run; gives that number.
    pub fn end(&mut self) -> u64 {
        let _ = self.until.set(Instant::now() + self.time);
        self.sender = None;
        let Some(Ok(runner)) = self.runner.take().map(JoinHandle::join) else { return 0 };
        let missed = runner.skipped + self.overflowed;
        if missed != 0 {
            let incidents = counted(missed, "incident");
            say(format_args!("whybus: --exec was not called for {incidents}: too many at once"));
        }
        missed
    }
}

/// What the thread has.
struct Runner {
    command: String,
    limits: Limits,
    until: Arc<OnceLock<Instant>>,
    /// Calls that are left now, and when they were counted.
    left: u32,
    counted: Instant,
    /// Incidents it was not called for.
    skipped: u64,
    complained: bool,
}

impl Runner {
    fn run(mut self, incidents: &Receiver<Vec<u8>>) -> Self {
        // Those it was not called for since it was called last.
        let mut since = 0;
        for incident in incidents {
            if !self.may_call() {
                self.skipped += 1;
                since += 1;
                continue;
            }
            match self.call(&incident, since) {
                Ok(status) if status.success() => self.complained = false,
                Ok(status) => self.complain(&format!("ended with {status}")),
                Err(error) => self.complain(&format!("{error:#}")),
            }
            since = 0;
        }
        self
    }

    /// Whether it is not called too often.
    fn may_call(&mut self) -> bool {
        if self.until.get().is_some_and(|until| Instant::now() >= *until) {
            return false;
        }
        let Limits { burst, every, .. } = self.limits;
        let due = self.counted.elapsed().as_nanos() / every.as_nanos().max(1);
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        if due != 0 {
            self.counted += every.saturating_mul(due);
            self.left = self.left.saturating_add(due).min(burst);
        }
        let may = self.left != 0;
        self.left -= u32::from(may);
        may
    }

    fn call(&self, incident: &[u8], skipped: u64) -> Result<ExitStatus> {
        // A file in memory: a command that does not read it blocks nobody.
        let flags = MemfdFlags::CLOEXEC;
        let mut input = std::fs::File::from(rustix::fs::memfd_create("whybus-incident", flags)?);
        input.write_all(incident)?;
        input.rewind()?;
        let mut command = Command::new("/bin/sh");
        let mut child = leaves_huge_pages(&mut command)
            .args(["-c", &self.command])
            .env("WHYBUS_SKIPPED", skipped.to_string())
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .stdin(Stdio::from(input))
            .process_group(0)
            .spawn()
            .context("starting /bin/sh")?;
        self.wait(&mut child)
    }

    fn wait(&self, child: &mut Child) -> Result<ExitStatus> {
        const LOOK: Duration = Duration::from_millis(20);
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            let late = self.until.get().is_some_and(|until| Instant::now() >= *until);
            if late || began.elapsed() >= self.limits.time {
                if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                child.wait()?;
                anyhow::bail!("took longer than {} s, and was killed", self.limits.time.as_secs());
            }
            thread::sleep(LOOK);
        }
    }

    /// Says it once, until it goes well again.
    fn complain(&mut self, what: &str) {
        if !std::mem::replace(&mut self.complained, true) {
            say(format_args!("whybus: the command of --exec {what}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{Ancestor, samples::full_incident},
        host::memory::small_pages,
    };

    const QUICK: Limits = Limits { every: Duration::from_secs(3_600), ..LIMITS };

    fn lines(path: &std::path::Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn it_is_called_with_the_incident() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let out = dir.path().join("out");
        let command = format!("cat >>{0}; echo $WHYBUS_SKIPPED >>{0}", out.display());
        let mut exec = Exec::start(&command).expect("a thread");
        exec.tell(&full_incident());
        assert_eq!(exec.end(), 0);
        let lines = lines(&out);
        assert_eq!(lines.len(), 2, "{lines:?}");
        let record: Record = serde_json::from_str(&lines[0]).expect("JSON");
        assert!(matches!(record, Record::Incident(told) if told.id == full_incident().id));
        assert_eq!(lines[1], "0");
    }

    #[test]
    fn it_has_huge_pages_if_we_had() {
        // Since 5.0.
        let pages = |status: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
            line.map(|pages| pages.trim().to_owned())
        };
        let own = || pages(&std::fs::read_to_string("/proc/self/status").unwrap_or_default());
        let before = own();
        small_pages();
        assert!(before.is_none() || own().as_deref() == Some("0"));
        let dir = tempfile::tempdir().expect("a temporary directory");
        let out = dir.path().join("out");
        let mut exec = Exec::start(&format!("cat /proc/self/status >{}", out.display()));
        let exec = exec.as_mut().expect("a thread");
        exec.tell(&full_incident());
        exec.end();
        assert_eq!(pages(&lines(&out).join("\n")), before);
    }

    #[test]
    fn of_a_storm_only_some_are_told() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let out = dir.path().join("out");
        let command = format!("echo x >>{}", out.display());
        let mut exec = Exec::limited(&command, Limits { burst: 3, ..QUICK }).expect("a thread");
        for _ in 0..1_000 {
            exec.tell(&full_incident());
        }
        assert_eq!(exec.end(), 997);
        assert_eq!(lines(&out).len(), 3);
    }

    /// Neither a command that hangs, nor its children, nor one that is not read from.
    #[test]
    fn what_hangs_is_killed() {
        let began = Instant::now();
        let limits = Limits { time: Duration::from_millis(300), ..QUICK };
        let mut exec = Exec::limited("sleep 60 & sleep 61", limits).expect("a thread");
        exec.tell(&full_incident());
        exec.tell(&full_incident());
        exec.end();
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }

    #[test]
    fn its_own_end_does_not_call_it_again() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let out = dir.path().join("out");
        let mut exec = Exec::start(&format!("echo x >>{}", out.display())).expect("a thread");
        let mut incident = full_incident();
        let own = Ancestor { pid: std::process::id(), ..incident.victim.ancestors[0].clone() };
        incident.victim.ancestors.insert(0, own);
        exec.tell(&incident);
        assert_eq!(exec.end(), 0);
        assert!(lines(&out).is_empty());
    }
}
