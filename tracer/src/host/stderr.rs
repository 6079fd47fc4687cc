//! Standard error, for who must not wait for its reader.
use std::{io, os::fd::AsFd as _};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, fstat},
    io::ioctl_fionread,
};

/// Bytes that wait in a pipe before only messages are written to it that must not be lost: half of what it holds
/// (pipe(7)).
const HALF: u64 = 32 << 10;

/// Waits until a line can be written, but no longer than this (ns); whether it can, and leaves room for others.
pub fn has_room(timeout: u32) -> bool {
    let stderr = io::stderr();
    let fd = stderr.as_fd();
    let mut asked = [PollFd::new(&fd, PollFlags::OUT)];
    let ready = poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: timeout.into() })) == Ok(1)
        && asked[0].revents().contains(PollFlags::OUT);
    let pipe = fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
    ready && !(pipe && ioctl_fionread(fd).is_ok_and(|waiting| waiting > HALF))
}
