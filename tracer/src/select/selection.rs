//! Which incidents are asked for. Pure.
use crate::{
    correlate::update::Update,
    model::{container, time::ClockOffset},
    select::{
        facets::Facets,
        field::{Field, Filter, Reads},
        pattern::{Pattern, Syntax},
    },
    text::escape::{asked, start_of_printed},
};

/// Which incidents are asked for: all terms must hold.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Ns since the epoch, both included. A watch has no such bounds.
    pub since: Option<i64>,
    pub until: Option<i64>,
    pub terms: Vec<Term>,
    /// `--since` and `--until` as they were typed, a space before each.
    pub times: String,
    /// No warning when a mapped file is shrunk.
    pub without_warnings: bool,
}

/// One filter with what it was given: one of the values must match, or none.
#[derive(Debug, Clone)]
pub struct Term {
    pub filter: &'static Filter,
    pub values: Values,
    /// None may match. What is not known is not what was excluded.
    pub not: bool,
}

/// What a filter was given.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    Numbers(Vec<u32>),
    Names(Vec<Pattern>),
}

impl Values {
    /// Whether one of them matches a name.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Names(patterns) => patterns.iter().any(|one| one.matches(name.as_bytes())),
            Self::Numbers(_) => false,
        }
    }
}

impl Term {
    /// A filter for any of some numbers.
    pub fn of_numbers(field: Field, numbers: &[u32]) -> Self {
        Self { filter: field.filter(), values: Values::Numbers(numbers.to_vec()), not: false }
    }

    /// A filter for any of some names.
    pub fn of_names(field: Field, texts: &[String]) -> Self {
        let filter = field.filter();
        let syntax = match filter.reads {
            Reads::Names(_, syntax) => syntax,
            Reads::Numbers(_) => Syntax::Exact,
        };
        let patterns = texts.iter().map(|text| Pattern::new(syntax, text)).collect();
        Self { filter, values: Values::Names(patterns), not: false }
    }

    /// None of the values, instead of one.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { not: !self.not, ..self }
    }

    /// As it is typed: `--comm geo-api`, `--not-class sent --not-class exited`.
    pub fn typed(&self) -> String {
        let values: Vec<String> = match &self.values {
            Values::Numbers(numbers) => numbers.iter().map(u32::to_string).collect(),
            Values::Names(patterns) => patterns.iter().map(|one| one.text().to_owned()).collect(),
        };
        let flag = format!("{}{}", if self.not { "not-" } else { "" }, self.filter.flag);
        values.iter().map(|value| asked(&flag, value)).collect::<Vec<_>>().join(" ")
    }

    /// What it asks for by name, without patterns.
    pub fn only_names(&self) -> impl Iterator<Item = &str> {
        let patterns = match &self.values {
            Values::Names(patterns) => patterns.as_slice(),
            Values::Numbers(_) => &[],
        };
        patterns.iter().filter_map(Pattern::only_name)
    }

    /// Whether one of the values matches, or none where that is asked for.
    pub fn matches(&self, facets: &Facets<'_>) -> bool {
        let found = match (&self.filter.reads, &self.values) {
            (Reads::Numbers(of), Values::Numbers(numbers)) => {
                of(facets).iter().any(|number| numbers.contains(number))
            }
            (Reads::Names(of, _), Values::Names(patterns)) => {
                of(facets).iter().any(|name| patterns.iter().any(|one| one.matches(name)))
            }
            (Reads::Numbers(_), Values::Names(_)) | (Reads::Names(..), Values::Numbers(_)) => false,
        };
        found != self.not
    }
}

impl Selection {
    /// Whether nothing is left out.
    pub fn is_all(&self) -> bool {
        let bounds = self.since.or(self.until);
        bounds.is_none() && self.terms.is_empty() && !self.without_warnings
    }

    /// Adds a filter that was given numbers; one that was given none asks for nothing.
    #[must_use]
    pub fn with_numbers(self, field: Field, numbers: &[u32]) -> Self {
        if numbers.is_empty() { self } else { self.with(Term::of_numbers(field, numbers)) }
    }

    /// Adds a filter that was given names; one that was given none asks for nothing.
    #[must_use]
    pub fn with_names(self, field: Field, texts: &[String]) -> Self {
        if texts.is_empty() { self } else { self.with(Term::of_names(field, texts)) }
    }

    /// This, and the term as well.
    #[must_use]
    pub fn with(mut self, term: Term) -> Self {
        self.terms.push(term);
        self
    }

