//! What changed since it last worked: the files that a victim ran, and what the history holds from before. Pure.
use crate::{
    contract::{Before, Incident, Module, Time},
    explain::frames::failed_in,
    model::cause::CauseKind,
    text::{
        escape::{escape, named, process_name},
        format::{counted, duration, file_name, grouped},
    },
};

/// Digits of a build id that are told.
const BUILD: usize = 12;
/// What was changed longer before is no news. Ns.
const NEWS: u64 = 86_400_000_000_000;
/// Files that were changed so soon one after another were changed together. Ns.
const TOGETHER: u64 = 60_000_000_000;
/// Files that are named.
const NAMED: usize = 3;

/// What became of the files that its stack ran through, a sentence each; none where nothing was changed for a day.
pub fn files(incident: &Incident) -> Vec<String> {
    // Of a file that its cause is about all is said there.
    let told = (incident.cause.class.known() == CauseKind::Overwritten).then(|| incident.path());
    let told = |module: &&Module| told.flatten() == Some(&module.path);
    let files = incident.modules.iter().filter(|module| !told(module));
    let (gone, there): (Vec<&Module>, Vec<&Module>) = files.partition(|module| module.removed);
    let gone = gone.into_iter().filter_map(|module| replaced(module, incident));
    gone.chain(last_changed(&there, incident)).collect()
}

/// How long before it, if it was.
fn before(time: Time, incident: &Incident) -> Option<u64> {
    (time <= incident.time).then(|| incident.time.since(time))
}

/// Whether that was after the victim had started.
fn while_it_ran(time: Time, incident: &Incident) -> bool {
    incident.victim.start_time.is_some_and(|start| start < time)
}

/// `geo-api was replaced 4 min before, while it ran: build id ab12… → cd34…`
fn replaced(module: &Module, incident: &Incident) -> Option<String> {
    let ago = before(module.changed, incident)?;
    let name = name(module);
    let ran = if while_it_ran(module.changed, incident) { ", while it ran" } else { "" };
    let ago = format!("{} before{ran}", duration(ago));
    let Some(new) = &module.replaced_by else {
        return Some(format!("{name} was removed or replaced {ago}"));
    };
    Some(match (&module.build_id, &new.build_id) {
        (Some(old), Some(new)) if old == new => {
            format!("{name} was replaced {ago}, by the same build (build id {})", build(old))
        }
        (Some(old), Some(new)) => {
            format!("{name} was replaced {ago}: build id {} → {}", build(old), build(new))
        }
        (None, Some(new)) => format!("{name} was replaced {ago}: now build id {}", build(new)),
        (Some(old), None) => format!("{name} was replaced {ago}; it ran build id {}", build(old)),
        (None, None) => format!("{name} was replaced {ago}"),
    })
}

/// `geo-api and libgeo.so were last changed 3 min before, 10 s before it started`
fn last_changed(modules: &[&Module], incident: &Incident) -> Option<String> {
    let recent = |module: &&&Module| before(module.changed, incident).is_some_and(|ns| ns < NEWS);
    let latest = modules.iter().filter(recent).max_by_key(|module| module.changed)?.changed;
    // One that was changed while it ran says nothing of one that was not.
    let ran = |module: &Module| while_it_ran(module.changed, incident);
    let together = |module: &&&Module| {
        let soon = module.changed <= latest && latest.since(module.changed) <= TOGETHER;
        soon && (ran(module) || !while_it_ran(latest, incident))
    };
    let mut changed: Vec<&&Module> = modules.iter().filter(together).collect();
    changed.sort_by_key(|module| !module.program);
    let mut names: Vec<String> = changed.iter().take(NAMED).map(|module| name(module)).collect();
    if changed.len() > NAMED {
        names.push(counted((changed.len() - NAMED) as u64, "more file"));
    }
    let last = names.pop()?;
    let (names, were) = match names.is_empty() {
        true => (last, "was"),
        false => (format!("{} and {last}", names.join(", ")), "were"),
    };
    let ago = duration(before(latest, incident)?);
    let start = incident.victim.start_time;
    // Whoever copies a file may set when it was written, and then that looks older than it is.
    let written = changed.iter().all(|module| module.written == Some(module.changed));
    let what = if written { "written" } else { "changed" };
    Some(match start {
        Some(start) if start < latest => {
            format!("{names} {were} {what} {ago} before, while it ran")
        }
        Some(start) => {
            let since = duration(start.since(latest));
            format!("{names} {were} last changed {ago} before, {since} before it started")
        }
        None => format!("{names} {were} last changed {ago} before"),
    })
}

