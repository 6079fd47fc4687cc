//! The process that starts those that parse: one for each question, so that none knows of another, and each takes its memory,
//! and what may have happened to it, with it. It reads nothing itself but a socket for each question.
use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    process::exit,
};

use anyhow::Result;
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid},
};

use crate::{
    host::{memory, sandbox},
    parse::{
        protocol::{Answer, Channel, pass, take},
        worker,
    },
};

/// The word by which our own program is started as this; no verb for people.
pub const VERB: &str = "parse-files";
/// Processes that parse at once; the next question waits.
const AT_ONCE: usize = 4;
/// The same with those that were ended and are still there: a read from a server that does not answer cannot be ended
/// (fs/fuse/dev.c request_wait_answer).
const ENDING: usize = 16;

/// One that parses, and the socket of its question.
struct Worker {
    pid: Pid,
    process: OwnedFd,
    asker: OwnedFd,
    /// Nobody waits for its answer any more.
    ending: bool,
}

/// Serves the questions that come over standard input, until nobody asks any more.
///
/// # Errors
/// Where it cannot let go of what it must not have.
pub fn run() -> Result<()> {
    memory::small_pages();
    let _ = rustix::thread::set_name(c"whybus-parser");
    // What a panic says nobody reads; that there was one its end tells.
    std::panic::set_hook(Box::new(|_| ()));
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: instead of Rust's handler, which would tell of an overflow of the stack.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    sandbox::enter()?;
    // SAFETY: whoever starts this puts a socket there, and nothing else here knows it.
    let questions = unsafe { BorrowedFd::borrow_raw(0) };
    let mut workers: Vec<Worker> = Vec::new();
    loop {
        let at_work = workers.iter().filter(|worker| !worker.ending).count();
        let more = at_work < AT_ONCE && workers.len() < ENDING;
        let mut watched: Vec<PollFd<'_>> = Vec::new();
        for worker in &workers {
            watched.push(PollFd::new(&worker.process, PollFlags::IN));
            // Whoever does not wait for the answer any more closes its end, which then stays so.
            watched.push(match worker.ending {
                true => PollFd::new(&worker.process, PollFlags::IN),
                false => PollFd::new(&worker.asker, PollFlags::empty()),
            });
        }
        if more {
            watched.push(PollFd::new(&questions, PollFlags::IN));
        }
        match poll(&mut watched, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = watched.iter().map(|one| !one.revents().is_empty()).collect();
        let asked = more && ready.last() == Some(&true);
        let mut ready = ready.chunks_exact(2);
        workers.retain_mut(|worker| match ready.next() {
            Some([true, _]) => {
                ended(worker);
                false
            }
            Some([_, true]) => {
                // It is waited for like any other.
                let _ = pidfd_send_signal(&worker.process, Signal::KILL);
                worker.ending = true;
                true
            }
            _ => true,
        });
        if asked {
            match start(questions) {
                Ok(worker) => workers.extend(worker),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(_) => {}
            }
        }
    }
}

/// Starts a process for the next question.
fn start(questions: BorrowedFd<'_>) -> io::Result<Option<Worker>> {
    let (_, mut sockets) = take(questions, &mut [0])?;
    let Some(asker) = sockets.pop() else { return Ok(None) };
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        0 => {
            let confine = |limits: worker::Limits| {
                sandbox::confine(limits.memory, limits.time).map_err(io::Error::other)
            };
            let served = sandbox::close_all_but(&asker)
                .and_then(|()| worker::serve(&Channel::new(asker), confine));
            exit(i32::from(served.is_err()))
        }
        pid => {
            let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 0) else { return Ok(None) };
            let process = pidfd_open(pid, PidfdFlags::empty());
            let process = process.inspect_err(|_| {
                // It cannot be waited for: so it does not begin.
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            });
            Ok(Some(Worker { pid, process: process?, asker, ending: false }))
        }
    }
}

/// Tells who asks how it ended; of one that was not ended by a signal it has told all itself.
fn ended(worker: &Worker) {
    let Ok(Some((_, status))) = waitpid(Some(worker.pid), WaitOptions::NOHANG) else { return };
    let Some(signal) = status.terminating_signal() else { return };
    let Ok(packet) = serde_json::to_vec(&Answer::Died { signal }) else { return };
    let _ = pass(worker.asker.as_fd(), &packet, &[]);
}
