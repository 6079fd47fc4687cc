//! What differs within one restart loop: the same program dies again and again, but of the same? Pure.
use std::collections::BTreeMap;

use crate::{
    contract::{Incident, Process},
    explain::{
        frames::failed_in,
        phrase::{culprit, did_it},
    },
    text::{
        escape::{command, escape, process_name},
        format::counted,
    },
};

/// Values that are named, the most frequent first; more are counted.
const NAMED: usize = 3;

/// One sentence for each thing in which some deaths of a loop differ from others; none where they are alike.
pub fn differences(deaths: &[Incident]) -> Vec<String> {
    type Of = dyn Fn(&Incident) -> Option<String>;
    let things: [(&str, &Of); 6] = [
        ("file", &|one| one.path().map(|path| escape(&path.0))),
        // Who only asked for memory did not kill it.
        ("by", &|one| culprit(one).filter(|_| did_it(one)).map(|by| process_name(&by.comm.0))),
        ("program", &|one| one.victim.exe.as_ref().map(|exe| escape(&exe.0))),
        ("arguments", &|one| arguments(&one.victim)),
        ("user", &|one| Some(one.victim.uid.to_string())),
        // As tables and lines call it: all abort in the same function of libc.
        ("where", &failed_in),
    ];
    things.iter().filter_map(|(name, of)| difference(name, deaths.iter().filter_map(of))).collect()
}

fn arguments(process: &Process) -> Option<String> {
    let args = process.cmdline.as_ref()?.iter().map(|arg| arg.0.clone());
    Some(command(&args.collect::<Vec<_>>()))
}

fn difference(name: &str, values: impl Iterator<Item = String>) -> Option<String> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    if counts.len() < 2 {
        return None;
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    // Each time another one: names would tell nothing.
    if counts.len() > NAMED && counts[0].1 == 1 {
        return Some(format!("{name}: each time another"));
    }
    let named: Vec<String> = counts
        .iter()
        .take(NAMED)
        .map(|(value, count)| format!("{} ({count})", shortened(value)))
        .collect();
    let more = match counts.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {}", counted(more as u64, "other")),
    };
    Some(format!("{name}: {}{more}", named.join(", ")))
}

fn shortened(value: &str) -> String {
    const LONGEST: usize = 60;
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{Frame, Stack, Untrusted, samples::incident},
        model::cause::CauseKind,
    };

    fn deaths(args: &[&str]) -> Vec<Incident> {
        args.iter()
            .map(|arg| {
                let mut one = incident(CauseKind::Sent, 9);
                one.victim.cmdline = Some(vec![Untrusted(arg.as_bytes().to_vec())]);
                one
            })
            .collect()
    }

    #[test]
    fn deaths_of_one_signature_are_alike() {
        let of = |signature: &str, innermost: &str| {
            let mut one = incident(CauseKind::Signal, 6);
            one.signature = Some(Untrusted(signature.into()));
            let symbol = Some(Untrusted(innermost.into()));
            let user = vec![Frame { symbol, ..Frame::default() }];
            one.stack = Some(Stack { user, cut: None });
            one
        };
        let abort = "__pthread_kill_implementation";
        let alike = [of("geo_lookup in geo", "row_at"), of("geo_lookup in geo", "geo_lookup")];
        assert!(differences(&alike).is_empty());
        let others = [of("geo_lookup in geo", abort), of("free_row in geo", abort)];
        assert_eq!(differences(&others), ["where: free_row (1), geo_lookup (1)"]);
    }

    #[test]
    fn only_what_differs_is_told_and_the_most_frequent_first() {
        assert!(differences(&deaths(&["geo", "geo"])).is_empty());
        assert_eq!(
            differences(&deaths(&["old", "new\x1b", "new\x1b"])),
            ["arguments: $'new\\x1b' (2), old (1)"]
        );
        assert_eq!(differences(&deaths(&["a", "b", "c", "d"])), ["arguments: each time another"]);
        let many = differences(&deaths(&["a", "a", "b", "c", "d", "e"]));
        assert_eq!(many, ["arguments: a (2), b (1), c (1), and 2 others"]);
    }
}
