//! Stacks, frame by frame as gdb tells them of the core dump of the same crash: the victims of xtask/guest/frames.
//!
//! What the guest told must not differ, as far as it told something; what `show --symbolize` makes of it here, on another host, must
//! be all that gdb tells.
use std::{path::PathBuf, process::Command, sync::Arc};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use whybus::contract::{Frame, Incident, Stack, json};

use crate::{
    Job,
    record::{incidents_of, plain},
    trial,
};

/// A frame, as both can tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Told {
    ip: u64,
    function: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    inlined: bool,
}

/// A victim, by its line in the list.
#[derive(Clone)]
struct Victim {
    name: String,
    /// Nothing but places are known of it; or of a program in Go what its own table says.
    stripped: bool,
}

impl Victim {
    fn parse(line: &str) -> Option<Self> {
        let name = line.split(' ').next().filter(|name| !name.is_empty())?.to_owned();
        Some(Self { name, stripped: line.ends_with(" stripped") })
    }

    fn is_go(&self) -> bool {
        self.name.starts_with("go-")
    }
}

/// Tests for each victim, and its culprit.
pub fn trials(job: &Arc<Job>) -> Vec<Trial> {
    let list = job.text("victims").unwrap_or_default();
    let mut trials = vec![trial(&job.kernel, "frames::victims", {
        let job = job.clone();
        move || everybody_died(&job)
    })];
    trials.push(trial(&job.kernel, "frames::threads", {
        let job = job.clone();
        move || the_thread_that_failed_is_told(&job)
    }));
    trials.push(trial(&job.kernel, "frames::leave", {
        let job = job.clone();
        move || nobody_waits_for_who_leaves(&job)
    }));
    for victim in list.lines().filter_map(Victim::parse) {
        let checks: [(&str, fn(&Job, &Victim) -> Result<()>); 2] =
            [("victim", as_gdb_tells), ("culprit", names_who_cut)];
        for (what, check) in checks {
            let (job, victim) = (job.clone(), victim.clone());
            let label = format!("frames::{}::{what}", victim.name);
            trials.push(trial(&job.kernel.clone(), &label, move || check(&job, &victim)));
        }
    }
    trials
}

/// # Errors
/// Where something passes.
pub fn passes_on_nothing(job: &Job) -> Result<()> {
    let victim = Victim { name: "c-dynamic".to_owned(), stripped: false };
    ensure!(everybody_died(job).is_err(), "everybody died");
    ensure!(the_thread_that_failed_is_told(job).is_err(), "a thread failed");
    ensure!(nobody_waits_for_who_leaves(job).is_err(), "a thread left");
    ensure!(as_gdb_tells(job, &victim).is_err() && names_who_cut(job, &victim).is_err());
    Ok(())
}

fn everybody_died(job: &Job) -> Result<()> {
    let list = job.word("victims")?;
    ensure!(list.lines().count() > 20, "few victims: {list}");
    let statuses = job.text("statuses")?;
    ensure!(statuses.is_empty(), "{statuses}");
    let incidents = incidents_of(&job.text("out.json")?)?;
    ensure!(incidents.len() == list.lines().count(), "{} incidents", incidents.len());
    for Incident { cause, outcome, victim, .. } in &incidents {
        let cause = (cause.class.name(), cause.confidence.name(), outcome.name());
        let comm = plain(&victim.comm);
        // Its handler gave up, by abort(3).
        let ended = if comm == "c-own-stack" { "exited" } else { "killed" };
        ensure!(cause == ("truncated", "proven", ended), "{comm}: {cause:?}");
    }
    Ok(())
}

