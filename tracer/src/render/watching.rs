//! What is watched, and what is not: the verdict first.
use crate::{
    contract::{Blind, Watching},
    correlate::readiness::{Reason, reasons},
    model::observe::Readiness,
    render::style::Style,
    text::escape::escape,
};

/// Reasons that are listed beside a watch, at most.
const REASONS: usize = 4;
/// Where a reason begins.
const BESIDE: usize = 8;

/// The word that a host is judged by.
pub fn verdict(readiness: Readiness) -> &'static str {
    match readiness {
        Readiness::Ready => "READY",
        Readiness::Degraded => "DEGRADED",
        Readiness::NotReady => "NOT READY",
    }
}

/// The colour of that word.
pub fn colour(readiness: Readiness) -> &'static str {
    match readiness {
        Readiness::Ready => "32",
        Readiness::Degraded => "33",
        Readiness::NotReady => "31",
    }
}

/// The verdict, what is watched, and why the rest is not: a line a reason.
pub fn human(watching: &Watching, style: &Style) -> Vec<u8> {
    let Watching { hooks, blind, .. } = watching;
    let known = watching.verdict.as_ref().map(|verdict| verdict.known());
    let readiness = known.unwrap_or(match blind.as_slice() {
        [] => Readiness::Ready,
        _ => Readiness::Degraded,
    });
    let word = style.paint(colour(readiness), verdict(readiness));
    let watched = format!(
        "watching {} of {} hooks on {}",
        hooks.len(),
        hooks.len() + blind.len(),
        escape(watching.kernel.as_bytes()),
    );
    let day = Style { history: style.history || style.dated, ..style.clone() };
    let since = day.time_in_zone(watching.time);
    if readiness == Readiness::Ready {
        let text = format!("{word}: {watched} · all probes active since {since}");
        return format!("{}\n", style.wrap(&text, 0)).into_bytes();
    }
    let summary = watching.summary.as_ref().map(|text| escape(text.as_bytes()));
    let verdict = summary.as_deref().unwrap_or_default();
    let verdict = style.wrap(&format!("{word}: {verdict}"), 0);
    let watched = style.wrap(&format!("{watched} · since {since}"), 0);
    let mut out = format!("{verdict}\n{watched}\n");
    let reasons = grouped(blind);
    let mut fixes: Vec<&str> = Vec::new();
    for reason in reasons.iter().take(REASONS) {
        // The first line has said why, and how many of all it is the second.
        let because = format!("because {}", escape(reason.why.as_bytes()));
        let said = summary.as_ref().is_some_and(|text| text.contains(&because));
        if !(said && reasons.len() == 1 && reason.missing.len() > 1) {
            let label = style.paint("33", "missing");
            out.push_str(&format!("{label} {}\n", style.wrap(&missing(reason, said), BESIDE)));
        }
        let fix = reason.missing.first().and_then(|blind| blind.fix.as_deref());
        if let Some(fix) = fix.filter(|fix| !fixes.contains(fix)) {
            fixes.push(fix);
            let text = style.wrap(&escape(fix.as_bytes()), BESIDE);
            out.push_str(&format!("{}     {text}\n", style.paint("36", "fix")));
        }
    }
    if reasons.len() > REASONS {
        let more: usize = reasons[REASONS..].iter().map(|reason| reason.missing.len()).sum();
        out.push_str(&format!("        {more} more hooks: `whybus doctor`\n"));
    }
    out.into_bytes()
}

/// Hooks that are missing, by why.
pub fn grouped(blind: &[Blind]) -> Vec<Reason<'_, Blind>> {
    reasons(blind, |blind| (&blind.hook, blind.reason.to_string()))
}