fn name(module: &Module) -> String {
    escape(file_name(&module.path.0))
}

fn build(id: &str) -> String {
    escape(id.get(..BUILD).unwrap_or(id).as_bytes())
}

/// Whether it is the first of its kind in its history; `shown` of its kind are reported beside it, itself among them, and
/// `time` says how times are shown.
pub fn history(
    incident: &Incident,
    before: &Before,
    shown: u64,
    time: impl Fn(Time) -> String,
) -> Option<String> {
    const MOST: u64 = 1_000;
    let kind = match (&incident.signature, failed_in(incident)) {
        // A place without a name: another build has that elsewhere.
        (Some(place), _) if place.0.starts_with(b"+") => format!("at {}", escape(&place.0)),
        (Some(_), Some(function)) => format!("in {function}"),
        _ => format!("of {} with this cause", process_name(&incident.victim.comm.0)),
    };
    let (since, holes) = (time(before.since), holes(before));
    let host = named(&incident.host);
    let whose =
        if host.is_some() { "on its host" } else { "in the same boot (its host has no name)" };
    match (before.alike, before.alike_last) {
        (0, _) if before.since >= incident.time => {
            let of = if host.is_some() {
                "of its host"
            } else {
                "in the same boot (its host has no name)"
            };
            Some(format!("nothing was recorded {of} before: it cannot be compared"))
        }
        (0, _) => Some(format!(
            "first incident {kind} {whose} since {since}, when recording began{holes}"
        )),
        (count, Some(last)) if count >= shown => {
            let or_more = if count >= MOST { " or more" } else { "" };
            let (count, ago) = (grouped(count), duration(incident.time.since(last)));
            let incidents = if before.alike == 1 { "incident" } else { "incidents" };
            Some(format!(
                "{count}{or_more} {incidents} {kind} {whose} before, since {since}{holes}; the last {ago} before"
            ))
        }
        _ => None,
    }
}

/// What its program and image were before, a sentence each.
pub fn versions(
    incident: &Incident,
    before: &Before,
    time: impl Fn(Time) -> String,
) -> Vec<String> {
    let mut out = Vec::new();
    let program = incident.modules.iter().find(|module| module.program);
    if let Some((earlier, program)) = before.build.as_ref().zip(program) {
        let own = program.build_id.as_deref().map(build).unwrap_or_default();
        let first = first_of(&format!("build id {own}"), earlier.own_since, &time);
        let (name, until) = (name(program), time(earlier.until));
        let old = build(&earlier.build_id);
        out.push(format!("{first}; until {until} {name} had build id {old}"));
    }
    let image = incident.victim.container.as_ref().and_then(|inside| inside.image.as_ref());
    if let Some((earlier, image)) = before.image.as_ref().zip(image) {
        let own = format!("image {}", escape(&image.0));
        let first = first_of(&own, earlier.own_since, &time);
        let (old, until) = (escape(&earlier.image.0), time(earlier.until));
        out.push(format!("{first}; until {until} the container had image {old}"));
    }
    out
}

/// `first incident of build id cd34`, or when that was.
fn first_of(what: &str, since: Option<Time>, time: impl Fn(Time) -> String) -> String {
    let at = since.map_or_else(String::new, |since| format!(" at {}", time(since)));
    format!("first incident of {what}{at}")
}