/// Of threads that end at once any may be the last that counts (kernel/exit.c do_exit); what is told is of the one that failed.
fn the_thread_that_failed_is_told(job: &Job) -> Result<()> {
    let incidents = incidents_of(&job.text("threads.json")?)?;
    ensure!(incidents.len() == 60, "{} incidents", incidents.len());
    let mut wrong = Vec::new();
    for incident in &incidents {
        let first = incident.stack.as_ref().and_then(|stack| stack.user.first());
        let function = first.and_then(|frame| frame.symbol.as_ref()).map(plain);
        if function.as_deref() != Some("fail_here") {
            wrong.push(format!("{:#?} {:#?}", incident.cause, incident.stack));
        }
    }
    ensure!(wrong.is_empty(), "{} of {}: {}", wrong.len(), incidents.len(), wrong.join("\n"));
    Ok(())
}

/// A thread that handled the signal by which the process ends is waited for by others as one that failed. On 7.3, on a third of a
/// CPU, one end in some hundreds was told by nobody.
fn nobody_waits_for_who_leaves(job: &Job) -> Result<()> {
    let incidents = incidents_of(&job.text("leave.json")?)?;
    ensure!(incidents.len() == 100, "{} incidents", incidents.len());
    for Incident { cause, victim, .. } in &incidents {
        let by = cause.culprit.as_ref().map(|culprit| plain(&culprit.comm));
        let told = (cause.class.name(), cause.confidence.name(), by.as_deref());
        ensure!(told == ("sent", "proven", Some("threads")), "{victim:?}: {cause:?}");
    }
    Ok(())
}

fn incident(job: &Job, victim: &Victim) -> Result<Incident> {
    let mut incidents = incidents_of(&job.text("out.json")?)?;
    incidents.retain(|one| plain(&one.victim.comm) == victim.name);
    let [incident] = &incidents[..] else { bail!("{} incidents", incidents.len()) };
    Ok(incident.clone())
}

fn as_gdb_tells(job: &Job, victim: &Victim) -> Result<()> {
    let incident = incident(job, victim)?;
    let stack = incident.stack.as_ref().context("no stack")?;
    places_are_whole(stack, victim)?;
    let mut expected = gdb(&job.text(&format!("{}.bt", victim.name))?)?;
    if stack.cut.is_some() {
        // The stack that a handler with another one came upon is not captured: no more than where that was.
        ensure!(victim.name == "c-own-stack", "cut: {stack:#?}");
        expected.truncate(stack.user.len());
        let last = expected.last().context("no frame")?;
        ensure!(last.function.as_deref() == Some("walk_tree"), "{expected:#?}");
    }
    let live: Vec<Told> = stack.user.iter().map(told).collect();
    let completed = completed(job, &incident)?;
    let completed = completed.stack.context("no stack")?.user;
    let completed: Vec<Told> = completed.iter().map(told).collect();
    let shown = || format!("then {live:#?}\ncompleted {completed:#?}\ngdb {expected:#?}");
    contradict_nothing(&live, &expected).with_context(shown)?;
    if victim.is_go() {
        // Without a build id nothing is completed later; with its own table lines are told at once.
        ensure!(live.iter().all(|frame| frame.line.is_some()), "{}", shown());
        return Ok(());
    }
    if victim.stripped {
        return contradict_nothing(&completed, &expected).with_context(shown);
    }
    ensure!(completed.len() == expected.len(), "another number of frames: {}", shown());
    for (told, expected) in completed.iter().zip(&expected) {
        ensure!(is_the_same(told, expected), "{told:#?} is not {expected:#?}");
    }
    Ok(())
}

/// What it takes to complete a frame later. Go before 1.24 writes no build id.
fn places_are_whole(stack: &Stack, victim: &Victim) -> Result<()> {
    for frame in &stack.user {
        let whole = frame.module.is_some()
            && frame.module_offset.is_some()
            && (frame.build_id.is_some() || victim.is_go());
        ensure!(whole, "{frame:#?}");
    }
    Ok(())
}

/// The frames that both have are the same; of each, what is told agrees with what gdb tells there, inlined functions included.
fn contradict_nothing(told: &[Told], expected: &[Told]) -> Result<()> {
    let frames = |of: &[Told]| -> Vec<u64> {
        of.iter().filter(|frame| !frame.inlined).map(|frame| frame.ip).collect()
    };
    ensure!(frames(told) == frames(expected), "other frames");
    for frame in told {
        let there = || expected.iter().filter(|expected| expected.ip == frame.ip);
        let function = frame.function.is_none() || there().any(|e| same_function(frame, e));
        let line =
            frame.line.is_none() || there().any(|e| (&e.file, e.line) == (&frame.file, frame.line));
        ensure!(function && line, "gdb says another thing than {frame:#?}");
    }
    Ok(())
}

