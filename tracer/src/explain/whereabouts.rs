//! Where a process ran, as people call it: a pod, a container, a job, or else a unit or cgroup. Pure.
use crate::{
    contract::{Memory, Pod, Process},
    model::{
        cgroup::slice_of_user,
        container::{SHORT, subject},
    },
    text::escape::escape,
};

/// `pod shop/geo-api-7d9f, container api (containerd 0123456789ab), image geo-api:1.2`, `Slurm job 7 step batch`;
/// `None` on the host itself.
pub fn inside(process: &Process) -> Option<String> {
    let pod = process.pod.as_ref().map(pod);
    let image = process.container.as_ref().and_then(|container| container.image.as_ref());
    let image = image.map(|image| format!("image {}", escape(&image.0)));
    let parts = job(process).into_iter().chain(pod).chain(container(process)).chain(image);
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn pod(pod: &Pod) -> String {
    match (&pod.name, &pod.namespace) {
        (Some(name), Some(of)) => format!("pod {}/{}", escape(&of.0), escape(&name.0)),
        (Some(name), None) => format!("pod {}", escape(&name.0)),
        (None, _) => format!("pod {}", escape(pod.uid.as_bytes())),
    }
}

/// The same, or, where that is the host, the cgroup, or the service with what starts it.
pub fn whereabouts(process: &Process) -> Option<String> {
    let cgroup = process.cgroup.as_ref().filter(|path| path.0 != b"/");
    match (inside(process), triggered(process)) {
        (Some(inside), Some(triggered)) => Some(format!("{inside}, {triggered}")),
        (inside, triggered) => {
            inside.or(triggered).or_else(|| Some(format!("cgroup {}", escape(&cgroup?.0))))
        }
    }
}

/// Its terminal, and out of whose login it came: ` on pts/3, logged in as alice (uid 1000)`.
pub fn login(process: &Process) -> String {
    let tty =
        process.tty.as_ref().map_or_else(String::new, |tty| format!(" on {}", escape(&tty.0)));
    let Some(uid) = process.login_uid else { return tty };
    let name = process.login_user.as_ref().map(|name| escape(&name.0));
    let own = uid == process.uid;
    // Without a terminal it may be a job of cron, whose PAM has a session made on some distributions, or a user's service.
    let how = if process.tty.is_some() { "logged in as" } else { "in a session of" };
    match (name, is_in_session(process)) {
        (Some(name), true) if own => format!("{tty}, {how} {name}"),
        (Some(name), true) => format!("{tty}, {how} {name} (uid {uid})"),
        (None, true) => format!("{tty}, {how} uid {uid}"),
        // As cron opens a session for each job.
        (_, false) if own && tty.is_empty() => tty,
        (Some(name), false) => format!("{tty}, login uid {uid} ({name})"),
        (None, false) => format!("{tty}, login uid {uid}"),
    }
}

/// Whether its login uid is that of whose session it is in: logind gave that user the slice that it is in. A process that has
/// none may give itself any (kernel/auditsc.c audit_set_loginuid_perm), and who was started by hand keeps that of its starter.
fn is_in_session(process: &Process) -> bool {
    let of = process.cgroup.as_ref().and_then(|path| slice_of_user(&path.0));
    of.is_some() && of == process.login_uid
}

/// `rotate.service, which rotate.timer may start`: so it is set up, be the timer enabled or not.
fn triggered(process: &Process) -> Option<String> {
    let timers: Vec<String> = process.unit_timers.iter().map(|timer| escape(&timer.0)).collect();
    let unit = process.unit.as_ref().filter(|_| !timers.is_empty())?;
    Some(format!("{}, which {} may start", escape(&unit.0), timers.join(" or ")))
}

/// The same in a word or two, for where only a line is told: ` (alice on pts/3)`, ` (rotate.timer may start it)`.
pub fn origin(process: &Process) -> String {
    let user = process.login_uid.filter(|_| is_in_session(process)).map(|uid| {
        let name = process.login_user.as_ref().map(|name| escape(&name.0));
        let name = name.unwrap_or_else(|| format!("uid {uid}"));
        if process.tty.is_some() { name } else { format!("session of {name}") }
    });
    let tty = process.tty.as_ref().map(|tty| format!("on {}", escape(&tty.0)));
    let words: Vec<String> = user.into_iter().chain(tty).collect();
    let timer =
        || process.unit_timers.first().map(|timer| format!("{} may start it", escape(&timer.0)));
    let told = if words.is_empty() { timer() } else { Some(words.join(" ")) };
    told.map_or_else(String::new, |told| format!(" ({told})"))
}

/// `container web (docker 3f2a91c0b1d2)`, or of one without a name `container 3f2a91c0b1d2 (docker)`
pub fn container(process: &Process) -> Option<String> {
    let container = process.container.as_ref()?;
    let short = container.id.len() == 64;
    let id: String = container.id.chars().take(if short { SHORT } else { usize::MAX }).collect();
    let runtime = container.runtime.as_ref().map(|runtime| escape(runtime.as_bytes()));
    let id = escape(id.as_bytes());
    let (name, beside) = match container.name.as_ref().map(|name| escape(&name.0)) {
        Some(name) if name != id => (name, runtime.into_iter().chain([id]).collect::<Vec<_>>()),
        _ => (id, runtime.into_iter().collect()),
    };
    let beside = if beside.is_empty() { String::new() } else { format!(" ({})", beside.join(" ")) };
    Some(format!("container {name}{beside}"))
}

/// A memory cgroup that ran out: `container web (docker 3f2a91c0b1d2)` or the pod, if it is the one that the victim was in, or
/// else `cgroup /small`.
pub fn limited(memory: &Memory, victim: &Process) -> String {
    let path = &memory.cgroup.0[..];
    let whole = path.strip_suffix(b"/container").unwrap_or(path);
    let subject = subject(whole).filter(|subject| subject.path == whole);
    let (id, uid) = subject.map(|subject| (subject.id, subject.pod)).unwrap_or_default();
    let inside = victim.container.as_ref().filter(|inside| Some(&*inside.id) == id.as_deref());
    let of = victim.pod.as_ref().filter(|of| id.is_none() && Some(&*of.uid) == uid.as_deref());
    let found = inside.and_then(|_| container(victim)).or_else(|| of.map(pod));
    found.unwrap_or_else(|| format!("cgroup {}", escape(path)))
}

fn job(process: &Process) -> Option<String> {
    let job = process.slurm.as_ref()?;
    let step = job.step.as_ref();
    let step = step.map_or_else(String::new, |step| format!(" step {}", escape(step.as_bytes())));
    Some(format!("Slurm job {}{step}", job.job))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{SlurmJob, Untrusted, samples::process};

    #[test]
    fn whose_limit_it_was() {
        let id = "0123456789abcdef".repeat(4);
        let uid = "12345678-9abc-def0-1234-56789abcdef0";
        let mut victim = process(7);
        let container = victim.container.as_mut().expect("one");
        (container.id, container.name) = (id.clone().into(), None);
        victim.pod.as_mut().expect("one").name = None;
        let of = |path: &str| {
            let cgroup = Untrusted(path.as_bytes().to_vec());
            limited(&Memory { cgroup, limit: 1, used: None }, &victim)
        };
        let container = "container 0123456789ab (docker)";
        for path in [format!("/docker/{id}"), format!("/machine.slice/libpod-{id}.scope/container")]
        {
            assert_eq!(of(&path), container, "{path}");
        }
        assert_eq!(of(&format!("/kubepods/pod{uid}")), format!("pod {uid}"));
        for path in ["/small", "/kubepods", "/kubepods/pod9", &format!("/docker/{id}/inner")] {
            assert_eq!(of(path), format!("cgroup {path}"));
        }
    }

    #[test]
    fn who_logged_in_and_where() {
        const SCOPE: &str = "/user.slice/user-1000.slice/session-3.scope";
        const SHELL: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice/sh.scope";
        const CRON: &str = "/system.slice/cron.service";
        let named = |text: &str| Some(Untrusted(text.as_bytes().to_vec()));
        let told = |login: (Option<u32>, Option<&str>), tty: Option<&str>, cgroup: &str| {
            let mut process = process(7);
            (process.uid, process.login_uid) = (0, login.0);
            (process.login_user, process.tty) = (login.1.and_then(named), tty.and_then(named));
            (process.cgroup, process.unit_timers) = (named(cgroup), Vec::new());
            (super::login(&process), origin(&process))
        };
        let (alice, root) = ((Some(1000), Some("alice")), (Some(0), Some("root")));
        let pts = Some("pts/3");
        let cases = [
            (alice, pts, SCOPE, " on pts/3, logged in as alice (uid 1000)", " (alice on pts/3)"),
            (alice, pts, SHELL, " on pts/3, logged in as alice (uid 1000)", " (alice on pts/3)"),
            (
                (Some(1000), None),
                pts,
                SCOPE,
                " on pts/3, logged in as uid 1000",
                " (uid 1000 on pts/3)",
            ),
            // `ssh HOST COMMAND`
            (alice, None, SCOPE, ", in a session of alice (uid 1000)", " (session of alice)"),
            // Another's: whoever has no login uid may say what he likes.
            (root, pts, SCOPE, " on pts/3, login uid 0 (root)", " (on pts/3)"),
            (alice, pts, CRON, " on pts/3, login uid 1000 (alice)", " (on pts/3)"),
            (alice, None, "/", ", login uid 1000 (alice)", ""),
            (root, None, CRON, "", ""),
            // Nobody logged in, or that is not known.
            ((None, None), Some("ttyS0"), SCOPE, " on ttyS0", " (on ttyS0)"),
            ((None, None), None, CRON, "", ""),
        ];
        for (login, tty, cgroup, line, words) in cases {
            let expected = (line.to_owned(), words.to_owned());
            assert_eq!(told(login, tty, cgroup), expected, "{login:?} {tty:?} {cgroup}");
        }
    }

    #[test]
    fn which_timers_start_a_service() {
        let named = |text: &str| Untrusted(text.as_bytes().to_vec());
        let mut process = process(7);
        process.cgroup = Some(named("/system.slice/rotate.service"));
        (process.pod, process.container, process.slurm) = (None, None, None);
        (process.login_uid, process.tty) = (None, None);
        process.unit = Some(named("rotate.service"));
        process.unit_timers = vec![named("a.timer")];
        let of = |process: &Process| (whereabouts(process).unwrap_or_default(), origin(process));
        let pair = |place: &str, origin: &str| (place.to_owned(), origin.to_owned());
        assert_eq!(
            of(&process),
            pair("rotate.service, which a.timer may start", " (a.timer may start it)")
        );
        process.unit_timers.push(named("b.timer"));
        assert_eq!(of(&process).0, "rotate.service, which a.timer or b.timer may start");
        process.slurm = Some(SlurmJob { job: 7, step: None });
        assert_eq!(
            of(&process).0,
            "Slurm job 7, rotate.service, which a.timer or b.timer may start"
        );
        process.unit_timers.clear();
        assert_eq!(of(&process), pair("Slurm job 7", ""));
    }

    #[test]
    fn a_pod_a_container_a_job_or_a_cgroup() {
        let mut process = process(7);
        process.unit_timers.clear();
        let told = |process: &Process| whereabouts(process);
        let id = "0123456789abcdef".repeat(4);
        let named = |text: &str| Some(Untrusted(text.as_bytes().to_vec()));
        {
            let container = process.container.as_mut().expect("one");
            container.id = id.into();
            (container.name, container.image) = (named("api"), named("geo-api:1.2"));
            let pod = process.pod.as_mut().expect("one");
            (pod.name, pod.namespace) = (named("geo-api-7d9f"), named("shop"));
        }
        let whole = "pod shop/geo-api-7d9f, container api (docker 0123456789ab), image geo-api:1.2";
        assert_eq!(told(&process), Some(format!("Slurm job 7 step batch, {whole}")));
        {
            let container = process.container.as_mut().expect("one");
            (container.name, container.image) = (None, None);
            process.pod.as_mut().expect("one").name = None;
        }
        let pod = "pod 12345678-9abc-def0-1234-56789abcdef0";
        let container = "container 0123456789ab (docker)";
        assert_eq!(told(&process), Some(format!("Slurm job 7 step batch, {pod}, {container}")));
        process.slurm = None;
        assert_eq!(told(&process), Some(format!("{pod}, {container}")));
        process.pod = None;
        assert_eq!(told(&process), Some(container.to_owned()));
        process.container = None;
        process.slurm = Some(SlurmJob { job: 7, step: None });
        assert_eq!(told(&process).as_deref(), Some("Slurm job 7"));
        process.slurm = None;
        process.cgroup = Some(Untrusted(b"/system.slice/geo.service".to_vec()));
        assert_eq!(told(&process).as_deref(), Some("cgroup /system.slice/geo.service"));
        process.cgroup = Some(Untrusted(b"/".to_vec()));
        assert_eq!(told(&process), None);
    }
}
