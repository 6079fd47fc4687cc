//! What `whybus doctor` says, for people: the verdict first, and all of it on one screen.
use crate::{
    contract::{Doctor, Observed},
    host::privilege::AS_ROOT,
    model::{cause::CauseKind, observe::Readiness},
    render::{
        prices::{costs, form, undetected, watched},
        style::Style,
        watching::{colour, grouped, missing, verdict},
    },
    text::escape::escape,
};

/// Columns of a screen, how far a line is still read, and where its text begins.
const WIDTH: usize = 80;
const WIDEST: usize = 160;
const LABEL: usize = 11;
/// Its lines, but for the one of the prompt.
const LINES: usize = 23;

/// Stands before what is not seen.
const UNSEEN: &str = "unseen";

/// Who may not attach anything.
pub struct Denied {
    pub why: String,
    /// What else may stand in the way.
    pub limits: String,
}

/// A label and what stands beside it, not yet broken into lines.
type Part<'a> = (&'a str, String);

/// `denied`: nothing was tried, and why. `on_screen`: a screen has room for so many lines, a file for all.
pub fn human(report: &Doctor, denied: Option<&Denied>, on_screen: bool, style: &Style) -> Vec<u8> {
    let width = style.width.unwrap_or(WIDTH).min(WIDEST);
    let style = Style { width: Some(width), ..style.clone() };
    let mut out = first(report, denied, &style);
    let parts = if on_screen { on_a_screen(report, denied, width) } else { whole(report, denied) };
    for (label, text) in parts {
        let text = style.wrap(&text, LABEL);
        out.push_str(&format!("{label:<LABEL$}{text}\n"));
    }
    out.into_bytes()
}

/// The verdict alone.
pub fn oneline(report: &Doctor, denied: Option<&Denied>) -> Vec<u8> {
    let plain = Style::plain(false, false);
    let words = first(report, denied, &plain);
    format!("{}\n", words.split_whitespace().collect::<Vec<_>>().join(" ")).into_bytes()
}

/// All that stands below the verdict.
fn whole<'a>(report: &'a Doctor, denied: Option<&Denied>) -> Vec<Part<'a>> {
    let (missing, _) = unattached(report, usize::MAX, &screen(WIDTH));
    let head = [seen(report, denied), form_rows(report), lacks(report, denied)].concat();
    [head, prices(report, denied), missing, last(report, denied)].concat()
}

/// The same as far as a screen has room for it, and how to see the rest: one of less than 80 columns has the same, in more lines.
fn on_a_screen<'a>(report: &'a Doctor, denied: Option<&Denied>, width: usize) -> Vec<Part<'a>> {
    let screen = screen(width);
    let (parts, all) = fitted(report, denied, last(report, denied), &screen);
    if all {
        return parts;
    }
    let rest = "`whybus doctor | cat` has the rows that found no room here".to_owned();
    let tail = [last(report, denied), vec![("more", rest)]].concat();
    fitted(report, denied, tail, &screen).0
}

fn form_rows(report: &Doctor) -> Vec<Part<'_>> {
    forms(&report.observed).into_iter().map(|(form, what)| (form, what.join(" "))).collect()
}

