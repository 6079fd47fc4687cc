//! Whom a Unix socket is connected to, by NETLINK_SOCK_DIAG (include/uapi/linux/unix_diag.h). /proc has no way to tell.
use std::{
    fs,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{fs::MetadataExt as _, net::UnixStream},
    },
    sync::{Mutex, PoisonError},
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SOCK_DIAG, recv, send,
    socket_with,
};

use crate::model::{Bytes, file::Dev, names::is_word};

/// include/uapi/linux/sock_diag.h SOCK_DIAG_BY_FAMILY
const BY_FAMILY: u16 = 20;
/// include/uapi/linux/netlink.h
const NLM_F_REQUEST: u16 = 1;
const NLMSG_HDR: usize = 16;
/// `struct unix_diag_msg`
const MSG: usize = 16;
/// UDIAG_SHOW_NAME, UDIAG_SHOW_VFS and UDIAG_SHOW_PEER.
const SHOW: u32 = 1 | 2 | 4;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_VFS: u16 = 1;
const UNIX_DIAG_PEER: u16 = 2;

/// Asks the kernel. Its socket is made before a filter refuses that.
pub struct UnixDiag(Option<Mutex<(OwnedFd, u32)>>);

/// What the kernel tells of one socket.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    name: Option<Bytes>,
    /// Inode, cut to 32 bits, and device (of the kernel: major << 20 | minor) of the name.
    vfs: Option<(u32, u32)>,
    peer: Option<u32>,
}

/// What a socket is called that is called as a journal's.
#[derive(Debug)]
pub struct Claimed {
    at: String,
    vfs: (u32, u32),
    namespace: Option<String>,
}

/// Where systemd has its sockets.
const RUN: &str = "/run/systemd";

impl Claimed {
    /// What is bound to a path, by the inode and device of what was made there; `None` if no journal is called so.
    pub fn by(name: &[u8], inode: u64, dev: Dev) -> Option<Self> {
        Self::below(RUN, name, (inode as u32, dev.major << 20 | dev.minor))
    }

    fn below(run: &str, name: &[u8], vfs: (u32, u32)) -> Option<Self> {
        let name = std::str::from_utf8(name).ok()?;
        let namespace = namespace(name.trim_end_matches('\0').strip_prefix(run)?)?;
        let at = run.to_owned() + &path(namespace.as_deref());
        Some(Self { at, vfs, namespace })
    }

    /// The journal of this host that it is: of the main one `Some(None)`, of another its namespace. The name has to be
    /// the very file that we have there as well, where only root makes one.
    pub fn of_host(self) -> Option<Option<String>> {
        let meta = fs::metadata(&self.at).ok()?;
        let dev = libc::major(meta.dev()) << 20 | libc::minor(meta.dev());
        (self.vfs == (meta.ino() as u32, dev)).then_some(self.namespace)
    }
}

impl Default for UnixDiag {
    fn default() -> Self {
        let kind = (AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC);
        let socket = socket_with(kind.0, kind.1, kind.2, Some(SOCK_DIAG)).ok();
        let diag = Self(socket.map(|socket| Mutex::new((socket, 0))));
        // The kernel may have to load its part of it, which takes a while. Where it has none it would look for that with
        // each question.
        if diag.answers() { diag } else { Self(None) }
    }
}

impl UnixDiag {
    /// Which journal a socket leads to, by the inode of the socket, if its other end is called as one. Whoever bound
    /// that says what it is called.
    pub fn journal(&self, inode: u64) -> Option<Claimed> {
        self.journal_of(RUN, inode)
    }

    /// The same where systemd has its sockets below `run`.
    fn journal_of(&self, run: &str, inode: u64) -> Option<Claimed> {
        let peer = self.ask(u32::try_from(inode).ok()?)?.peer?;
        let Told { name, vfs, .. } = self.ask(peer)?;
        Claimed::below(run, &name?, vfs?)
    }

    /// Whether it tells of a socket of ours what is so.
    fn answers(&self) -> bool {
        let inode = |end: &UnixStream| Some(rustix::fs::fstat(end.as_fd()).ok()?.st_ino as u32);
        let Ok((one, other)) = UnixStream::pair() else { return false };
        let told = inode(&one).and_then(|inode| self.ask(inode));
        told.is_some_and(|told| told.peer.is_some() && told.peer == inode(&other))
    }

    fn ask(&self, inode: u32) -> Option<Told> {
        let mut socket = self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let (socket, asked) = &mut *socket;
        *asked = asked.wrapping_add(1);
        send(&*socket, &request(inode, *asked), SendFlags::DONTWAIT).ok()?;
        let mut buffer = [0; 1024];
        // It has answered by now; an older answer may lie before it.
        for _ in 0..4 {
            let (read, _) = recv(&*socket, &mut buffer[..], RecvFlags::DONTWAIT).ok()?;
            let answer = buffer.get(..read)?;
            if word(answer, 8) == Some(*asked) {
                return told(answer, inode);
            }
        }
        None
    }
}

/// Where journald listens, below /run/systemd.
fn path(namespace: Option<&str>) -> String {
    let of = namespace.map_or_else(String::new, |name| format!(".{name}"));
    format!("/journal{of}/stdout")
}

/// Of `/journal/stdout`, or `/journal.NAME/stdout`.
fn namespace(path: &str) -> Option<Option<String>> {
    let name = path.strip_prefix("/journal")?.strip_suffix("/stdout")?;
    if name.is_empty() {
        return Some(None);
    }
    let name = name.strip_prefix('.')?;
    (is_word(name) && !name.contains('/')).then(|| Some(name.to_owned()))
}

