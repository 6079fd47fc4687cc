//! Times as people type them. Pure, given what time it is.
use jiff::{
    Timestamp, ToSpan as _, Zoned,
    civil::{Date, DateTime, Time},
};

use crate::text::parse::duration;

/// The time now, in this host's zone.
pub fn now() -> Zoned {
    Zoned::now()
}

/// Ns since the epoch of `10m ago`, `2h`, `1h30m ago`, `today`, `yesterday`, `10:03`, `2026-11-21`, `2026-11-21
/// 10:03`, or RFC 3339; local unless the last says otherwise.
///
/// # Errors
/// Where it is none of these.
pub fn parse(text: &str, now: &Zoned) -> Result<i64, String> {
    let text = text.trim();
    let zone = now.time_zone();
    let bad = || {
        format!(
            "`{text}` is no time: try `10m ago`, `today`, `10:03`, `2026-11-21 10:03`, or RFC 3339"
        )
    };
    let local = |time: DateTime| time.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp());
    let found: Option<Timestamp> = match text {
        "now" => Some(now.timestamp()),
        "today" => local(now.date().to_datetime(Time::midnight())),
        "yesterday" => {
            now.date().yesterday().ok().and_then(|day| local(day.to_datetime(Time::midnight())))
        }
        _ => {
            let span = text.strip_suffix("ago").map_or(text, str::trim);
            let span = span.strip_prefix('-').unwrap_or(span);
            let ago = duration(span).ok().filter(|_| text.parse::<f64>().is_err());
            let ago = ago.and_then(|ago| {
                let ms = i64::try_from(ago.as_millis()).ok()?;
                now.timestamp().checked_sub(ms.milliseconds()).ok()
            });
            ago.or_else(|| text.parse::<Timestamp>().ok())
                .or_else(|| local(text.parse::<DateTime>().ok()?))
                .or_else(|| local(text.parse::<Date>().ok()?.to_datetime(Time::midnight())))
                .or_else(|| local(now.date().to_datetime(text.parse::<Time>().ok()?)))
        }
    };
    found.and_then(|time| i64::try_from(time.as_nanosecond()).ok()).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::format::rfc3339;

    #[test]
    fn as_people_type_them() {
        let now: Zoned = "2026-11-21T12:00:00+01:00[+01:00]".parse().expect("a time");
        let cases = [
            ("now", "2026-11-21T11:00:00"),
            ("10m ago", "2026-11-21T10:50:00"),
            ("2h", "2026-11-21T09:00:00"),
            ("2h ago", "2026-11-21T09:00:00"),
            ("1h30m", "2026-11-21T09:30:00"),
            ("1h30m ago", "2026-11-21T09:30:00"),
            ("2 hours ago", "2026-11-21T09:00:00"),
            ("1 day 2 hours ago", "2026-11-20T09:00:00"),
            ("-1d", "2026-11-20T11:00:00"),
            ("today", "2026-11-20T23:00:00"),
            ("yesterday", "2026-11-19T23:00:00"),
            ("10:03", "2026-11-21T09:03:00"),
            ("2026-11-21", "2026-11-20T23:00:00"),
            ("2026-11-21 10:03", "2026-11-21T09:03:00"),
            ("2026-11-21T10:03:07", "2026-11-21T09:03:07"),
            ("2026-11-21T10:03:07Z", "2026-11-21T10:03:07"),
            ("2026-11-21T10:03:07+02:00", "2026-11-21T08:03:07"),
        ];
        for (text, utc) in cases {
            let told = parse(text, &now).map(rfc3339);
            assert_eq!(told, Ok(format!("{utc}.000000000Z")), "{text}");
        }
        for bad in ["", "x", "10 parsecs ago", "25:00", "2026-13-01", "7", "ago", "2mo ago"] {
            assert!(parse(bad, &now).is_err(), "{bad}");
        }
    }
}
