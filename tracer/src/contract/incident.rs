//! One victim, one file or address, one cause.
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    contract::{
        Ancestor, Cause, File, Hex, Label, Module, Named, Process, Stack, Time, Untrusted,
        Vocabulary,
    },
    model::cause::{CauseKind, Outcome},
};

/// A bus error, or another way of dying that was asked for: one victim, one file or address, one
/// cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Incident {
    /// Whether it was reported before, and this is what is known now: its kind is `update` then.
    #[serde(default, rename = "kind", skip_serializing, deserialize_with = "is_update")]
    pub updated: bool,
    /// Unique across hosts and boots (a UUID of version 7), the same in every update.
    #[cfg_attr(test, schemars(extend("format" = "uuid")))]
    pub id: Label,
    /// Counts from 1 within a watch.
    pub number: u64,
    /// Of the first fault or signal, or of the exit where there was none.
    pub time: Time,
    /// Of the last fault or signal.
    pub last: Time,
    /// `time` in ns since boot (CLOCK_BOOTTIME): the order within a boot, whatever the clock does.
    #[serde(default)]
    pub boot_ns: u64,
    /// Host name (/proc/sys/kernel/hostname). OpenTelemetry: `host.name`.
    pub host: Label,
    /// /proc/sys/kernel/random/boot_id.
    pub boot_id: Label,
    /// Who touched the page, and gets the signal or the EFAULT.
    pub victim: Process,
    /// The page fault that ended in SIGBUS; null where it was not seen, or there was none.
    pub fault: Option<Fault>,
    /// The file that was touched.
    pub file: Option<File>,
    /// What did it.
    pub cause: Cause,
    /// The signal that the victim got, as it was sent.
    pub signal: Option<Signal>,
    /// What became of the victim.
    pub outcome: Named<Outcome>,
    /// How the process ended; null while it lives, or where its end was not seen.
    pub exit: Option<Exit>,
    /// The process that took the victim's place: the same program, started by the same parent or in the
    /// same cgroup; told by a recorder, or by `trace` with --signals or --exits.
    pub restart: Option<Restart>,
    /// The stack of the thread that died; of a process that survived, its innermost frame alone. Null if nothing is known of
    /// it: `fault.ip` is the instruction then.
    pub stack: Option<Stack>,
    /// What crashes of one kind have in common on all hosts: `FUNCTION in FILE, build ID`, of the innermost frame that
    /// is not in libc, nor memcpy(3), abort(3) or the like; left out if no file is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Untrusted>,
    /// The files that its stack ran through, and when they were changed last; left out where no stack was captured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<Module>,
    /// What to do against it, one sentence.
    pub advice: Label,
    /// False: events that may concern this incident were lost, or hooks are missing that might have decided its
    /// cause (`blind`).
    pub complete: bool,
    /// Events lost that may concern it.
    pub lost: u64,
    /// Hooks that are missing on its host and might have decided its cause, each as form and function; absent
    /// where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blind: Vec<Label>,
    /// How many of its kind this stands for, where it is no fault; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// OOM kills on this host since boot (`oom_kill` of /proc/vmstat), as the victim ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
}

fn is_update<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(String::deserialize(deserializer)? == "update")
}

/// A page fault that ended in SIGBUS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fault {
    /// How the page was touched; null: looked up only as the signal was raised.
    #[cfg_attr(test, schemars(extend("x-words" = ["read", "write", "exec"])))]
    pub access: Option<Label>,
    /// By an instruction of the victim, by a system call of it, or by a system call on another process'
    /// memory.
    #[cfg_attr(test, schemars(extend("x-words" = ["user", "kernel", "remote"])))]
    pub mode: Label,
    /// What was touched, an address of the process whose memory it is.
    pub address: Hex,
    /// False: the address is the start of the page (5.10 tells no more without a signal; process_vm_readv(2) asks for whole
    /// pages).
    pub address_exact: bool,
    /// The instruction that touched it (user mode instruction pointer).
    pub ip: Option<Hex>,
    /// Where in the file, bytes; null without a file.
    pub file_offset: Option<u64>,
    /// The same in pages (`vm_fault.pgoff`).
    pub pgoff: u64,
    /// Name of a mapping without a file: `[vvar]` and the like.
    pub mapping: Option<Untrusted>,
    /// The kernel function that refused the page (it returned VM_FAULT_SIGBUS).
    #[cfg_attr(test, schemars(extend("x-words" = ["filemap_fault", "shmem_fault", "do_page_mkwrite", "hugetlb_fault", "special_mapping_fault", "handle_userfault", "dax_iomap_fault", "force_sig_fault", "unknown"])))]
    pub handler: Label,
    /// What reading the page from its file system returned, a positive errno.
    pub read_errno: Option<i32>,
    /// What the file system said as it refused to make the page writable, or tmpfs as it had none, a positive errno.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_errno: Option<i32>,
    /// Whose mapping it is, where that is no file system that whybus knows: mostly a driver's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<MappingDriver>,
    /// Whose memory it is, a pid in the host's namespace (`mm_struct.owner`).
    pub owner_pid: Option<u32>,
    /// Faults of this kind of this process.
    pub count: u64,
    /// Threads that had them.
    pub threads: u64,
}

