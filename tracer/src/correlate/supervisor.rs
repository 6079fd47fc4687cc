//! Who keeps others running: init and service managers, runtimes' shims, masters of workers. What is
//! known of them is what events carry: a name, a pid. Pure.
use crate::model::{
    signal_name::{SIGQUIT, SIGTERM},
    task::{Actor, Ancestor, Task},
};

/// Programs that keep others running, by their `comm`, of which there are 15 bytes.
const SUPERVISORS: [&str; 20] = [
    "systemd",
    "supervisord",
    "runsv",
    "s6-supervise",
    "monit",
    "circusd",
    "containerd-shim",
    "conmon",
    "docker-init",
    "tini",
    "catatonit",
    "dumb-init",
    "nginx",
    "gunicorn",
    "uwsgi",
    "postgres",
    // As Red Hat calls them.
    "postmaster",
    "httpd",
    "apache2",
    "haproxy",
];
/// How the names of others begin.
const BEGIN: [&str; 3] = ["PM2 ", "gunicorn: ", "php-fpm"];
/// Programs that a container is stopped by: runtimes signal its main process.
const RUNTIMES: [&str; 5] = ["runc", "crun", "youki", "podman", "docker"];
/// Of the supervisors those that end with the status of the one process they look after.
const PASSING_ON: [&str; 5] = ["conmon", "docker-init", "tini", "catatonit", "dumb-init"];
/// Programs that answer a question by their status.
const ANSWERS: [&str; 28] = [
    "grep",
    "egrep",
    "fgrep",
    "zgrep",
    "cmp",
    "diff",
    "test",
    "[",
    "expr",
    "false",
    "pgrep",
    "pidof",
    "which",
    "getent",
    "mountpoint",
    "pg_isready",
    // Scripts wait by them until somebody is there.
    "curl",
    "dig",
    "host",
    "mysqladmin",
    "nc",
    "nc.openbsd",
    "nc.traditional",
    "ncat",
    "nslookup",
    "ping",
    "redis-cli",
    "wget",
];
/// Programs that end by the signal that ended the command they ran, which is told already.
const RAISING: [&str; 5] = ["sudo", "timeout", "unshare", "nsenter", "strace"];
const SHELLS: [&str; 12] =
    ["sh", "bash", "dash", "zsh", "ksh", "mksh", "fish", "ash", "csh", "tcsh", "busybox", "rbash"];

/// Whether somebody answers for a process: it is the main process of a container, or the child of init or
/// of a supervisor.
pub fn supervised(actor: &Actor) -> bool {
    actor.task.ns_tgid == Some(1) || actor.ancestors.first().is_some_and(parent)
}

fn parent(parent: &Ancestor) -> bool {
    parent.id.tgid == 1 || supervisor(&parent.comm)
}

/// Whether a process stops another as its work: in order, if it asks it to end. A name alone can be anybody's:
/// root's, or that of whoever runs the other one.
pub fn stops(task: &Task, other: &Task) -> bool {
    let named = supervisor(&task.comm) || RUNTIMES.iter().any(|name| task.comm == name.as_bytes());
    task.id.tgid == 1 || named && stops_own(task, other)
}

/// Whether init stops by SIGKILL what a user's service manager leaves behind at a logout (user@.service, KillMode=mixed): the
/// process that keeps its session with PAM open, which systemd calls so (src/core/exec-invoke.c setup_pam).
pub fn ends_session(task: &Task, other: &Task) -> bool {
    task.id.tgid == 1 && other.comm == b"(sd-pam)"
}

/// Whether another whybus, a `trace` beside the recorder, ends a process of its own that has parsed for it.
pub fn ends_parser(task: &Task, other: &Task) -> bool {
    [task, other].iter().all(|one| one.comm == b"whybus-parser") && stops_own(task, other)
}

fn stops_own(task: &Task, other: &Task) -> bool {
    task.uid == 0 || task.uid == other.uid
}

/// Whether its own failure is only that of the process it looks after, which is told already.
pub fn passes_on(comm: &[u8]) -> bool {
    PASSING_ON.iter().any(|name| comm == name.as_bytes())
}

