//! What the parser is asked, and what it answers: packets of JSON over a socket that each question has for itself. A packet
//! arrives whole or not at all. The asker believes no answer: each has a bound, and what makes no sense ends the question.
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
    sockopt::{Timeout, set_socket_send_buffer_size, set_socket_timeout},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    model::{
        Bytes,
        stack::{Cut, Frame, Registers},
    },
    parse::lines::Site,
    text::base64,
};

/// Longest packet, in bytes: a stack of 16 KiB and 256 mappings is the longest one.
const PACKET: usize = 128 << 10;
/// Files of one question at most: the kernel names 24 of a stack.
pub const FILES: usize = 64;
/// Frames of one stack at most, and those that share one: functions that were inlined in it.
pub const FRAMES: usize = 64;
pub const INLINED: usize = 17;
/// Longest text of an answer, in bytes.
pub const TEXT: usize = 4_096;
/// Addresses of one question for lines, at most.
pub const ADDRESSES: usize = 512;

/// A question; its files come with it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// What stands at this byte of the file.
    Instruction { offset: u64 },
    /// The frames of a thread.
    Stack(Box<Thread>),
    /// The lines at places of the file.
    Lines(Lines),
}

/// A thread as it was captured, without names.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Thread {
    /// As ELF names it (`e_machine`).
    pub machine: u32,
    pub registers: Option<Registers>,
    pub chain: Vec<u64>,
    #[serde(with = "base64")]
    pub bytes: Bytes,
    pub modules: Vec<Module>,
}

/// A file that is mapped, once or several times.
#[derive(Debug, Serialize, Deserialize)]
pub struct Module {
    pub mappings: Vec<Range>,
    /// Whether its file comes with the question, in the order of modules.
    pub file: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Range {
    pub start: u64,
    pub end: u64,
    /// Of the first byte in the file.
    pub offset: u64,
}

/// Places of one file whose lines are looked for, if it is of that build.
#[derive(Debug, Serialize, Deserialize)]
pub struct Lines {
    #[serde(with = "base64")]
    pub build_id: Bytes,
    pub offsets: Vec<u64>,
    /// For the file's tables, where they are known.
    pub addresses: Vec<Option<u64>>,
    /// So much may be read, in bytes, and so long it may take.
    pub most: u64,
    pub time: Duration,
}

/// Part of an answer. The last one of a question that was answered whole is `Done`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// By this process.
    Begun {
        pid: u32,
    },
    Instruction(Place),
    /// The frames, before any of them has a name.
    Unwound {
        frames: Vec<Bare>,
        cut: Option<Cut>,
    },
    /// What is known by now of the frame that was the `at`-th unwound, behind those inlined in it.
    Named {
        at: usize,
        frames: Vec<Frame>,
    },
    /// The asker is to send files that may hold debug information of this module.
    Wanted {
        module: usize,
        #[serde(with = "base64")]
        build_id: Bytes,
        /// What its own file calls it (`.gnu_debuglink`).
        #[serde(with = "base64")]
        link: Option<Bytes>,
    },
    /// What is known of the `at`-th place.
    Line {
        at: usize,
        address: Option<u64>,
        function: Option<Function>,
        sites: Vec<Site>,
    },
    /// The file is of another build, or none that can be read.
    Other,
    /// So much of what might be read is left, in bytes.
    Done {
        left: u64,
    },
    /// From whoever started the process that answered: a signal ended it.
    Died {
        signal: i32,
    },
}

/// What is told of one instruction.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub function: Option<Function>,
    #[serde(with = "base64")]
    pub build_id: Option<Bytes>,
    pub address: Option<u64>,
}

/// A function, and how far in it an instruction is, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    #[serde(with = "base64")]
    pub name: Bytes,
    pub offset: u64,
}

/// A frame without names.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Bare {
    pub ip: u64,
    /// Which module, and where in its file.
    pub module: Option<usize>,
    pub offset: Option<u64>,
    /// A signal's handler returns there.
    pub signal: bool,
}

/// Files that were asked for come with it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Files;

/// One end of the socket of a question.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// A socket, whose packets are not longer than [`PACKET`].
///
/// # Errors
/// Where none can be made.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    for end in [&one, &other] {
        // A host may have made them smaller; it may refuse it, too.
        let _ = set_socket_send_buffer_size(end, 2 * PACKET);
    }
    Ok((one, other))
}

