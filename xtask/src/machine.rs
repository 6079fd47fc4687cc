//! What is built for and booted on, and what that is called by whom.
use std::process::Command;

/// A processor's architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    X86_64,
    Aarch64,
}

impl Machine {
    /// Debian's name of it, and Go's.
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// What is kept of it under a name.
    pub fn of(self, name: &str) -> String {
        match self {
            Self::X86_64 => name.to_owned(),
            Self::Aarch64 => format!("{name}-arm64"),
        }
    }

    /// GNU's name of it, which Debian's directories of libraries bear.
    pub fn triplet(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu",
            Self::Aarch64 => "aarch64-linux-gnu",
        }
    }

    /// Rust's.
    pub fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The C compiler that makes programs for it on an amd64 Debian.
    pub fn gcc(self) -> &'static str {
        match self {
            Self::X86_64 => "gcc",
            Self::Aarch64 => "aarch64-linux-gnu-gcc",
        }
    }

    /// The emulator, as a machine that Debian's cloud kernels know.
    pub fn emulator(self) -> Command {
        let (program, args): (_, &[&str]) = match self {
            // Without ERMS and FSRM the kernel clears and copies pages by words: a `rep stosb` is emulated
            // byte by byte.
            Self::X86_64 => ("qemu-system-x86_64", &["-cpu", "max,-cx16,-erms,-fsrm"]),
            Self::Aarch64 => {
                ("qemu-system-aarch64", &["-M", "virt", "-cpu", "max,pauth-impdef=on"])
            }
        };
        let mut qemu = Command::new(program);
        qemu.args(args);
        qemu
    }

    /// The kernel's console, and what else its command line needs.
    pub fn command_line(self) -> &'static str {
        match self {
            // 32 MiB of the memory play a module of persistent memory.
            Self::X86_64 => "console=ttyS0 memmap=32M!1024M",
            Self::Aarch64 => "console=ttyAMA0",
        }
    }
}