/// How many hooks are missing, and why, unless that is `said`; of one also what it would detect.
pub fn missing(reason: &Reason<'_, Blind>, said: bool) -> String {
    let why = match said {
        true => match reason.why.split_once("; ") {
            Some((_, rest)) => {
                format!("for the reason in the first line; {}", escape(rest.as_bytes()))
            }
            None => "for the reason in the first line".to_owned(),
        },
        false => escape(reason.why.as_bytes()),
    };
    match reason.missing.as_slice() {
        [one] => {
            let (hook, causes) = (escape(one.hook.as_bytes()), escape(one.causes.as_bytes()));
            format!("{hook}: {why}; cannot detect: {causes}")
        }
        several => format!("{} hooks: {why}", several.len()),
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::contract::Time;

    fn blind(hook: &str, reason: &str, fix: Option<&str>) -> Blind {
        Blind {
            hook: hook.into(),
            reason: reason.into(),
            fix: fix.map(Into::into),
            causes: "quota".into(),
        }
    }

    fn shown(blind: Vec<Blind>, verdict: Readiness, summary: Option<&str>) -> String {
        shown_in(None, blind, verdict, summary)
    }

    fn shown_in(
        width: Option<usize>,
        blind: Vec<Blind>,
        verdict: Readiness,
        summary: Option<&str>,
    ) -> String {
        let told = Watching {
            time: Time(0),
            host: "host".into(),
            boot_id: "boot".into(),
            kernel: "6.12".into(),
            hooks: vec!["fexit filemap_fault".into()],
            blind,
            verdict: Some(verdict.into()),
            summary: summary.map(Into::into),
        };
        let style = Style { width, ..Style::plain(false, false) };
        String::from_utf8(human(&told, &style)).expect("text")
    }

    #[test]
    fn a_host_that_is_ready_says_so_in_one_line() {
        assert_eq!(
            shown(Vec::new(), Readiness::Ready, None),
            "READY: watching 1 of 1 hooks on 6.12 · all probes active since 00:00:00.000 UTC\n"
        );
    }

    #[test]
    fn a_narrow_terminal_breaks_no_word() {
        let why = "the kernel refused it for a reason that is longer than a line of sixty may be";
        let broken = |width| {
            let missing = vec![blind("fexit a", why, Some(why))];
            shown_in(width, missing, Readiness::Degraded, Some(why))
        };
        let said = broken(Some(60));
        assert!(said.lines().all(|line| line.chars().count() <= 60), "{said}");
        assert!(said.contains("\n        "), "{said}");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&said), words(&broken(None)));
    }

    #[test]
    fn the_verdict_comes_first_and_each_reason_once() {
        let off = "kernel.ftrace_enabled is 0";
        let fix = Some("sysctl kernel.ftrace_enabled=1");
        let missing = vec![
            blind("fexit a", off, fix),
            blind("kprobe c", "no function c", None),
            blind("fentry b", off, fix),
        ];
        assert_eq!(
            shown(missing, Readiness::NotReady, Some("whybus cannot tell much")),
            "NOT READY: whybus cannot tell much\n\
             watching 1 of 4 hooks on 6.12 · since 00:00:00.000 UTC\n\
             missing 2 hooks: kernel.ftrace_enabled is 0\n\
             fix     sysctl kernel.ftrace_enabled=1\n\
             missing kprobe c: no function c; cannot detect: quota\n"
        );
    }

    #[test]
    fn a_reason_that_the_verdict_names_is_not_repeated() {
        let off = "kernel.ftrace_enabled is 0";
        let summary = format!("whybus cannot tell much, because {off}");
        let missing = || {
            vec![
                blind("fexit a", off, Some("sysctl it")),
                blind("fentry b", off, Some("sysctl it")),
            ]
        };
        assert_eq!(
            shown(missing(), Readiness::NotReady, Some(&summary)),
            format!(
                "NOT READY: {summary}\n\
                 watching 1 of 3 hooks on 6.12 · since 00:00:00.000 UTC\n\
                 fix     sysctl it\n"
            )
        );
        let more = [missing(), vec![blind("kprobe c", "no function c", None)]].concat();
        let said = shown(more, Readiness::NotReady, Some(&summary));
        assert_eq!(said.matches(off).count(), 1, "{said}");
        assert!(said.contains("missing 2 hooks: for the reason in the first line\n"), "{said}");
        assert!(said.contains("missing kprobe c: no function c; "), "{said}");
        // Nor is what helps against two.
        let other = blind("fexit d", "another form of it", Some("sysctl it"));
        let said = shown([missing(), vec![other]].concat(), Readiness::NotReady, Some(&summary));
        assert_eq!(said.matches("fix     sysctl it\n").count(), 1, "{said}");
    }

    #[test]
    fn a_host_that_lacks_everything_takes_no_screen() {
        let many = (0..40).map(|i| blind(&format!("fexit {i}x"), &format!("because {i}"), None));
        let text = shown(many.collect(), Readiness::Degraded, Some("little"));
        assert_eq!(text.lines().count(), 2 + REASONS + 1, "{text}");
        assert!(text.ends_with("        36 more hooks: `whybus doctor`\n"), "{text}");
    }
}
