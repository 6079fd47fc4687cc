//! Two hosts and an NFS server: one writes over a file, the other dies of it, and their histories together name who
//! did it. See xtask/guest/jobs/two-hosts.sh.
use anyhow::{Context as _, Result, bail, ensure};
use whybus::contract::{Incident, Record, Story, Truncation};

use crate::{
    Check, Job,
    record::{incidents_of, plain, records, valid},
};

pub const UPDATER: [(&str, Check); 10] = [
    ("the_readers_history_names_the_updater", |job| named(job, "why")),
    ("what_is_told_is_valid", is_valid),
    ("a_file_nobody_maps_is_kept_with_who_shrank_it", a_file_nobody_maps),
    ("a_thousand_of_one_file_are_few_and_counted", a_thousand),
    ("children_of_one_shell_hide_nobody", children),
    ("who_maps_a_file_is_known_or_not", mapped),
    ("a_file_of_a_disk_that_nobody_maps_is_not_kept", a_disk),
    ("what_the_server_refuses_is_not_kept", refused),
    ("where_nobody_died_it_says_what_was_shrunk", nobody_died),
    ("those_on_fuse_are_kept", on_fuse),
];

pub const READER: [(&str, Check); 5] = [
    ("alone_it_names_nobody", alone),
    ("the_updaters_history_names_the_updater", |job| named(job, "why")),
    ("on_a_third_host_both_do", |job| named(job, "third")),
    ("people_read_who_it_was", people_read),
    ("a_crash_of_both_is_one_line_of_stats", one_signature),
];

fn story(job: &Job, name: &str) -> Result<Story> {
    let mut told = records(&job.text(&format!("{name}.json"))?)?;
    ensure!(told.len() == 1, "{} stories", told.len());
    match told.remove(0) {
        Record::Story(story) => Ok(*story),
        other => anyhow::bail!("no story: {other:?}"),
    }
}

fn alone(job: &Job) -> Result<()> {
    let story = story(job, "alone")?;
    ensure!(story.incident.cause.class.name() == "shrunk-elsewhere", "{:?}", story.incident.cause);
    ensure!(story.elsewhere.is_none(), "{:?}", story.elsewhere);
    Ok(())
}

fn named(job: &Job, name: &str) -> Result<()> {
    let story = story(job, name)?;
    ensure!(&*story.incident.host == "reader", "{}", story.incident.host);
    ensure!(story.incident.outcome.name() == "killed", "{:?}", story.incident.outcome);
    let by = story.elsewhere.context("nobody is named")?;
    let culprit = &by.culprit;
    let args = culprit.cmdline.as_ref().context("no command line")?;
    let args: Vec<String> = args.iter().map(plain).collect();
    ensure!(args == ["cp", "new", "/srv/geo/live"], "{args:?}");
    ensure!(culprit.ancestors.first().is_some_and(|parent| plain(&parent.comm) == "sh"));
    ensure!(&*by.host == "updater" && by.confidence.name() == "likely", "{by:?}");
    ensure!((by.old_size, by.new_size, &*by.how) == (102_400, 0, "open(O_TRUNC)"), "{by:?}");
    ensure!(by.path.as_ref().map(plain).as_deref() == Some("/srv/geo/live"), "{by:?}");
    // The reader's clock is behind.
    ensure!(by.before_ns.abs() < 5_000_000_000, "{by:?}");
    Ok(())
}

/// Of one library in two directories, at two addresses.
fn one_signature(job: &Job) -> Result<()> {
    let mut counts = Vec::new();
    for record in records(&job.text("signatures.json")?)? {
        if let Record::Count(count) = record {
            counts.push((plain(&count.name), count.incidents));
        }
    }
    counts.retain(|(name, _)| name.contains(" in libgeo.so, build "));
    let [(name, 2)] = counts.as_slice() else { bail!("{counts:?}") };
    ensure!(name.starts_with("geo_depth in "), "{name}");
    let crashes = incidents_of(&job.text("crashes.json")?)?;
    let [one, other] = crashes.as_slice() else { bail!("{} crashes", crashes.len()) };
    ensure!(one.host != other.host && one.signature == other.signature, "{name}");
    let innermost = |incident: &Incident| {
        let frame = incident.stack.as_ref()?.user.first()?.clone();
        Some((frame.module?, frame.ip?))
    };
    let (Some(here), Some(there)) = (innermost(one), innermost(other)) else { bail!("no stack") };
    ensure!(here.0 != there.0 && here.1 != there.1, "{here:?} and {there:?}");
    Ok(())
}

fn people_read(job: &Job) -> Result<()> {
    for name in ["why.txt", "why.show"] {
        let text = job.text(name)?;
        for part in [
            "on host reader",
            "likely",
            "on updater",
            "cp new /srv/geo/live",
            "10.0.9.1:/two",
            "which may differ",
            "by server, export and inode number",
            "runs on updater, write the new file beside",
        ] {
            // One line is short.
            ensure!(text.contains(part), "{name} lacks `{part}`:\n{text}");
        }
    }
    Ok(())
}

