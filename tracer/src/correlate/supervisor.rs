//! Who keeps others running: init and service managers, runtimes' shims, masters of workers. What is
//! known of them is what events carry: a name, a pid. Pure.
use crate::model::task::{Actor, Ancestor, Task};

/// Programs that keep others running: how their `comm` begins, of which there are 15 bytes.
const SUPERVISORS: [&str; 19] = [
    "systemd",
    "supervisord",
    "runsv",
    "s6-supervise",
    "monit",
    "PM2 ",
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
    "php-fpm",
    "postgres",
    "apache2",
];
/// Programs that a container is stopped by: runtimes signal its main process.
const RUNTIMES: [&str; 5] = ["runc", "crun", "youki", "podman", "docker"];
/// Of the supervisors those that end with the status of the one process they look after.
const PASSING_ON: [&str; 5] = ["conmon", "docker-init", "tini", "catatonit", "dumb-init"];
/// Programs that answer a question by their status.
const ANSWERS: [&str; 16] = [
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
];
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

/// Whether a process stops others as its work: in order, if it asks them to end.
pub fn stops(task: &Task) -> bool {
    task.id.tgid == 1
        || supervisor(&task.comm)
        || RUNTIMES.iter().any(|name| task.comm == name.as_bytes())
}

/// Whether its own failure is only that of the process it looks after, which is told already.
pub fn passes_on(comm: &[u8]) -> bool {
    PASSING_ON.iter().any(|name| comm == name.as_bytes())
}

/// Whether its failure is an answer to whoever asked, however long that took.
pub fn answers(comm: &[u8]) -> bool {
    ANSWERS.iter().any(|name| comm == name.as_bytes())
}

/// Whether it runs commands for somebody: a shell, or a script that says so by its name. (A script
/// that is run by its first line has its own name.)
pub fn shell(comm: &[u8]) -> bool {
    // A login shell has a dash in front.
    let name = comm.strip_prefix(b"-").unwrap_or(comm);
    comm.ends_with(b".sh") || SHELLS.iter().any(|shell| name == shell.as_bytes())
}

fn supervisor(comm: &[u8]) -> bool {
    SUPERVISORS.iter().any(|name| comm.starts_with(name.as_bytes()))
}