fn is_the_same(told: &Told, expected: &Told) -> bool {
    same_function(told, expected)
        && (told.ip, &told.file, told.line, told.inlined)
            == (expected.ip, &expected.file, expected.line, expected.inlined)
}

/// The call that cut the file, and the program's function that made it.
fn names_who_cut(job: &Job, victim: &Victim) -> Result<()> {
    let incident = incident(job, victim)?;
    let stack = incident.cause.culprit_stack.as_ref().context("no stack of the culprit")?;
    places_are_whole(stack, victim)?;
    let completed = completed(job, &incident)?.cause.culprit_stack.context("no stack")?;
    let names = completed.user.iter().map(|frame| frame.symbol.as_ref().map(plain));
    let mut names = names.map(|name| name.map(|name| normal(&name)).unwrap_or_default());
    let expected: &[&str] = match (victim.is_go(), &victim.name[..2], victim.stripped) {
        (true, ..) => &["syscall.Truncate", "main.cutShort", "main.main", "runtime.goexit"],
        (_, _, true) => &[],
        (_, "c-", _) => &["ftruncate*", "cut_short", "libc_start_main", "start"],
        (_, "cx", _) => &["ftruncate*", "geo::cut_short", "main", "start"],
        _ => &["ftruncate*", "reader::cut_short", "reader::main", "main", "start"],
    };
    for name in expected {
        let is_it = |told: String| match name.strip_suffix('*') {
            Some(begins) => told.starts_with(begins),
            None => told == *name,
        };
        ensure!(names.any(is_it), "no `{name}` in {completed:#?}");
    }
    ensure!(completed.cut.is_none(), "{completed:#?}");
    Ok(())
}

/// An incident as `show --symbolize` tells it on this host, which has nothing but files by their build ids.
fn completed(job: &Job, incident: &Incident) -> Result<Incident> {
    let around = tempfile::tempdir()?;
    let history = around.path().join("history");
    let whybus = |arguments: &[&str]| -> Result<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whybus"));
        command.args(arguments).arg("--state-dir").arg(&history);
        let out = command.output().context("running whybus")?;
        let error = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "whybus {arguments:?}: {error}");
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    };
    let exported = job.dir.join("out.json");
    whybus(&["import", exported.to_str().context("a path")?])?;
    let files: PathBuf = job.dir.join("../../../victims/all");
    let files = files.to_str().context("a path")?;
    let shown = whybus(&["show", &incident.id, "--symbolize", "--debug-dir", files, "-o", "json"])?;
    let shown = shown.lines().next().context("nothing is shown")?;
    json::from_slice(shown.as_bytes()).context("an incident")
}

fn told(frame: &Frame) -> Told {
    Told {
        ip: frame.ip.as_ref().map_or(0, |ip| ip.0),
        function: frame.symbol.as_ref().map(plain),
        file: frame.source.as_ref().map(|file| at_root(&plain(file))),
        line: frame.line,
        inlined: frame.inlined,
    }
}

/// Go's own table says `runtime/proc.go`, its debug information `./runtime/proc.go`.
fn at_root(file: &str) -> String {
    file.strip_prefix("./").unwrap_or(file).to_owned()
}