/// What fits above `tail`, and whether that is all.
fn fitted<'a>(
    report: &'a Doctor,
    denied: Option<&Denied>,
    tail: Vec<Part<'a>>,
    screen: &Style,
) -> (Vec<Part<'a>>, bool) {
    let lines = |parts: &[Part<'_>]| lines(parts, screen);
    let verdict = first(report, denied, screen).lines().count();
    let lacks = lacks(report, denied);
    let forms = form_rows(report);
    let is_seen = |(label, _): &&Part<'_>| *label != UNSEEN;
    let unseen: Vec<Part<'_>> = forms.iter().filter(|form| !is_seen(form)).cloned().collect();
    // All reasons and what helps rather than what is seen, or what is not; or else the first of them.
    let mut tried = Vec::new();
    for forms in [forms, unseen, Vec::new()] {
        let head = [seen(report, denied), forms, lacks.clone()].concat();
        let room = LINES.saturating_sub(verdict + lines(&head) + lines(&tail));
        let (missing, all) = unattached(report, room, screen);
        tried.push((head, room, missing, all));
    }
    let fits = tried.iter().position(|(.., all)| *all);
    let fits = fits.or_else(|| tried.iter().position(|(_, _, missing, _)| missing.len() > 1));
    let (head, room, missing, all) = tried.swap_remove(fits.unwrap_or(0));
    // What is wrong, and what to do, comes before what it costs.
    let room = room.saturating_sub(lines(&missing));
    let prices = prices(report, denied);
    let fit = lines(&prices) <= room;
    let prices = if fit { prices } else { Vec::new() };
    ([head, prices, missing, tail].concat(), all && fit && fits.unwrap_or(0) == 0)
}

/// How many they take on a screen.
fn lines(parts: &[Part<'_>], screen: &Style) -> usize {
    parts.iter().map(|(_, text)| screen.wrap(text, LABEL).lines().count()).sum()
}

/// Of 80 columns, or more.
fn screen(width: usize) -> Style {
    Style { width: Some(width.max(WIDTH)), ..Style::plain(false, false) }
}

/// What is seen here, in which form.
fn seen<'a>(report: &'a Doctor, denied: Option<&Denied>) -> Vec<Part<'a>> {
    let (hooks, blind) = (report.hooks.len(), report.blind.len());
    let lockdown =
        report.lockdown.as_deref().unwrap_or("not known (no /sys/kernel/security/lockdown)");
    let kernel = format!("{}, lockdown {lockdown}", escape(report.kernel.as_bytes()));
    // Some things are looked at by two hooks.
    let things = watched(&report.observed).count();
    let unseen = report.observed.iter().filter(|one| &*one.state == "missing").count();
    let of = match (things, things + unseen) {
        (seen, all) if (seen, all) == (hooks, hooks + blind) => String::new(),
        (seen, all) => format!(", and see {seen} of {all} things"),
    };
    match denied {
        Some(denied) => vec![("kernel", kernel), ("limits", denied.limits.clone())],
        None => {
            let all = hooks + blind;
            let attach =
                format!("{hooks} of {all} hooks attach for `record` (`trace` alone uses fewer)");
            vec![("kernel", format!("{kernel}; {attach}{of}"))]
        }
    }
}

/// What those forms cost, and what they cannot detect. Which of them the kernel lets attach is known once they were tried.
fn prices(report: &Doctor, denied: Option<&Denied>) -> Vec<Part<'static>> {
    if denied.is_some() {
        return Vec::new();
    }
    let costs = costs(&report.observed).map(|costs| ("costs", costs));
    let misses = undetected(&report.observed).into_iter().map(|what| ("misses", what));
    costs.into_iter().chain(misses).collect()
}

/// Capabilities that are not there; who has none of those that matter is told so first.
fn lacks<'a>(report: &Doctor, denied: Option<&Denied>) -> Vec<Part<'a>> {
    let lacking = report.capabilities.iter().filter(|one| !one.held && denied.is_none());
    lacking.map(|one| ("lacks", format!("{}: {}", one.name, one.without))).collect()
}

/// Why hooks are missing, in so many lines, and whether that is all.
fn unattached(report: &Doctor, room: usize, screen: &Style) -> (Vec<Part<'static>>, bool) {
    let mut out: Vec<Part<'_>> = Vec::new();
    let mut left = report.blind.len();
    let summary = report.summary.as_ref().map_or_else(String::new, |text| escape(text.as_bytes()));
    let mut fixes: Vec<&str> = Vec::new();
    for reason in grouped(&report.blind) {
        // The verdict has named the first of several forms' reasons.
        let first = reason.why.split("; ").next().unwrap_or(&reason.why);
        let said = summary.contains(&format!("because {}", escape(first.as_bytes())));
        let said = said && reason.missing.len() != report.blind.len();
        let mut parts = vec![("missing", missing(&reason, said))];
        let fix = reason.missing.first().and_then(|blind| blind.fix.as_deref());
        let fix = fix.filter(|fix| !fixes.contains(fix));
        parts.extend(fix.map(|fix| ("  fix", escape(fix.as_bytes()))));
        // What is left takes a line.
        let last = reason.missing.len() == left;
        if lines(&out, screen) + lines(&parts, screen) + usize::from(!last) > room {
            let (label, more) = if out.is_empty() { ("missing", "") } else { ("", "more ") };
            out.push((label, format!("{left} {more}hooks: `whybus doctor -o json`")));
            return (out, false);
        }
        fixes.extend(fix);
        left -= reason.missing.len();
        out.extend(parts);
    }
    (out, true)
}

