//! The other shrinks of a file, in words: what each has to do with the page that was touched. Pure.
use crate::{
    contract::{Incident, Other},
    text::{
        escape::process_name,
        format::{duration, size},
    },
};

/// A line each, those of one name that mean the same told together; latest first.
pub fn others(incident: &Incident) -> Vec<String> {
    let mut groups: Vec<Vec<&Other>> = Vec::new();
    for other in &incident.cause.others {
        let same = |group: &&mut Vec<&Other>| {
            let first = group[0];
            (&first.comm, meaning(first, incident)) == (&other.comm, meaning(other, incident))
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(other),
            None => groups.push(vec![other]),
        }
    }
    groups.iter().map(|group| told(group, incident)).collect()
}

/// `cp, 3 times, shrank it, the last time 8 KiB → 0 B, 2.0 s earlier; …`
fn told(group: &[&Other], incident: &Incident) -> String {
    let latest = group[0];
    let earlier = duration(incident.time.since(latest.time));
    let one = group.iter().all(|other| other.pid == latest.pid);
    let pid = if one { format!("[{}]", latest.pid) } else { String::new() };
    let who = format!("{}{pid}", process_name(&latest.comm.0));
    let (sizes, meant) = (
        format!("{} → {}", size(latest.old_size), size(latest.new_size)),
        meaning(latest, incident),
    );
    match group.len() {
        _ if meant == Meaning::Opened => format!("{who} opened it to write, {earlier} earlier"),
        1 => format!("{who} shrank it {sizes}, {earlier} earlier{}", meant.text()),
        times => format!(
            "{who}, {times} times, shrank it, the last time {sizes}, {earlier} earlier{}",
            meant.text()
        ),
    }
}

/// What a shrink has to do with what was touched.
#[derive(PartialEq)]
enum Meaning {
    /// It was none: it could have written.
    Opened,
    /// It took away something else.
    Elsewhere,
    /// It took that away, and it came back.
    Before,
    Unknown,
}

impl Meaning {
    fn text(&self) -> &'static str {
        match self {
            Self::Elsewhere => "; it did not affect this offset",
            Self::Before => "; it had removed this offset, too, before the file grew again",
            Self::Opened | Self::Unknown => "",
        }
    }
}

fn meaning(other: &Other, incident: &Incident) -> Meaning {
    if other.old_size == other.new_size {
        return Meaning::Opened;
    }
    let offset = incident.fault.as_ref().and_then(|fault| fault.file_offset);
    let Some(offset) = offset else { return Meaning::Unknown };
    // What a server says while somebody here shrinks the file is the echo of that.
    let earlier = incident.cause.time.is_none_or(|time| other.time < time);
    match (other.new_size..other.old_size).contains(&offset) {
        false => Meaning::Elsewhere,
        true if earlier => Meaning::Before,
        true => Meaning::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Time, Untrusted, samples::full_incident};

    /// Page 2 was touched; each shrank the file so many ns after its begin.
    fn told(shrinks: &[(&str, u32, u64, u64, i64)]) -> Vec<String> {
        let mut incident = full_incident();
        incident.time = Time(10_000_000_000);
        incident.cause.time = Some(Time(9_000_000_000));
        incident.fault.as_mut().expect("a fault").file_offset = Some(8_192);
        let sample = incident.cause.others.remove(0);
        let other = |(comm, pid, old_size, new_size, time): &(&str, u32, u64, u64, i64)| Other {
            comm: Untrusted((*comm).into()),
            pid: *pid,
            old_size: *old_size,
            new_size: *new_size,
            time: Time(*time),
            ..sample.clone()
        };
        incident.cause.others = shrinks.iter().map(other).collect();
        others(&incident)
    }

    #[test]
    fn what_removed_it_before_it_grew_again_is_not_denied() {
        let said = told(&[("cp", 5, 16_384, 0, 8_000_000_000), ("sh", 6, 4_096, 0, 7_000_000_000)]);
        assert!(said[0].ends_with("it had removed this offset, too, before the file grew again"));
        assert!(said[1].ends_with("it did not affect this offset"), "{said:?}");
        let echo = told(&[("cp", 5, 16_384, 0, 9_500_000_000)]);
        assert_eq!(echo, ["cp[5] shrank it 16 KiB → 0 B, 500 ms earlier"]);
    }

    #[test]
    fn whoever_did_so_again_and_again_is_told_once() {
        let (s, k) = (1_000_000_000, 1 << 10);
        let cp = |pid, time: i64| ("cp", pid, 16 * k, 0, time * s);
        let said = told(&[cp(7, 8), cp(6, 7), ("logrotate", 9, 4 * k, 0, 6 * s), cp(5, 5)]);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("cp, 3 times, shrank it, the last time 16 KiB → 0 B, 2.0 s"));
        let said = told(&[cp(7, 8), cp(7, 7)]);
        assert!(said[0].starts_with("cp[7], 2 times, shrank it"), "{said:?}");
    }
}
