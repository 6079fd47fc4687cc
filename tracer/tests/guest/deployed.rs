//! A program that is replaced between its deaths: xtask/guest/history/deployed.sh.
use anyhow::{Context as _, Result, bail, ensure};
use whybus::contract::Record;

use crate::{
    Job,
    record::{incidents_of, plain, records},
};

/// It died as the old build, as the old build whose file had been replaced, and as the new one.
///
/// # Errors
/// Where that is not told.
pub fn what_changed_is_told(job: &Job) -> Result<()> {
    let mut all = incidents_of(&job.text("deployed.list")?)?;
    all.sort_by_key(|one| one.time);
    let [old, replaced, new] = all.as_slice() else { bail!("{} incidents", all.len()) };
    let programs = [old, replaced, new].map(|one| one.modules.iter().find(|file| file.program));
    let [Some(first), Some(second), Some(third)] = programs else { bail!("{programs:?}") };
    ensure!(!first.removed && !third.removed && second.removed, "{programs:?}");
    ensure!(first.build_id.is_some() && first.build_id != third.build_id, "{programs:?}");
    let by = second.replaced_by.as_ref().context("nothing took its place")?;
    ensure!(by.build_id == third.build_id, "{programs:?}");
    let start = replaced.victim.start_time.context("no start")?;
    ensure!(start < second.changed && second.changed < replaced.time, "{programs:?}");
    let lines = records(&job.text("deployed.json")?)?;
    let [Record::Story(story)] = lines.as_slice() else { bail!("it printed {lines:?}") };
    ensure!(story.incident.id == new.id, "it is about {}", story.incident.id);
    let before = story.before.as_ref().context("nothing of before")?;
    let build = before.build.as_ref().context("no other build")?;
    ensure!(Some(&build.build_id) == first.build_id.as_ref(), "{before:?}");
    ensure!(build.own_since.is_none() && before.unwatched_ns == 0, "{before:?}");
    ensure!(before.since < old.time && before.alike >= 1, "{before:?}");
    let said = |file: &str, words: [&str; 2]| -> Result<()> {
        let text = job.text(file)?;
        let found = text.lines().any(|line| words.iter().all(|word| line.contains(word)));
        ensure!(found, "{file} does not say {words:?}: {text}");
        Ok(())
    };
    let exe = replaced.victim.exe.as_ref().map(plain).unwrap_or_default();
    ensure!(exe.ends_with("/deployed (deleted)"), "{exe}");
    said("deployed.txt", ["first incident of build id ", " deployed had build id "])?;
    said("deployed.show", ["deployed was replaced ", " before, while it ran: "])
}
