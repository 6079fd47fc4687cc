//! How much of the beginning of an id tells it from others, and which names of a path. Pure.
use std::collections::{BTreeMap, BTreeSet};

/// Characters by which each of these is told from the others, where that is more than `usual`.
pub fn apart<'a>(ids: impl IntoIterator<Item = &'a str>, usual: usize) -> BTreeMap<String, usize> {
    let sorted: BTreeSet<&str> = ids.into_iter().collect();
    let sorted: Vec<&str> = sorted.into_iter().collect();
    let mut long = BTreeMap::new();
    for pair in sorted.windows(2) {
        let alike = pair[0].chars().zip(pair[1].chars()).take_while(|(a, b)| a == b).count();
        for id in pair.iter().filter(|_| alike >= usual) {
            let needed = long.entry((*id).to_owned()).or_default();
            *needed = (alike + 1).max(*needed);
        }
    }
    long
}

/// Paths that look alike, each with how many bytes of its end tell it from none of those; `shown` has what is shown of one
/// without so many.
pub fn shared_ends<'a>(
    paths: impl IntoIterator<Item = &'a str>,
    shown: &impl Fn(&str, usize) -> String,
) -> BTreeMap<String, usize> {
    let paths: BTreeSet<&str> = paths.into_iter().collect();
    let mut ends = BTreeMap::new();
    let mut asked = vec![(paths.into_iter().collect::<Vec<_>>(), 0)];
    while let Some((paths, end)) = asked.pop() {
        let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for path in paths {
            alike.entry(shown(path, end)).or_default().push(path);
        }
        for group in alike.into_values() {
            let more = if group.len() > 1 { shared_end(&group, end) } else { 0 };
            if more != 0 {
                asked.push((group, end + more));
            } else if end != 0 {
                ends.extend(group.into_iter().map(|path| (path.to_owned(), end)));
            }
        }
    }
    ends
}

/// Bytes of the last names that all of them have before their last `end` bytes; none has no other name.
fn shared_end(paths: &[&str], end: usize) -> usize {
    let mut shared = 0;
    loop {
        let rest = |path: &&'_ str| -> Option<(usize, bool)> {
            let rest = path.get(..path.len() - end - shared)?;
            let at = rest.rfind('/').filter(|at| *at != 0)?;
            let first = paths[0].get(..paths[0].len() - end - shared)?;
            let name = first.get(first.rfind('/')?..)?;
            Some((name.len(), &rest[at..] == name))
        };
        let names: Option<Vec<(usize, bool)>> = paths.iter().map(rest).collect();
        match names {
            Some(names) if names.iter().all(|(_, same)| *same) => shared += names[0].0,
            _ => return shared,
        }
    }
}

/// How many bytes all of these names begin with alike, and end: whole parts between dashes and dots, and never all of one.
pub fn shared_affixes<'a>(names: impl IntoIterator<Item = &'a str>) -> (usize, usize) {
    let names: BTreeSet<&str> = names.into_iter().collect();
    let (Some(first), Some(last)) = (names.first(), names.last()) else { return (0, 0) };
    if names.len() < 2 {
        return (0, 0);
    }
    let mark = |byte: &u8| matches!(byte, b'-' | b'.' | b'_');
    // Of what is sorted the first and the last have the least in common.
    let same = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
    let start = first.as_bytes()[..same].iter().rposition(mark).map_or(0, |at| at + 1);
    let shortest = names.iter().map(|name| name.len() - start).min().unwrap_or(0);
    let same = |name: &&str| {
        name.bytes().rev().zip(first.bytes().rev()).take_while(|(a, b)| a == b).count()
    };
    let same = names.iter().map(same).min().unwrap_or(0).min(shortest.saturating_sub(1));
    let tail = &first.as_bytes()[first.len() - same..];
    let end = tail.iter().position(mark).map_or(0, |at| tail.len() - at);
    (start, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_one_domain_are_told_apart() {
        let of = |names: &[&str]| shared_affixes(names.iter().copied());
        assert_eq!(of(&["prod-db-07.example.com", "prod-db-08.example.com"]), (8, 12));
        assert_eq!(of(&["prod-db-07.a.com", "prod-web-1.b.com", "prod-db-08.a.com"]), (5, 4));
        assert_eq!(of(&["node-101", "node-102"]), (5, 0));
        assert_eq!(of(&["a.b", "b"]), (0, 0));
        assert_eq!(of(&["a.a.b", "a.b"]), (2, 0));
        assert_eq!((of(&["one", "one"]), of(&[]), of(&["x", "y"])), ((0, 0), (0, 0), (0, 0)));
    }

    #[test]
    fn what_ends_alike_is_shown_by_what_differs() {
        let last = |path: &str, end: usize| {
            let rest = &path[..path.len() - end];
            rest.rsplit('/').next().unwrap_or(rest).to_owned()
        };
        let ends = |paths: &[&str]| shared_ends(paths.iter().copied(), &last);
        assert!(ends(&["/a/x", "/b/y", "/c"]).is_empty());
        let found = ends(&["/mnt/a/live", "/mnt/b/live", "/srv/c"]);
        assert_eq!(found.get("/mnt/a/live"), Some(&5));
        assert_eq!((found.get("/mnt/b/live"), found.get("/srv/c")), (Some(&5), None));
        // Two of them differ only further up.
        let found = ends(&["/mnt/ext4/a/live", "/mnt/tmpfs/a/live", "/mnt/ext4/b/live"]);
        assert_eq!(found.get("/mnt/ext4/a/live"), Some(&7));
        assert_eq!(found.get("/mnt/ext4/b/live"), Some(&5));
        // What has no other name keeps the one.
        assert!(ends(&["/live", "/mnt/live"]).is_empty());
        assert!(ends(&["x/live", "y/z"]).is_empty());
    }

    #[test]
    fn what_begins_alike_is_shown_by_more() {
        let zeros = "0".repeat(62);
        let ids = [format!("{zeros}01"), format!("{zeros}02"), format!("1{zeros}3")];
        let long = apart(ids.iter().map(String::as_str), 12);
        assert_eq!(long.get(&ids[0]), Some(&64));
        assert_eq!(long.get(&ids[1]), Some(&64));
        assert_eq!(long.get(&ids[2]), None);
        assert!(apart(["one", "one"], 1).is_empty(), "the same twice");
    }
}