/// The owner of a mapping, as the kernel prints its names, and sysfs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MappingDriver {
    /// The function that refused the page (`vm_operations_struct.fault`, `page_mkwrite` or `pfn_mkwrite`); null
    /// where there is none to ask, or it has no name, or nobody was asked (BUS_ADRALN).
    pub function: Option<Untrusted>,
    /// `vm_area_struct.vm_ops`
    pub vm_ops: Option<Untrusted>,
    /// `file.f_op`
    pub file_ops: Option<Untrusted>,
    /// The module that these are of; null if they are built in.
    pub module: Option<Untrusted>,
    /// The number of the device that the file is, major:minor.
    pub device: Option<Label>,
    /// The driver that the device is bound to, by sysfs.
    pub bound: Option<Untrusted>,
}

/// A signal, as it was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Signal {
    /// `si_signo`.
    pub number: i32,
    /// SIGBUS; with --signals others.
    pub name: Label,
    /// `si_code`; 0 and below: sent by a process.
    pub code: i32,
    /// The code by name: BUS_ADRERR.
    pub code_name: Option<Label>,
    /// `si_addr`; null where a process sent it.
    pub address: Option<Hex>,
    /// What the process had set for it, as it was delivered.
    #[cfg_attr(test, schemars(extend("x-words" = ["default", "ignored", "handler"])))]
    pub disposition: Option<Label>,
}

/// How a process ended, as wait(2) tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Exit {
    /// Number of the signal that ended it; null where it exited.
    pub signal: Option<u32>,
    /// Its exit status; null where a signal ended it. OpenTelemetry: `process.exit.code`.
    pub code: Option<u32>,
    /// It dumped core.
    pub core: bool,
    /// Of the end of its last thread. OpenTelemetry: `process.exit.time`.
    pub time: Time,
}

/// The process that took the victim's place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Restart {
    /// Its pid in the host's namespace.
    pub pid: u32,
    /// When the process was forked; with pid its identity.
    pub start_time: Option<Time>,
    /// When it ran the program.
    pub time: Time,
    /// From the victim's end, ns.
    pub after_ns: u64,
    /// Its parent.
    pub by: Option<Ancestor>,
    /// By fork(2) alone, without exec(2).
    pub forked: bool,
    /// Whether its command line is the victim's; null where one of them is not known.
    pub same_arguments: Option<bool>,
}

impl Incident {
    /// What the file is called that it is about: the one that was touched, or the one whose code was written over.
    pub fn path(&self) -> Option<&Untrusted> {
        if self.cause.class.known() == CauseKind::Overwritten {
            let frame = self.stack.as_ref().and_then(|stack| stack.user.first());
            return frame.and_then(|frame| frame.module.as_ref()).or(self.cause.path.as_ref());
        }
        self.file.as_ref().and_then(|file| file.path.as_ref())
    }

    /// How the victim ended as a shell has it: its status, or 128 and the signal.
    pub fn status(&self) -> Option<u32> {
        let exit = self.exit.as_ref()?;
        Some(exit.signal.map_or(exit.code.unwrap_or(0), |signal| 128 + signal))
    }

    /// That of a victim that did not outlive what happened.
    pub fn death_status(&self) -> Option<u32> {
        self.status().filter(|_| self.outcome.known() != Outcome::Survived)
    }

    /// How often it happened.
    pub fn times(&self) -> u64 {
        self.fault.as_ref().map(|fault| fault.count).or(self.count).unwrap_or(1)
    }

    /// The name of the signal that it is about.
    pub fn signal_name(&self) -> &str {
        self.signal.as_ref().map_or("SIGBUS", |signal| &signal.name)
    }
}

impl Vocabulary for Outcome {
    const FALLBACK: Self = Self::Pending;

    fn words() -> Vec<Self> {
        vec![Self::Killed, Self::Exited, Self::Survived, Self::Efault, Self::Pending]
    }

    fn word(self) -> &'static str {
        self.name()
    }
}