impl Channel {
    pub fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// # Errors
    /// Where nobody is at the other end any more, or it is too long.
    pub fn send<T: Serialize>(&self, what: &T, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let packet = serde_json::to_vec(what)?;
        if packet.len() > PACKET || files.len() > FILES {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        put(self.0.as_fd(), &packet, files, SendFlags::empty())
    }

    /// The next packet, waited for until `timeout` ends, if there is an end of it.
    ///
    /// # Errors
    /// Where none comes, or it makes no sense.
    pub fn receive<T: DeserializeOwned>(
        &self,
        timeout: Option<Duration>,
    ) -> io::Result<(T, Vec<OwnedFd>)> {
        if let Some(timeout) = timeout {
            let timeout = timeout.max(Duration::from_millis(1));
            set_socket_timeout(&self.0, Timeout::Recv, Some(timeout))?;
        }
        let mut packet = vec![0; PACKET];
        let (size, files) = take(self.0.as_fd(), &mut packet)?;
        Ok((serde_json::from_slice(&packet[..size])?, files))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends a packet and descriptors, if there is room for them.
///
/// # Errors
/// Where there is none, or nobody is at the other end any more.
pub fn pass(socket: BorrowedFd<'_>, packet: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    put(socket, packet, files, SendFlags::DONTWAIT)
}

fn put(
    socket: BorrowedFd<'_>,
    packet: &[u8],
    files: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(socket, &[IoSlice::new(packet)], &mut beside, flags | SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next packet: its length, and its descriptors.
///
/// # Errors
/// Where none comes, it is too long, or nobody is at the other end any more.
pub fn take(socket: BorrowedFd<'_>, packet: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(socket, &mut [IoSliceMut::new(packet)], &mut beside, flags)?;
    let mut files = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            files.extend(rights);
        }
    }
    if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    match got.bytes {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        size => Ok((size, files)),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read as _};

    use super::*;

    #[test]
    fn packets_are_whole_and_files_come_with_them() {
        let (one, other) = pair().expect("a socket");
        let (one, other) = (Channel::new(one), Channel::new(other));
        let file = File::open("/proc/self/comm").expect("proc");
        one.send(&Answer::Begun { pid: 7 }, &[file.as_fd()]).expect("room");
        one.send(&Answer::Other, &[]).expect("room");
        let (answer, mut files) = other.receive::<Answer>(None).expect("a packet");
        assert!(matches!(answer, Answer::Begun { pid: 7 }));
        let mut text = String::new();
        File::from(files.pop().expect("a file")).read_to_string(&mut text).expect("its text");
        assert!(!text.is_empty() && files.is_empty());
        assert!(matches!(other.receive(None), Ok((Answer::Other, _))));
        let late = other.receive::<Answer>(Some(Duration::from_millis(1))).expect_err("nothing");
        assert_eq!(late.kind(), io::ErrorKind::WouldBlock);
        drop(one);
        let gone = other.receive::<Answer>(None).expect_err("nobody");
        assert_eq!(gone.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_makes_no_sense_or_is_too_long_is_none() {
        let (one, other) = pair().expect("a socket");
        let receiver = Channel::new(other);
        for packet in [&b"{"[..], b"\xff", b"{\"begun\":{\"pid\":-1}}", b"[1e999]"] {
            pass(one.as_fd(), packet, &[]).expect("room");
            assert!(receiver.receive::<Answer>(None).is_err(), "{packet:?}");
        }
        pass(one.as_fd(), &vec![b' '; PACKET + 1], &[]).expect("room");
        assert!(receiver.receive::<Answer>(None).is_err());
        let sender = Channel::new(one);
        let long = Lines {
            build_id: vec![0; PACKET],
            offsets: Vec::new(),
            addresses: Vec::new(),
            most: 0,
            time: Duration::ZERO,
        };
        assert!(sender.send(&Request::Lines(long), &[]).is_err());
    }

    #[test]
    fn the_longest_question_fits() {
        let range = Range { start: u64::MAX, end: u64::MAX, offset: u64::MAX };
        let module = || Module { mappings: vec![range], file: true };
        let thread = Thread {
            machine: 62,
            registers: Some(Registers { ip: u64::MAX, sp: u64::MAX, fp: u64::MAX, lr: 0 }),
            chain: vec![u64::MAX; 64],
            bytes: vec![0xff; 16 << 10],
            modules: (0..256).map(|_| module()).collect(),
        };
        let (one, other) = pair().expect("a socket");
        Channel::new(one).send(&Request::Stack(Box::new(thread)), &[]).expect("room");
        assert!(Channel::new(other).receive::<Request>(None).is_ok());
        let lines = Lines {
            build_id: vec![0xff; 64],
            offsets: vec![u64::MAX; ADDRESSES],
            addresses: vec![Some(u64::MAX); ADDRESSES],
            most: u64::MAX,
            time: Duration::MAX,
        };
        assert!(serde_json::to_vec(&Request::Lines(lines)).expect("JSON").len() <= PACKET);
    }
}
