//! What stands in the JSON of every warning that is asked for: most others need not be taken apart. Pure.
use regex::bytes::Regex;

use crate::select::{
    field::Field,
    selection::{Selection, Term, Values},
};

/// One for each filter by a name, any of whose values has letters that are found in the JSON as they are.
pub struct Mentions(Vec<Regex>);

impl Mentions {
    pub fn of(selection: &Selection) -> Self {
        Self(selection.terms.iter().filter_map(mention).collect())
    }

    /// Whether it may be one of those.
    pub fn are_in(&self, json: &[u8]) -> bool {
        self.0.iter().all(|one| one.is_match(json))
    }
}

fn mention(term: &Term) -> Option<Regex> {
    let named = [Field::Path, Field::Comm, Field::ByComm, Field::Host];
    let Values::Names(patterns) = &term.values else { return None };
    if term.not || !named.contains(&term.filter.field) {
        return None;
    }
    let literal = |pattern: &crate::select::pattern::Pattern| pattern.literal().map(regex::escape);
    let any: Vec<String> = patterns.iter().map(literal).collect::<Option<_>>()?;
    Regex::new(&any.join("|")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{Record, Untrusted, json, samples::truncation},
        select::facets::Facets,
    };

    /// Nothing is left out that the selection takes, whatever is in its names.
    #[test]
    fn what_is_asked_for_is_mentioned() {
        let names = ["geo-api", "a b", "ge\u{f6}-\x1b[2J", "\\x/\"", "/srv/geo/live.db", "_", "*?"];
        let asked = [
            "geo",
            "geo-*",
            "*live*",
            "/srv",
            "/srv/",
            "/srv/geo/*.db",
            "\\x*",
            "*\"",
            "a b",
            "?",
            "ge?-*",
            "_",
        ];
        let (mut taken, mut left_out) = (0, 0);
        for name in names.iter().map(|name| name.as_bytes()).chain([&b"\xff_x"[..]]) {
            let mut warning = truncation();
            warning.file.path = Some(Untrusted(name.to_vec()));
            warning.at_risk[0].comm = Untrusted(name.to_vec());
            warning.culprit.as_mut().expect("one").comm = Untrusted(name.to_vec());
            let json = json::to_vec(&Record::Truncation(Box::new(warning.clone())));
            for text in asked {
                for field in [Field::Path, Field::Comm, Field::ByComm] {
                    let term = Term::of_names(field, &[text.to_owned(), "nobody".to_owned()]);
                    let selection = Selection::default().with(term);
                    let mentioned = Mentions::of(&selection).are_in(&json);
                    let wanted = selection.matches(&Facets::from(&warning));
                    assert!(mentioned || !wanted, "{text} {field:?} {name:?}");
                    taken += usize::from(wanted);
                    left_out += usize::from(!mentioned);
                }
            }
        }
        assert!(taken > 10 && left_out > 50, "{taken} {left_out}");
    }
}