fn is_valid(job: &Job) -> Result<()> {
    valid(&job.text("export.json")?)?;
    // Held twice: a schema wants more than one line.
    valid(&job.text("why.json")?.repeat(2))
}

/// The shrinks that were kept of files whose path ends so.
fn shrinks(job: &Job, path: &str) -> Result<Vec<Truncation>> {
    let told = records(&job.text("shrinks.json")?)?;
    let shrinks = told.into_iter().filter_map(|record| match record {
        Record::Truncation(shrink) => Some(*shrink),
        _ => None,
    });
    Ok(shrinks
        .filter(|one| one.file.path.as_ref().is_some_and(|p| plain(p).ends_with(path)))
        .collect())
}

fn a_file_nobody_maps(job: &Job) -> Result<()> {
    let found = shrinks(job, "/live")?;
    let [shrink] = found.as_slice() else { anyhow::bail!("{found:?}") };
    let remote = shrink.file.remote.as_ref().context("no server")?;
    ensure!(plain(&remote.server) == "10.0.9.1" && plain(&remote.export) == "/two", "{remote:?}");
    ensure!(remote.address.as_ref().map(plain).as_deref() == Some("10.0.9.1"), "{remote:?}");
    ensure!(shrink.file.fstype.as_ref().map(plain).as_deref() == Some("nfs4"), "{shrink:?}");
    ensure!(plain(&shrink.culprit.as_ref().context("no culprit")?.comm) == "cp", "{shrink:?}");
    ensure!(shrink.at_risk.is_empty() && shrink.at_risk_why.is_none(), "{shrink:?}");
    Ok(())
}

fn a_thousand(job: &Job) -> Result<()> {
    let kept = |path: &str| Ok::<_, anyhow::Error>(shrinks(job, path)?.len() as u64);
    let log = kept("/geo/log")?;
    ensure!((1..=8).contains(&log), "{log} of a thousand");
    let kept = log + kept("/geo/children")? + kept("/geo/mapped")?;
    let counted =
        records(&job.text("export.json")?)?.into_iter().filter_map(|record| match record {
            Record::Gap(gap) => Some(gap),
            _ => None,
        });
    let too_many = |gap: &whybus::contract::Gap| gap.reason == whybus::contract::GapReason::Shrinks;
    let counted: u64 = counted.filter(too_many).filter_map(|gap| gap.lost).sum();
    let all = 1_000 + 21 + 100;
    ensure!(kept + counted == all, "{kept} kept, {counted} counted of {all}");
    let note = job.text("shrinks.note")?;
    ensure!(note.contains("too many at once"), "{note}");
    Ok(())
}

fn children(job: &Job) -> Result<()> {
    let found = shrinks(job, "/geo/children")?;
    let by = |shrink: &Truncation| shrink.culprit.as_ref().map(|by| plain(&by.comm));
    let by: Vec<_> = found.iter().filter_map(by).collect();
    ensure!(by == ["sh", "sh", "cp"], "{by:?}");
    Ok(())
}

fn mapped(job: &Job) -> Result<()> {
    let found = shrinks(job, "/geo/mapped")?;
    ensure!(found.iter().any(|shrink| !shrink.at_risk.is_empty()), "{found:?}");
    let nobody = |shrink: &Truncation| shrink.at_risk.is_empty() && shrink.at_risk_why.is_none();
    ensure!(!found.iter().any(nobody), "{found:?}");
    Ok(())
}

fn a_disk(job: &Job) -> Result<()> {
    let found = shrinks(job, "/two/log")?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

fn on_fuse(job: &Job) -> Result<()> {
    let found = shrinks(job, "/fuse/file")?;
    let told = found.into_iter().map(|shrink| {
        let by = plain(&shrink.culprit.context("no culprit")?.comm);
        Ok((by, shrink.how.to_string(), shrink.old_size, shrink.new_size))
    });
    let told: Vec<_> = told.collect::<Result<_>>()?;
    let expected = |by: &str, how: &str, old, new| (by.to_owned(), how.to_owned(), old, new);
    let expected = [
        expected("truncate", "ftruncate", 102_400, 4_096),
        expected("sh", "open(O_TRUNC)", 4_096, 0),
    ];
    ensure!(told == expected, "{told:?}");
    Ok(())
}

fn refused(job: &Job) -> Result<()> {
    let found = shrinks(job, "/kept")?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

fn nobody_died(job: &Job) -> Result<()> {
    let told = job.text("culprit.txt")?;
    let times = told.matches("/srv/geo/live, 100 KiB → 0 B by cp[").count();
    ensure!(times == 2 && told.contains("list --warnings"), "{told}");
    Ok(())
}