/// What gdb's `bt` and `info frame` say of each frame, innermost first. Those are left out that gdb infers, of functions which
/// ended with a tail call: they are on no stack; and behind the first function of a goroutine one at 0.
fn gdb(text: &str) -> Result<Vec<Told>> {
    let (list, details) = text.split_once("\nStack level 0,").context("no frames")?;
    let start = list.rfind("\n#0 ").context("no frames")?;
    let lines: Vec<&str> = list[start..].lines().filter(|line| line.starts_with('#')).collect();
    let details: Vec<&str> = details.split("\nStack level ").collect();
    ensure!(lines.len() == details.len(), "{} frames and {}", lines.len(), details.len());
    let both = lines.into_iter().zip(details);
    let real = both.filter(|(_, detail)| !detail.contains("\n tail call frame"));
    let mut frames: Vec<Told> =
        real.map(|(line, detail)| frame(line, detail)).collect::<Result<_>>()?;
    frames.retain(|frame| frame.ip != 0);
    Ok(frames)
}

/// `#2  0x0000555555555c41 in geo::Mapped<geo::Row>::look_up (...) at /src/reader.cc:82`
fn frame(line: &str, detail: &str) -> Result<Told> {
    let ip = detail.split_once(" rip = 0x").context("no rip")?.1;
    let ip = ip.split(|c: char| !c.is_ascii_hexdigit()).next().unwrap_or_default();
    let rest = line.split_once(' ').context("no frame")?.1.trim_start();
    let rest = match rest.starts_with("0x") {
        true => rest.split_once(" in ").context("no function")?.1,
        false => rest,
    };
    let (rest, place) = match rest.rsplit_once(" at ") {
        Some((rest, place)) => (rest, place.rsplit_once(':')),
        None => (rest.rsplit_once(" from ").map_or(rest, |(rest, _)| rest), None),
    };
    let function = ["(...)", "()"].iter().find_map(|end| rest.strip_suffix(end)).unwrap_or(rest);
    Ok(Told {
        ip: u64::from_str_radix(ip, 16)?,
        function: Some(function.trim().to_owned()).filter(|name| name != "??"),
        file: place.map(|(file, _)| at_root(file)),
        line: place.map(|(_, line)| line.parse()).transpose()?,
        inlined: detail.contains("\n inlined into frame"),
    })
}

/// Whether both name one function. gdb calls a method of Rust by the number of its `impl`, and where debug information has lines alone
/// by no path.
fn same_function(told: &Told, expected: &Told) -> bool {
    let (Some(told), Some(expected)) = (&told.function, &expected.function) else {
        return told.function == expected.function;
    };
    let (told, expected) = (normal(told), normal(expected));
    let last = told.rsplit("::").next().unwrap_or(&told);
    match expected.rsplit_once("{impl}") {
        _ if told == expected => true,
        Some((_, method)) => told.ends_with(method),
        None if !expected.contains("::") => last.trim_start_matches('_') == expected,
        None => told.starts_with("::") && expected.ends_with(&told),
    }
}

/// A function's name without types, arguments and what compilers append; of several names of one function of the C library one.
fn normal(name: &str) -> String {
    let name = name.replace("operator()", "operator_call").replace("operator<", "operator_less");
    let (mut bare, mut depth) = (String::new(), 0_u32);
    for c in name.replace("->", "").chars() {
        match c {
            '<' | '(' => depth += 1,
            '>' | ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => bare.push(c),
            _ => {}
        }
    }
    let bare = bare.replace("{{vtable.shim}}", "").replace("{{closure}}", "{closure}");
    let bare = bare.replace("closure_env", "closure").replace("::::", "::");
    let bare: String = bare.split('#').fold(String::new(), |whole, part| match &*whole {
        "" => part.to_owned(),
        _ => whole + part.trim_start_matches(|c: char| c.is_ascii_digit()),
    });
    let bare = bare.trim().trim_end_matches(" const");
    let bare = bare.rsplit(' ').next().unwrap_or(bare).trim_end_matches("::");
    let suffix = [".abi0", ".cold", ".part", ".constprop", ".isra", ".lto_priv"];
    let end = suffix.iter().filter_map(|suffix| bare.find(suffix)).min().unwrap_or(bare.len());
    let bare = bare[..end].trim_start_matches('_');
    let hash = |part: &str| part.len() == 17 && part.starts_with('h');
    let bare = bare.rsplit_once("::").filter(|(_, last)| hash(last)).map_or(bare, |(path, _)| path);
    match bare {
        "libc_start_main_impl" => "libc_start_main".to_owned(),
        "gsignal" => "raise".to_owned(),
        _ => bare.replace("memcpy", "memmove"),
    }
}