/// A `struct nlmsghdr` and a `struct unix_diag_req`.
fn request(inode: u32, asked: u32) -> Vec<u8> {
    const ANY_COOKIE: u32 = u32::MAX;
    let family = [AddressFamily::UNIX.as_raw() as u8, 0, 0, 0];
    let length = (NLMSG_HDR + 24) as u32;
    let mut out = length.to_ne_bytes().to_vec();
    out.extend(BY_FAMILY.to_ne_bytes());
    out.extend(NLM_F_REQUEST.to_ne_bytes());
    out.extend([asked, 0].map(u32::to_ne_bytes).concat());
    out.extend(family);
    out.extend([u32::MAX, inode, SHOW, ANY_COOKIE, ANY_COOKIE].map(u32::to_ne_bytes).concat());
    out
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// An answer about the socket of that inode; `None` where it is an error, or cut.
fn told(answer: &[u8], inode: u32) -> Option<Told> {
    let length = usize::try_from(word(answer, 0)?).ok()?;
    let message = answer.get(NLMSG_HDR..length).filter(|_| half(answer, 4) == Some(BY_FAMILY))?;
    (word(message, 4)? == inode).then_some(())?;
    let mut told = Told::default();
    let mut rest = message.get(MSG..)?;
    while let (Some(length), Some(kind)) = (half(rest, 0), half(rest, 2)) {
        let length = usize::from(length);
        let value = rest.get(4..length)?;
        match kind {
            UNIX_DIAG_NAME => told.name = Some(value.to_vec()),
            UNIX_DIAG_VFS => told.vfs = word(value, 0).zip(word(value, 4)),
            UNIX_DIAG_PEER => told.peer = word(value, 0),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(told)
}

#[cfg(test)]
mod tests {
    use std::os::{
        fd::AsRawFd as _,
        unix::net::{UnixListener, UnixStream},
    };

    use super::*;

    fn inode(fd: &impl std::os::fd::AsRawFd) -> u64 {
        let link = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).expect("a link");
        let link = link.into_os_string().into_string().expect("text");
        let number = link.strip_prefix("socket:[").and_then(|link| link.strip_suffix(']'));
        number.and_then(|number| number.parse().ok()).expect("a number")
    }

    #[test]
    fn names_of_journals() {
        assert_eq!(namespace("/journal/stdout"), Some(None));
        assert_eq!(namespace("/journal.web/stdout"), Some(Some("web".to_owned())));
        let others = [
            "",
            "/journal/dev-log",
            "/journal./stdout",
            "/journal.a/b/stdout",
            "/journals/stdout",
            "/journal",
        ];
        assert!(others.iter().all(|path| namespace(path).is_none()));
        assert_eq!(
            path(namespace("/journal.web/stdout").flatten().as_deref()),
            "/journal.web/stdout"
        );
    }

    /// Whoever binds a socket may call it anything.
    #[test]
    fn another_socket_is_no_journal() {
        let dir = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(dir.path().join("stdout")).expect("a socket");
        let stream = UnixStream::connect(dir.path().join("stdout")).expect("a connection");
        let (accepted, _) = listener.accept().expect("a connection");
        let diag = UnixDiag::default();
        assert!(diag.journal(inode(&stream)).is_none());
        // Not every kernel has it, nor every sandbox.
        if let Some(told) = diag.ask(inode(&stream) as u32) {
            assert_eq!(told.peer.map(u64::from), Some(inode(&accepted)));
            let told = diag.ask(inode(&accepted) as u32).expect("the other end");
            let name = told.name.expect("a name");
            assert!(name.starts_with(dir.path().as_os_str().as_encoded_bytes()));
            let meta = fs::metadata(dir.path().join("stdout")).expect("its file");
            assert_eq!(told.vfs.map(|(ino, _)| ino), Some(meta.ino() as u32));
        }
        assert!(accepted.as_raw_fd() >= 0);
    }

    /// As journald listens and systemd connects; and somebody else binds that name in a place of their own.
    #[test]
    fn a_journal_is_the_one_that_is_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let run = dir.path().to_str().expect("text");
        let diag = UnixDiag::default();
        let journal = |stream: &UnixStream| diag.journal_of(run, inode(stream))?.of_host();
        for namespace in [None, Some("web")] {
            let at = run.to_owned() + &path(namespace);
            fs::create_dir_all(std::path::Path::new(&at).parent().expect("one")).expect("room");
            let listener = UnixListener::bind(&at).expect("a socket");
            let stream = UnixStream::connect(&at).expect("a connection");
            let (_accepted, _) = listener.accept().expect("a connection");
            if diag.ask(inode(&stream) as u32).is_some() {
                let found = Some(namespace.map(str::to_owned));
                assert_eq!(journal(&stream), found);
            }
            fs::remove_file(&at).expect("it is there");
            let _another = UnixListener::bind(&at).expect("a socket");
            assert_eq!(journal(&stream), None);
        }
    }

    #[test]
    fn damaged_answers_tell_nothing() {
        let mut answer = request(7, 1);
        assert_eq!(told(&answer, 7), None, "a request is no answer");
        answer[20..24].copy_from_slice(&7_u32.to_ne_bytes());
        for end in 0..answer.len() {
            assert_eq!(told(&answer[..end], 7), None);
        }
        for length in [0_u32, 3, 17, u32::MAX] {
            answer[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(told(&answer, 7), None);
        }
    }
}