/// Whether a signal that it sends itself is only the one that ended the command it ran.
pub fn raises(comm: &[u8]) -> bool {
    RAISING.iter().any(|name| comm == name.as_bytes())
}

/// Whether what it was forked by starts programs and does not go on in its children: a service manager.
pub fn forks_to_exec(child: &Actor) -> bool {
    child.ancestors.first().is_some_and(adopts)
}

/// Whether it is a service manager, which also adopts the children of who ends (PR_SET_CHILD_SUBREAPER).
pub fn adopts(parent: &Ancestor) -> bool {
    parent.id.tgid == 1 || parent.comm == b"systemd"
}

/// Whether its failure is an answer to whoever asked, however long that took.
pub fn answers(comm: &[u8]) -> bool {
    ANSWERS.iter().any(|name| comm == name.as_bytes())
}

/// Whether only a connection failed that sshd(8) had forked it for: nobody logged in, as whoever scans the internet does not,
/// or the other end went away (sshd.c cleanup_exit).
pub fn lost_a_client(comm: &[u8], parent: &Ancestor, status: u32) -> bool {
    const SSHD: [&[u8]; 3] = [b"sshd", b"sshd-session", b"sshd-auth"];
    [comm, parent.comm.as_slice()].iter().all(|name| SSHD.contains(name)) && status == 255
}

/// Whether a worker of PostgreSQL has done what its postmaster asked of it: it exits with 1 of SIGTERM (proc_exit of FATAL,
/// and of a background worker), and with 2 of SIGQUIT, as those do whose neighbour has crashed
/// (src/backend/tcop/postgres.c die, quickdie).
pub fn is_stopped_worker(sender: &Task, parent: &Ancestor, signal: i32, status: u32) -> bool {
    is_postmaster(&sender.comm)
        && sender.id.same(parent.id)
        && matches!((signal, status), (SIGTERM, 1) | (SIGQUIT, 2))
}

/// Whether its workers are of many kinds, and one for each client: which kind one is its title alone says.
pub fn is_postmaster(comm: &[u8]) -> bool {
    [&b"postgres"[..], b"postmaster"].contains(&comm)
}

/// Whether it runs commands for somebody: a shell, or a script that says so by its name. (A script
/// that is run by its first line has its own name.)
pub fn shell(comm: &[u8]) -> bool {
    // A login shell has a dash in front.
    let name = comm.strip_prefix(b"-").unwrap_or(comm);
    comm.ends_with(b".sh") || SHELLS.iter().any(|shell| name == shell.as_bytes())
}

fn supervisor(comm: &[u8]) -> bool {
    SUPERVISORS.iter().any(|name| comm == name.as_bytes())
        || BEGIN.iter().any(|name| comm.starts_with(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::actor;

    #[test]
    fn a_name_that_begins_like_a_supervisors_is_none() {
        for comm in [&b"monitor-agent"[..], b"tiniest", b"postgres_killer", b"nginx-test"] {
            assert!(!supervisor(comm), "{}", String::from_utf8_lossy(comm));
        }
        for comm in [&b"systemd"[..], b"containerd-shim", b"php-fpm8.2", b"PM2 v5.3.0: God"] {
            assert!(supervisor(comm), "{}", String::from_utf8_lossy(comm));
        }
    }

    #[test]
    fn who_takes_a_supervisors_name_stops_only_its_own() {
        let task = |uid: u32| Task { uid, comm: b"systemd".to_vec(), ..actor(77).task };
        assert!(!stops(&task(1000), &task(0)));
        assert!(stops(&task(1000), &task(1000)) && stops(&task(0), &task(1000)));
        let parser = |uid: u32| Task { comm: b"whybus-parser".to_vec(), ..task(uid) };
        assert!(ends_parser(&parser(65_534), &parser(65_534)));
        assert!(!ends_parser(&parser(0), &task(0)) && !ends_parser(&parser(7), &parser(0)));
    }
}