/// # Errors
/// Where two frames are taken for one that are not, or the other way round.
pub fn it_tells_what_differs() -> Result<()> {
    let of = |function: &str| Told {
        function: Some(function.to_owned()).filter(|name| !name.is_empty()),
        ..Told::default()
    };
    let same = |told: &str, expected: &str| same_function(&of(told), &of(expected));
    for (told, expected) in [
        ("void geo::refuse<geo::Row>", "geo::refuse<geo::Row>"),
        ("geo::Row::operator<", "geo::Row::operator<(geo::Row const&) const"),
        ("<geo::Mapped as geo::Database>::look_up", "geo::{impl#1}::look_up"),
        ("geo::Mapped::rows::{{closure}}", "geo::{impl#0}::rows::{closure#0}"),
        ("std::rt::lang_start::{{closure}}", "std::rt::lang_start::{closure_env#0}<()>"),
        ("std::panic::catch_unwind::<(), fn(u32) -> u64>", "std::panic::catch_unwind<()>"),
        ("core::slice::<impl [T]>::copy", "core::slice::{impl#0}::copy<u8>"),
        ("geo::serve", "serve<geo::Mapped>"),
        ("<geo::Mapped as geo::Database>::look_up", "look_up"),
        ("std::sys::__rust_begin", "__rust_begin<()>"),
        ("msort_with_tmp.part.0", "msort_with_tmp.part"),
        ("__memcpy_avx_unaligned", "__memmove_avx_unaligned"),
        ("main.(*mapped).lookUp", "main.(*mapped).lookUp"),
        ("", ""),
    ] {
        ensure!(
            same(told, expected),
            "{told} and {expected}: {} {}",
            normal(told),
            normal(expected)
        );
    }
    for (told, expected) in [
        ("geo::refuse", "geo::accept"),
        ("geo::serve", "geo::other::serve"),
        ("<geo::Mapped as geo::Database>::look_up", "geo::{impl#1}::walk"),
        ("main", ""),
        ("", "main"),
        ("memset", "memcpy"),
        ("serve", "rve"),
    ] {
        ensure!(!same(told, expected), "{told} is taken for {expected}");
    }
    let text = "#0  f () at /a.c:1\n1\tf\n#0  f () at /a.c:1\n#1  0x0000000000000abc in g<int> (...) \
                at /a b.c:22\n#2  0x5 in t ()\n#3  0x0000000000000abd in ?? () from /lib/libc.so.6\n\
                Stack level 0, frame at 0x1:\n rip = 0xabc in f; saved rip = 0xd\n inlined into frame 1\n\
                Stack level 1, frame at 0x1:\n rip = 0xabc in g; saved\nStack level 2, frame:\n rip = 0x5\n \
                tail call frame, caller of\nStack level 3, frame at 0x1:\n rip = 0xabd in g; saved\n";
    let frames = gdb(text)?;
    let named: Vec<_> =
        frames.iter().map(|frame| (frame.function.as_deref(), frame.line)).collect();
    ensure!(
        named == [(Some("f"), Some(1)), (Some("g<int>"), Some(22)), (None, None)],
        "{frames:#?}"
    );
    ensure!(
        frames[0].inlined && frames[1].file.as_deref() == Some("/a b.c") && frames[2].ip == 0xabd
    );
    let less = [frames[1].clone(), frames[2].clone()];
    contradict_nothing(&less, &frames)?;
    let other = |line, ip| [Told { line, ip, ..less[0].clone() }, less[1].clone()];
    ensure!(contradict_nothing(&other(Some(23), 0xabc), &frames).is_err(), "another line");
    ensure!(contradict_nothing(&other(Some(22), 0xabb), &frames).is_err(), "another place");
    ensure!(contradict_nothing(&less[..1], &frames).is_err(), "a frame is missing");
    Ok(())
}