/// What the history does not know of that time.
fn holes(before: &Before) -> String {
    let mut holes = Vec::new();
    if before.unwatched_unknown {
        holes.push("a copied history does not say how much of that was watched".to_owned());
    } else if before.unwatched_ns != 0 {
        holes.push(format!("nobody was watching for {} of it", duration(before.unwatched_ns)));
    }
    if before.lossy {
        holes.push("some of it was lost or forgotten".to_owned());
    }
    if holes.is_empty() { String::new() } else { format!(" ({})", holes.join(", and ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{
        Container, EarlierBuild, EarlierImage, Frame, Label, Replacement, Stack, Untrusted,
        samples::incident,
    };

    const SECOND: i64 = 1_000_000_000;

    /// A file that was changed so many seconds before the crash of a process that had run for 187 s.
    fn module(path: &str, ago: i64) -> Module {
        let changed = Time(crash(Vec::new()).time.0 - ago * SECOND);
        Module {
            path: Untrusted(path.into()),
            program: path.ends_with("geo-api"),
            build_id: Some("ab12cd34ef56ab12cd34".into()),
            changed,
            written: None,
            removed: false,
            replaced_by: None,
        }
    }

    fn crash(modules: Vec<Module>) -> Incident {
        Incident { modules, ..incident(CauseKind::Signal, 11) }
    }

    fn told(modules: Vec<Module>) -> Vec<String> {
        files(&crash(modules))
    }

    fn gone(old: Option<&str>, new: Option<&str>, ago: i64) -> Module {
        let label = |id: Option<&str>| id.map(Label::from);
        let changed = module("", ago).changed;
        Module {
            removed: true,
            build_id: label(old),
            replaced_by: Some(Replacement { build_id: label(new), changed }),
            ..module("/opt/geo-api", ago)
        }
    }

    #[test]
    fn what_was_replaced_is_told_with_both_builds_where_they_are_known() {
        let of = |old, new| told(vec![gone(old, new, 60)]).concat();
        let replaced = "geo-api was replaced 1 min 0 s before, while it ran";
        assert_eq!(of(Some("ab12"), Some("cd34")), format!("{replaced}: build id ab12 → cd34"));
        assert_eq!(of(None, Some("cd34")), format!("{replaced}: now build id cd34"));
        assert_eq!(of(Some("ab12"), None), format!("{replaced}; it ran build id ab12"));
        assert_eq!(of(None, None), replaced);
        assert_eq!(of(Some("a"), Some("a")), format!("{replaced}, by the same build (build id a)"));
        let before = told(vec![gone(Some("ab12"), Some("cd34"), 3_600)]);
        assert_eq!(before, ["geo-api was replaced 1 h 0 min before: build id ab12 → cd34"]);
        let nothing = Module { replaced_by: None, ..gone(None, None, 60) };
        let removed = "geo-api was removed or replaced 1 min 0 s before, while it ran";
        assert_eq!(told(vec![nothing]), [removed]);
    }

    #[test]
    fn what_was_changed_while_it_ran_is_not_told_with_what_it_was_started_as() {
        let (program, lib) = (module("/opt/geo-api", 190), module("/opt/libgeo.so", 180));
        assert_eq!(
            told(vec![program, lib]),
            ["libgeo.so was changed 3 min 0 s before, while it ran"]
        );
    }

    #[test]
    fn what_was_changed_of_late_is_told_together() {
        let (program, lib, libc) =
            (module("/opt/geo-api", 240), module("/opt/libgeo.so", 250), module("/libc.so", 9_999));
        assert_eq!(
            told(vec![program.clone(), lib, libc]),
            ["geo-api and libgeo.so were last changed 4 min 0 s before, 52.9 s before it started"]
        );
        let ran = Module { changed: module("", 3).changed, ..program.clone() };
        assert_eq!(told(vec![ran.clone()]), ["geo-api was changed 3.0 s before, while it ran"]);
        let written = Module { written: Some(ran.changed), ..ran };
        assert_eq!(told(vec![written]), ["geo-api was written 3.0 s before, while it ran"]);
        let many = (0..6).map(|_| module("/opt/x", 9)).collect();
        assert!(told(many)[0].starts_with("x, x, x and 3 more files were changed 9.0 s before"));
        assert!(told(vec![module("/opt/geo-api", 90_000)]).is_empty(), "no news");
        assert!(told(vec![module("/opt/geo-api", -9)]).is_empty(), "a clock was set");
    }

    #[test]
    fn what_its_cause_says_is_not_said_again() {
        let mut one = crash(vec![module("/opt/libgeo.so", 3)]);
        let module = Some(Untrusted(b"/opt/libgeo.so".to_vec()));
        one.stack = Some(Stack { user: vec![Frame { module, ..Frame::default() }], cut: None });
        assert_eq!(files(&one).len(), 1);
        one.cause.class = CauseKind::Overwritten.into();
        assert!(files(&one).is_empty());
    }

    fn held(alike: u64) -> Before {
        let alike_last = (alike != 0).then(|| module("", 60).changed);
        let since = module("", 7_200).changed;
        let (unwatched_ns, lossy, build, image) = (0, false, None, None);
        Before {
            since,
            unwatched_ns,
            unwatched_unknown: false,
            lossy,
            alike,
            alike_last,
            build,
            image,
        }
    }

    fn read(before: &Before, shown: u64) -> Vec<String> {
        let mut one = crash(vec![module("/opt/geo-api", 90_000)]);
        one.signature = Some(Untrusted(b"geo_lookup in geo-api, build ab12".to_vec()));
        let time = |time| format!("T-{}", one.time.since(time) / SECOND as u64);
        history(&one, before, shown, time).into_iter().chain(versions(&one, before, time)).collect()
    }

    #[test]
    fn the_first_of_its_kind_is_told_with_how_far_the_history_reaches() {
        let first = "first incident in geo_lookup on its host since T-7200, when recording began";
        assert_eq!(read(&held(0), 1), [first]);
        let holes = Before { unwatched_ns: 60 * SECOND as u64, lossy: true, ..held(0) };
        let expected = format!(
            "{first} (nobody was watching for 1 min 0 s of it, and some of it was lost or forgotten)"
        );
        assert_eq!(read(&holes, 1), [expected]);
        let imported = Before { unwatched_unknown: true, ..held(0) };
        let expected =
            format!("{first} (a copied history does not say how much of that was watched)");
        assert_eq!(read(&imported, 1), [expected]);
        let nothing = Before { since: crash(Vec::new()).time, ..held(0) };
        let begins = "nothing was recorded of its host before: it cannot be compared";
        assert_eq!(read(&nothing, 1), [begins]);
        let mut place = crash(Vec::new());
        place.signature = Some(Untrusted(b"+0x17d1 in geo-api".to_vec()));
        let first = |one: &Incident| history(one, &held(0), 1, |_| "T".to_owned()).expect("one");
        let at_place = first(&place);
        assert!(at_place.starts_with("first incident at +0x17d1 in geo-api on"), "{at_place}");
        let of_cause = first(&crash(Vec::new()));
        assert!(of_cause.starts_with("first incident of geo-api with this cause"), "{of_cause}");
    }

    #[test]
    fn those_before_are_counted_where_the_story_does_not() {
        let expected =
            "3 incidents in geo_lookup on its host before, since T-7200; the last 1 min 0 s before";
        assert_eq!(read(&held(3), 1), [expected]);
        assert_eq!(read(&held(3), 3), [expected], "one more than in the story");
        assert!(read(&held(3), 4).is_empty());
        assert!(read(&held(1_000), 1)[0].starts_with("1,000 or more incidents in"));
    }

    #[test]
    fn what_it_was_before_is_told() {
        let until = module("", 100).changed;
        let mut before = held(2);
        let earlier = EarlierBuild { build_id: "0f0f".into(), until, own_since: None };
        before.build = Some(earlier.clone());
        let build = "first incident of build id ab12cd34ef56";
        let until_then = "until T-100 geo-api had build id 0f0f";
        assert_eq!(read(&before, 9), [format!("{build}; {until_then}")]);
        let own_since = Some(module("", 50).changed);
        before.build = Some(EarlierBuild { own_since, ..earlier });
        assert_eq!(read(&before, 9), [format!("{build} at T-50; {until_then}")]);
        before.build = None;
        let image = Untrusted(b"geo:1".to_vec());
        before.image = Some(EarlierImage { image, until, own_since: None });
        let mut one = crash(Vec::new());
        let image = Some(Untrusted(b"geo:2".to_vec()));
        one.victim.container =
            Some(Container { id: "01".into(), runtime: None, name: None, image });
        assert_eq!(
            versions(&one, &before, |_| "T".to_owned()),
            ["first incident of image geo:2; until T the container had image geo:1"]
        );
    }
}