    /// This, and all of the terms as well.
    #[must_use]
    pub fn with_all(mut self, terms: Vec<Term>) -> Self {
        self.terms.extend(terms);
        self
    }

    /// As it is typed, a space before each flag.
    pub fn typed(&self) -> String {
        let terms = self.terms.iter().map(|term| format!(" {}", term.typed()));
        terms.collect::<String>() + &self.times
    }

    /// Whether everything that is asked for holds.
    pub fn matches(&self, facets: &Facets<'_>) -> bool {
        let in_time = facets.time.is_none_or(|time| {
            self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|u| time <= u)
        });
        in_time && self.terms.iter().all(|term| term.matches(facets))
    }

    /// Whether an update is about something that is asked for; losses always are.
    pub fn passes(&self, update: &Update, clock: ClockOffset) -> bool {
        let at = |clock: ClockOffset, ns: u64| Some(clock.realtime(ns));
        match update {
            Update::Incident(incident) | Update::Change(incident) => self.matches(&Facets {
                time: at(incident.clock, incident.first),
                ..Facets::from(&**incident)
            }),
            Update::Truncation(truncation) => {
                let time = at(clock, truncation.shrink.begin);
                let facets = Facets { time, ..Facets::from(&**truncation) };
                !self.without_warnings && self.matches(&facets)
            }
            Update::Loss(_) | Update::Missed { .. } => true,
        }
    }
}

/// `geo-api` and 1234 of `geo-api[1234]`, as processes are printed.
pub fn printed(text: &str) -> Option<(&str, u32)> {
    let (name, pid) = text.strip_suffix(']')?.rsplit_once('[')?;
    Some((name, pid.parse().ok()?))
}

/// What a selector of `whybus why` may be, most likely first; of each all terms must hold.
pub fn readings(selector: &str) -> Vec<Vec<Term>> {
    let mut found = Vec::new();
    if let Some((comm, pid)) = printed(selector) {
        let comm = Term::of_names(Field::Comm, &[comm.to_owned()]);
        found.push(vec![Term::of_numbers(Field::Pid, &[pid]), comm]);
    }
    found.extend(single(selector).into_iter().map(|term| vec![term]));
    // A pod as logs and metrics name it.
    if let Some((namespace, pod)) = selector.split_once('/')
        && [namespace, pod].iter().all(|name| !name.is_empty() && !name.contains(['/', ':']))
    {
        let name = |field, text: &str| Term::of_names(field, &[text.to_owned()]);
        found.push(vec![name(Field::Namespace, namespace), name(Field::Pod, pod)]);
    }
    found
}

