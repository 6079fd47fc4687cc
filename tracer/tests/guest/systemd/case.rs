//! What dies under a real systemd, and what must be told of it.
/// Something that dies, and what must be told of it.
pub struct Case {
    pub name: &'static str,
    pub victim: Who,
    pub deaths: usize,
    pub class: &'static str,
    /// How a shell has its status.
    pub status: u32,
    pub culprit: Option<Who>,
    /// Of the culprit.
    pub origin: Origin,
    /// Where it spoke to: what that begins with, and the file of what the command
    /// printed that reads it.
    pub spoke: Option<(&'static str, &'static str)>,
}

/// Where it came from.
pub struct Origin {
    /// Who logged in, as number and name.
    pub login: Option<(u32, &'static str)>,
    pub tty: Option<&'static str>,
    pub timers: &'static [&'static str],
}

/// A process, as people ask for it.
pub struct Who {
    pub comm: &'static str,
    pub exe: &'static str,
    pub place: Place,
}

/// Where it ran.
pub enum Place {
    Unit(&'static str),
    /// A scope of logind's own: what it is called only the run knows.
    Session,
    /// The file with the id of podman's container, and its name.
    Container(&'static str, &'static str),
    /// The name of a container of podman.
    Named(&'static str),
    /// The name of a container that ctr has made.
    Ctr(&'static str),
    Pod(&'static Pod),
}

/// A pod of one container.
pub struct Pod {
    pub id: &'static str,
    pub uid: &'static str,
    pub name: &'static str,
    /// Name and image of the container, where its runtime tells them.
    pub container: Option<(&'static str, &'static str)>,
}

const fn who(comm: &'static str, exe: &'static str, place: Place) -> Who {
    Who { comm, exe, place }
}

const fn unit(comm: &'static str, exe: &'static str, unit: &'static str) -> Who {
    who(comm, exe, Place::Unit(unit))
}

const fn case(name: &'static str, victim: Who, class: &'static str, status: u32) -> Case {
    let origin = Origin { login: None, tty: None, timers: &[] };
    Case { name, victim, deaths: 1, class, status, culprit: None, origin, spoke: None }
}

impl Case {
    pub fn culprit_name(&self) -> Option<&'static str> {
        self.culprit.as_ref().map(|culprit| culprit.comm)
    }

    const fn by(self, culprit: Who) -> Self {
        Self { culprit: Some(culprit), ..self }
    }

    const fn login(mut self, uid: u32, name: &'static str, tty: Option<&'static str>) -> Self {
        self.origin = Origin { login: Some((uid, name)), tty, ..self.origin };
        self
    }

    const fn timers(mut self, timers: &'static [&'static str]) -> Self {
        self.origin.timers = timers;
        self
    }

    const fn spoke(self, to: &'static str, said: &'static str) -> Self {
        Self { spoke: Some((to, said)), ..self }
    }

    const fn times(self, deaths: usize) -> Self {
        Self { deaths, ..self }
    }
}

const SYSTEMD: Who = unit("systemd", "/usr/lib/systemd/systemd", "init.scope");
const SHELL: Who = unit("sh", "/usr/bin/dash", "cases.service");
pub const JOURNALD: Who =
    unit("systemd-journal", "/usr/lib/systemd/systemd-journald", "systemd-journald.service");
/// The kernel kills it while it runs.
const SPINNER: Who = unit("spinner", "/usr/local/bin/spinner", "cpu.service");
/// What is to become a unit's program is called so until then.
pub const MISSING: &str = "(missing)";
/// What two units run.
pub const TWIN: &str = "twin";
const TRUNCATE: &str = "/usr/bin/truncate";

macro_rules! service {
    ($name:literal) => {
        unit($name, concat!("/usr/local/bin/", $name), concat!($name, ".service"))
    };
}

pub static CASES: [Case; 26] = [
    case("kill_9", service!("killed"), "sent", 137).by(SHELL),
    case("memory_max", service!("hog"), "oom-killed", 137),
    case("the_units_watchdog", service!("silent"), "sent", 134).by(SYSTEMD),
    case("systemctl_kill", service!("commanded"), "sent", 137).by(SYSTEMD),
    case("a_stop_timeout", service!("deaf"), "sent", 137).by(SYSTEMD),
    case("a_stop_that_takes_its_time", service!("drained"), "exited", 1),
    case("sigsegv_at_once", service!("segv"), "signal", 139),
    case("sigbus_at_once", service!("bus"), "mapped-past-end", 135),
    case("a_loop_until_the_start_limit", service!("loop"), "exited", 3).times(4),
    case("a_script_as_a_service", unit("sh", "/usr/bin/dash", "shell.service"), "exited", 4),
    case("a_limit_of_cpu_time", SPINNER, "sent", 137).by(SPINNER),
    // Its pam.d has pam_loginuid.so.
    case("a_job_of_cron", service!("served"), "truncated", 135)
        .by(unit("truncate", TRUNCATE, "cron.service"))
        .login(0, "root", None),
    case("a_timers_service", service!("rotated"), "truncated", 135)
        .by(unit("truncate", TRUNCATE, "rotate.service"))
        .timers(&["rotate.timer"]),
    case("typed_after_a_login", service!("typed"), "truncated", 135)
        .by(who("truncate", TRUNCATE, Place::Session))
        .login(1000, "alice", Some("pts/0")),
    case("typed_as_root_after_a_login", service!("admin"), "truncated", 135)
        .by(who("truncate", TRUNCATE, Place::Session))
        .login(1000, "alice", Some("pts/0")),
    case("typed_on_a_console", service!("console"), "truncated", 135)
        .by(who("truncate", TRUNCATE, Place::Session))
        .login(1000, "alice", Some("tty2")),
    case("started_out_of_a_session", service!("detached"), "truncated", 135)
        .by(unit("truncate", TRUNCATE, "cases.service"))
        .login(1000, "alice", None),
    case(
        "a_container_as_victim",
        who("reader", "/reader", Place::Container("victim.cid", "geo-reader")),
        "truncated",
        135,
    )
    .by(unit("truncate", TRUNCATE, "cases.service")),
    case(
        "a_container_as_culprit",
        unit("reader", "/usr/local/bin/reader", "cases.service"),
        "truncated",
        135,
    )
    .by(who("busybox", "/busybox", Place::Container("culprit.cid", "geo-updater"))),
    case(
        "a_container_of_a_millisecond",
        who("victim", "/victim", Place::Container("instant.cid", "geo-instant")),
        "signal",
        139,
    ),
    case("a_unit_that_speaks", service!("spoken"), "truncated", 3)
        .by(unit("truncate", TRUNCATE, "cases.service"))
        .spoke("journal: journalctl _PID=", "said-spoken"),
    case("a_unit_that_speaks_and_is_gone", service!("parting"), "signal", 139)
        .spoke("journal: journalctl _PID=", "said-parting"),
    case(
        "a_container_that_speaks",
        who("chatty", "/chatty", Place::Named("geo-chatty")),
        "truncated",
        3,
    )
    .by(unit("truncate", TRUNCATE, "cases.service"))
    .spoke("container-log conmon: podman logs --tail 50 ", "said-geo-chatty"),
    case(
        "a_pod_that_is_removed_at_once",
        who("instant", "/usr/local/bin/instant", Place::Pod(&LAID_OUT)),
        "signal",
        139,
    ),
    case(
        "a_container_of_containerd",
        who("named", "/named", Place::Ctr("geo-named")),
        "signal",
        139,
    ),
    case("a_container_of_a_pod", who("podded", "/podded", Place::Pod(&BY_CRI)), "signal", 139),
];
/// By the directory of its logs alone.
static LAID_OUT: Pod = Pod {
    id: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    uid: "d3b07384-d9a0-4c8e-9f6d-1c2a3b4c5d6e",
    name: "laid-out",
    container: None,
};
static BY_CRI: Pod = Pod {
    id: "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210",
    uid: "5f0c9f7e-43a1-4b53-8b5e-0a7b5f2f1d10",
    name: "geo-api-7d9f",
    container: Some(("api", "registry.example/shop/geo-api:1.2")),
};
