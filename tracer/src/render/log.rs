//! What the probes say of themselves, for people: a line each.
use crate::{
    contract::Time,
    model::{log::LogLine, time::ClockOffset},
    render::style::Style,
    text::escape::escape,
};

/// Which probe ran for whom, and what it decided.
pub fn line(logged: &LogLine, clock: ClockOffset, style: &Style) -> String {
    let LogLine { time, hook, message, tgid, tid, comm, values } = logged;
    let time = style.time(Time(clock.realtime(*time)));
    let whom = match tgid == tid {
        true => format!("{}[{tgid}]", escape(comm)),
        false => format!("{}[{tgid}, thread {tid}]", escape(comm)),
    };
    format!("{time}  log  {}  {whom}  {}\n", hook.name(), filled(message.text(), *values))
}

/// That some were left out.
pub fn left_out(count: u64, now: u64, clock: ClockOffset, style: &Style) -> String {
    let time = style.time(Time(clock.realtime(now)));
    let lines = if count == 1 { "line is" } else { "lines are" };
    format!("{time}  log  {count} {lines} dropped: too many at once, or the reader was too slow\n")
}

/// The text, with its numbers for `{0}` (signed, for sizes and errnos) and `{0:x}`.
fn filled(text: &str, values: [u64; 4]) -> String {
    let mut out = text.to_owned();
    for (i, value) in values.into_iter().enumerate() {
        out = out.replace(&format!("{{{i}}}"), &value.cast_signed().to_string());
        out = out.replace(&format!("{{{i}:x}}"), &format!("{value:#x}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use tracer_common::log::{Hook, Message};

    use super::*;

    const STYLE: Style = Style::plain(false, false);

    fn logged(message: Message, values: [u64; 4]) -> LogLine {
        let comm = b"c\x1b[2Jp".to_vec();
        LogLine {
            time: 61_000_000_000,
            hook: Hook::NotifyChange,
            message,
            tgid: 7,
            tid: 7,
            comm,
            values,
        }
    }

    #[test]
    fn a_line_names_probe_process_and_decision() {
        let shown = line(&logged(Message::ShrinkSent, [9, 8_192, 0, 0]), ClockOffset(0), &STYLE);
        assert_eq!(
            shown,
            "00:01:01.000  log  notify_change  c\\x1b[2Jp[7]  \
             sent: inode 9, which is mapped, is cut from 8192 B to 0 B\n"
        );
        let thread = LogLine { tid: 8, ..logged(Message::RememberedNone, [0; 4]) };
        let shown = line(&thread, ClockOffset(0), &STYLE);
        assert!(shown.contains("[7, thread 8]  no shrink of this inode is remembered"));
    }

    #[test]
    fn numbers_are_signed_and_none_is_left_open() {
        assert_eq!(filled("{0} {1:x}", [u64::MAX, 255, 0, 0]), "-1 0xff");
        for message in Message::ALL {
            let shown = line(&logged(*message, [1; 4]), ClockOffset(0), &STYLE);
            assert!(!shown.contains(['{', '}']) && shown.ends_with('\n'), "{shown}");
            assert_eq!(shown.lines().count(), 1, "{shown}");
        }
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let shown = left_out(1, 0, ClockOffset(0), &STYLE);
        assert!(shown.starts_with("00:00:00.000  log  1 line is dropped"), "{shown}");
        assert!(left_out(2, 0, ClockOffset(0), &STYLE).contains("2 lines are dropped"));
    }
}