fn single(selector: &str) -> Vec<Term> {
    let name = |field, text: &str| Term::of_names(field, &[text.to_owned()]);
    let mut found = Vec::new();
    if let Ok(pid) = selector.parse::<u32>() {
        found.push(Term::of_numbers(Field::Pid, &[pid]));
    }
    if selector.starts_with('/') {
        found.push(name(Field::Path, selector));
    }
    // The kernel keeps 15 bytes of a name.
    let kept = if selector.is_ascii() { start_of_printed(selector, 15) } else { selector };
    found.push(name(Field::Comm, kept));
    found.push(name(Field::Unit, selector));
    // A number is rather a pid than the start of an id.
    let id = container::copied(selector);
    if id.len() >= container::SHORT || selector.parse::<u32>().is_err() {
        found.extend([name(Field::Container, selector), name(Field::Pod, selector)]);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::field::FILTERS;

    /// One that every filter has something to read of.
    fn facets() -> Facets<'static> {
        Facets {
            pids: vec![42],
            comms: vec![b"geo-api", b"worker"],
            uid: Some(1000),
            cgroup: Some(
                b"/kubepods.slice/kubepods-pod12345678_9abc_def0_1234_56789abcdef0.slice/\
                docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
            ),
            container: Some(b"api"),
            container_id: None,
            image: Some(b"registry.example/geo-api:1.2"),
            pod: Some(b"geo-api-7d9f"),
            namespace: Some(b"shop"),
            path: Some(b"/efs/geo/GeoIP2.mmdb"),
            by_pid: Some(7),
            by_comm: Some(b"cp"),
            class: Some(b"truncated"),
            status: Some(135),
            signature: Some(b"geo_lookup in geo-api, build 8a3f"),
            host: Some(b"node-1"),
            time: Some(1_000),
        }
    }

    fn asks(field: Field, value: &str) -> Selection {
        match value.parse() {
            Ok(number) => Selection::default().with_numbers(field, &[number]),
            Err(_) => Selection::default().with_names(field, &[value.to_owned()]),
        }
    }

    #[test]
    fn every_filter_takes_what_matches_and_nothing_else() {
        let cases = [
            (Field::Pid, "42", "43"),
            (Field::Comm, "work*", "cp"),
            (Field::Uid, "1000", "0"),
            (Field::Unit, "docker-*", "geo"),
            (Field::Cgroup, "kubepods.slice", "user.slice"),
            (Field::Container, "0123456789ab", "abcdef"),
            (Field::Pod, "12345678-9abc-def0-1234-56789abcdef0", "12345678-0"),
            (Field::Namespace, "shop", "sho"),
            (Field::Image, "geo-api", "geo"),
            (Field::Path, "/efs", "/ef"),
            (Field::ByPid, "7", "42"),
            (Field::ByComm, "c?", "geo-api"),
            (Field::Class, "trunc*", "sent"),
            (Field::Exit, "135", "7"),
            (Field::Host, "node-1", "node-*"),
            (Field::Signature, "geo_lookup*", "lookup"),
        ];
        assert_eq!(cases.len(), FILTERS.len());
        for (field, good, bad) in cases {
            assert!(asks(field, good).matches(&facets()), "{field:?} {good}");
            assert!(!asks(field, bad).matches(&facets()), "{field:?} {bad}");
            // What is not known is not what was asked for.
            assert!(!asks(field, good).matches(&Facets::default()), "{field:?} of nothing");
        }
    }

    #[test]
    fn what_is_excluded_is_neither_any_of_it_nor_what_is_not_known() {
        let not = |field, value: &str| {
            let terms = asks(field, value).terms.into_iter().map(Term::negated).collect();
            Selection { terms, ..Selection::default() }
        };
        assert!(!not(Field::Comm, "work*").matches(&facets()), "its thread is called so");
        assert!(not(Field::Comm, "cp").matches(&facets()));
        assert!(not(Field::Uid, "0").matches(&Facets::default()));
        let both = asks(Field::Comm, "geo-api")
            .with(Term::of_names(Field::Class, &["truncated".into()]).negated());
        assert!(!both.matches(&facets()));
        assert_eq!(both.terms[1].typed(), "--not-class truncated");
    }

    #[test]
    fn values_are_ored_and_filters_are_anded() {
        let either = Selection::default().with_numbers(Field::Pid, &[1, 42]);
        assert!(either.matches(&facets()));
        assert!(!either.clone().with_numbers(Field::Uid, &[0]).matches(&facets()));
        assert!(either.with_numbers(Field::Uid, &[]).matches(&facets()));
        assert!(Selection::default().matches(&Facets::default()));
    }

    #[test]
    fn both_bounds_of_a_time_belong_to_it() {
        let between = |since, until| Selection { since, until, ..Selection::default() };
        assert!(between(Some(1_000), Some(1_000)).matches(&facets()));
        assert!(!between(Some(1_001), None).matches(&facets()));
        assert!(!between(None, Some(999)).matches(&facets()));
    }

    #[test]
    fn a_selector_is_taken_for_what_it_looks_like() {
        let fields = |text: &str| -> Vec<Field> {
            readings(text).into_iter().flatten().map(|term| term.filter.field).collect()
        };
        let (comm, unit, container, pod) = (Field::Comm, Field::Unit, Field::Container, Field::Pod);
        assert_eq!(fields("1234"), [Field::Pid, comm, unit]);
        assert_eq!(fields("/efs/x"), [Field::Path, comm, unit, container, pod]);
        assert_eq!(fields("web"), [comm, unit, container, pod]);
        assert_eq!(fields("0123456789ab"), [comm, unit, container, pod]);
        assert_eq!(fields("containerd://0123456789ab"), [comm, unit, container, pod]);
        assert_eq!(fields("12345678-9abc-def0"), [comm, unit, container, pod]);
        let within = [comm, unit, container, pod, Field::Namespace, pod];
        assert_eq!(fields("shop/geo-api-7d9f"), within);
        assert_eq!(fields("geo[12]"), [Field::Pid, comm, comm, unit, container, pod]);
        assert_eq!(
            [printed("a[b][7]"), printed("a[]"), printed("[")],
            [Some(("a[b]", 7)), None, None]
        );
    }
}