fn last(report: &Doctor, denied: Option<&Denied>) -> Vec<Part<'static>> {
    let verdict = report.verdict.as_ref().map(|verdict| verdict.known());
    let mut out: Vec<Part<'_>> = waiting(&report.observed).into_iter().collect();
    let tried = if denied.is_some() { ", if it attaches all of that" } else { "" };
    out.push(("explains", explains(report, tried)));
    out.push(("lookups", format!("culprits: {}; paths: {}", report.culprit, report.paths)));
    // What to do is said first.
    if denied.is_none() && verdict != Some(Readiness::NotReady) {
        out.push(("try", "`whybus demo` shows an answer, `whybus trace` watches".to_owned()));
    }
    out
}

/// The verdict.
fn first(report: &Doctor, denied: Option<&Denied>, style: &Style) -> String {
    // What others are sent here for stands below.
    let summary = report.summary.as_ref().map(|text| text.replace(" (`whybus doctor`)", ""));
    let summary = summary.map(|text| escape(text.as_bytes()));
    let known = report.verdict.as_ref().map(|verdict| verdict.known());
    let text = match (denied, known) {
        (Some(denied), _) => {
            let then = summary.unwrap_or_else(|| "nothing is missing".to_owned());
            let why = denied.why.replace(AS_ROOT, ": `sudo whybus doctor` tries it");
            format!("NOT TRIED: {why}; if the kernel allows it, {then}")
        }
        (None, Some(known)) => match summary {
            Some(said) => format!("{}: {said}", verdict(known)),
            None => format!("{}: every hook for this kernel attaches", verdict(known)),
        },
        (None, None) => "NOT TRIED".to_owned(),
    };
    let lines = style.wrap(&text, 0);
    let word = known.filter(|_| denied.is_none());
    match word.and_then(|known| Some((known, lines.strip_prefix(verdict(known))?))) {
        Some((known, rest)) => format!("{}{rest}\n", style.paint(colour(known), verdict(known))),
        None => format!("{lines}\n"),
    }
}

/// What is seen in each form, and what is not.
fn forms(observed: &[Observed]) -> Vec<(&str, Vec<&str>)> {
    let mut forms: Vec<(&str, Vec<&str>)> = Vec::new();
    for one in watched(observed) {
        let form = form(one);
        match forms.iter_mut().find(|(known, _)| *known == form) {
            Some((_, what)) => what.push(&one.what),
            None => forms.push((form, vec![&one.what])),
        }
    }
    for (state, label) in [("missing", UNSEEN), ("not-built", "not built")] {
        let of = observed.iter().filter(|one| &*one.state == state);
        let what: Vec<&str> = of.map(|one| &*one.what).collect();
        if !what.is_empty() {
            forms.push((label, what));
        }
    }
    forms
}

fn waiting(observed: &[Observed]) -> Option<Part<'static>> {
    let mut modules: Vec<&str> = observed.iter().filter_map(|one| one.module.as_deref()).collect();
    let hooks = modules.len();
    modules.dedup();
    let wait = if hooks == 1 { "hook waits" } else { "hooks wait" };
    let kernel = if modules.len() == 1 { "a kernel module" } else { "kernel modules" };
    let text = format!("{hooks} {wait} for {kernel} to be loaded: {}", modules.join(", "));
    (hooks != 0).then_some(("pending", text))
}

/// `tried`: what is said of the count where nothing was.
fn explains(report: &Doctor, tried: &str) -> String {
    let Doctor { explained, total, unexplained, .. } = report;
    let names: Vec<&str> = unexplained.iter().map(|name| &**name).collect();
    let all = CauseKind::ALL.iter().filter(|kind| **kind != CauseKind::Unknown);
    let told: Vec<&str> =
        all.map(|kind| kind.name()).filter(|kind| !names.contains(kind)).collect();
    match names.as_slice() {
        [] => format!("{explained} of {total} causes{tried}"),
        few if few.len() < told.len() => {
            format!("{explained} of {total} causes{tried}; not: {}", few.join(", "))
        }
        _ => format!("only {explained} of {total} causes{tried}: {}", told.join(", ")),
    }
}

#[cfg(test)]
mod tests;
