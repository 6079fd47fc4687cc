//! How much of the beginning of an id tells it from others. Pure.
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

#[cfg(test)]
mod tests {
    use super::*;

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
