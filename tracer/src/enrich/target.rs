//! Who, or what, a question is about that may hang.
use crate::model::{file::Dev, task::ProcessId};

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    Process(ProcessId),
    /// The files of its program: whose disk hangs is asked all else all the same.
    Code(ProcessId),
    /// A captured stack: the files that its frames lie in.
    Stack(ProcessId),
    FileSystem(Dev),
    /// The mounts of a process in another namespace. To list them takes no server, but a lock that whoever mounts
    /// holds, and who is kept from running by others.
    Mounts(ProcessId),
    /// Who serves a file system.
    Server(Dev),
    /// The file system of cgroups.
    Cgroups,
    /// The files of container runtimes.
    Containers,
    /// The files of users and of units.
    Origins,
}

impl Target {
    /// Whether it is about files of programs.
    pub fn is_code(&self) -> bool {
        matches!(self, Self::Code(_) | Self::Stack(_))
    }

    /// Whether it is about what the host itself has: files of its own, or all processes in /proc.
    pub fn is_of_host(&self) -> bool {
        matches!(self, Self::Containers | Self::Origins | Self::Server(_))
    }

    /// Whether it is about a stack.
    pub fn is_stack(&self) -> bool {
        matches!(self, Self::Stack(_))
    }

    /// How many times the deadline it takes: all processes of the host are looked through for a server, files of several
    /// runtimes for a name, and the tables of several files for a stack. That hangs nowhere, but takes its time where the
    /// host, or its disk, is busy.
    pub fn deadlines(&self) -> u32 {
        match self {
            Self::Stack(_) => 8,
            Self::Server(_) | Self::Containers | Self::Origins | Self::Mounts(_) => 4,
            Self::Process(_) | Self::Code(_) | Self::FileSystem(_) | Self::Cgroups => 1,
        }
    }

    /// How many times the timeout: on a host that is that busy, a whole look takes seconds of the clock.
    pub fn timeouts(&self) -> u32 {
        match self {
            Self::Server(_)
            | Self::Containers
            | Self::Origins
            | Self::Mounts(_)
            | Self::Stack(_) => 3,
            Self::Process(_) | Self::Code(_) | Self::FileSystem(_) | Self::Cgroups => 1,
        }
    }
}
