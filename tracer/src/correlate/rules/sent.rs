//! Somebody sent the signal: kill(2), tgkill(2), sigqueue(3).
use super::{Class, Confidence, Evidence, Verdict};

const ADVICE: &str = "no memory access failed: ask whoever sent the signal";

pub fn judge(evidence: &Evidence<'_>) -> Option<Verdict> {
    let signal = evidence.signal?;
    if evidence.fault.is_some() || signal.code > 0 {
        return None;
    }
    let call = match signal.code {
        0 => "kill(2)",
        -1 => "sigqueue(3)",
        -6 => "tgkill(2)",
        _ => "another process",
    };
    let own = signal.sender.task.id.same(signal.target.id);
    let summary = format!("sent by {call}{}", if own { ", by the process to itself" } else { "" });
    Some(Verdict::new(Class::Sent, Confidence::Proven, summary, ADVICE))
}

#[cfg(test)]
mod tests {
    use super::super::{samples::*, *};

    #[test]
    fn a_code_of_zero_or_less_was_sent() {
        for (code, call) in [(0, "kill(2)"), (-1, "sigqueue(3)"), (-6, "tgkill(2)")] {
            let signal = signal(code);
            let verdict = judge(&without_fault(&signal));
            assert_eq!(verdict.class, Class::Sent);
            assert!(verdict.summary.contains(call));
        }
    }
}
