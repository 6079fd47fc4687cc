//! Times as people type them: as journalctl and coredumpctl take them. Pure, given what time it is.
use jiff::{
    Span, Timestamp, ToSpan as _, Zoned,
    civil::{Date, DateTime, Time},
    fmt::{rfc2822, temporal::DateTimeParser},
    tz::TimeZone,
};

use crate::text::{
    format::{date, zone_name},
    parse::duration,
};

/// The time now, in this host's zone.
pub fn now() -> Zoned {
    Zoned::now()
}

/// Both ends of a range of times, ns since the epoch.
///
/// # Errors
/// Where one of them is not a time, or nothing can lie between them.
pub fn range(
    since: Option<&str>,
    until: Option<&str>,
    now: &Zoned,
) -> Result<(Option<i64>, Option<i64>), String> {
    let at = |text: Option<&str>| text.map(|text| parse(text, now)).transpose();
    let (from, to) = (at(since)?, at(until)?);
    let shown = |ns| format!("{} {}", date(ns, now.time_zone()), zone_name(ns, now.time_zone()));
    let present = i64::try_from(now.timestamp().as_nanosecond()).unwrap_or(i64::MAX);
    if let Some((text, ns)) = since.zip(from).filter(|(_, ns)| *ns > present) {
        let yesterday = match format!("yesterday {}", text.trim()) {
            before if parse(&before, now).is_ok() => {
                format!("; for the last one: --since \"{before}\"")
            }
            _ => String::new(),
        };
        let (at, present) = (shown(ns), shown(present));
        return Err(format!(
            "--since {text} is in the future: {at}, and now it is {present}{yesterday}"
        ));
    }
    if let Some((from, to)) = from.zip(to).filter(|(from, to)| to < from) {
        return Err(format!("--until lies before --since: {} and {}", shown(to), shown(from)));
    }
    Ok((from, to))
}

/// Ns since the epoch of `10m ago`, `-1h`, `1h30m`, `2 weeks ago`, `today`, `yesterday 10:03`, `10:03`, `10:03:07 UTC`, `2026-11-21`,
/// `2026-11-21 10:03 +01:00`, `Sat 2026-11-21 10:03:07 UTC`, `@1790000000`, or RFC 3339; local where no zone is named.
///
/// # Errors
/// Where it is none of these.
pub fn parse(text: &str, now: &Zoned) -> Result<i64, String> {
    let text = text.trim();
    let found = epoch(text)
        .or_else(|| (text == "now").then(|| now.timestamp()))
        .or_else(|| ago(text, now))
        .or_else(|| text.parse::<Timestamp>().ok())
        .or_else(|| dated(text, now))
        .or_else(|| printed(text, now));
    if found.is_none()
        && let Some(said) = other_day(text, now)
    {
        return Err(said);
    }
    found.and_then(|time| i64::try_from(time.as_nanosecond()).ok()).ok_or_else(|| {
        let date = text.get(..10).filter(|date| date.bytes().all(|b| b.is_ascii_digit() || b == b'-'));
        if date.is_some_and(|date| date.matches('-').count() == 2 && date.parse::<Date>().is_err()) {
            return format!("`{text}` is not a time: there is no such day");
        }
        format!(
            "`{text}` is not a time: try `1h ago`, `yesterday`, `10:03`, `2026-11-21 10:03 UTC`, `@1790000000`, \
             or RFC 3339"
        )
    })
}

/// Days as they are printed.
const WEEK: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// A day, a time of day, or both, maybe behind the day of the week and before a zone, as we and journalctl print it.
fn dated(text: &str, now: &Zoned) -> Option<Timestamp> {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let week_day = WEEK.iter().position(|day| first.eq_ignore_ascii_case(day));
    let text = if week_day.is_some() { rest.trim() } else { text };
    let whole = || Some(text.parse::<Timestamp>().ok()?.to_zoned(now.time_zone().clone()));
    let local = civil(text, now).and_then(|time| time.to_zoned(now.time_zone().clone()).ok());
    let zoned = whole().or(local).or_else(|| {
        let (text, zone) = text.rsplit_once(' ')?;
        in_zone(text.trim(), zone, now)
    })?;
    let is_its_day = |day: usize| zoned.weekday().to_monday_zero_offset() as usize == day;
    week_day.is_none_or(is_its_day).then(|| zoned.timestamp())
}

/// What is wrong with a time that stands behind another day of the week than its own.
fn other_day(text: &str, now: &Zoned) -> Option<String> {
    let (first, rest) = text.split_once(' ')?;
    WEEK.iter().find(|day| first.eq_ignore_ascii_case(day))?;
    let day = dated(rest.trim(), now)?.to_zoned(now.time_zone().clone());
    Some(format!("`{text}` is not a time: {} is a {}", day.date(), day.strftime("%A")))
}

/// As others print it: kubectl and mail (RFC 2822), journalctl and syslog without a year, ctime(3) and `dmesg -T`.
fn printed(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Ok(zoned) = rfc2822::parse(text) {
        return Some(zoned.timestamp());
    }
    let civil = |text: &str| DateTime::strptime("%a %b %d %H:%M:%S %Y", text).ok();
    let ctime = civil(text);
    // Of one without a year the last that there was.
    let syslog = || {
        let of = |year: i16| DateTime::strptime("%Y %b %d %H:%M:%S", format!("{year} {text}")).ok();
        let years = [now.year(), now.year() - 1].into_iter().filter_map(of);
        years.into_iter().find(|time| *time <= now.datetime())
    };
    Some(ctime.or_else(syslog)?.to_zoned(now.time_zone().clone()).ok()?.timestamp())
}

/// The same in a zone: by its name, its offset, or the letters of its summer or its winter, which may be those of several.
fn in_zone(text: &str, zone: &str, now: &Zoned) -> Option<Zoned> {
    let letters = |zoned: &Zoned| zoned.strftime("%Z").to_string().eq_ignore_ascii_case(zone);
    let named = zone.contains('/') || zone.starts_with(['+', '-']);
    let utc = zone.eq_ignore_ascii_case("UTC") || zone == "Z";
    let known = match utc {
        true => Some(TimeZone::UTC),
        false => DateTimeParser::new().parse_time_zone(zone).ok(),
    };
    let local = (!named && !utc).then(|| now.time_zone().clone());
    local.into_iter().chain(known).find_map(|zone| {
        let is = |zoned: &Zoned| named || utc || letters(zoned);
        let time = zone.to_ambiguous_zoned(civil(text, &now.with_time_zone(zone.clone()))?);
        [time.clone().earlier(), time.later()].into_iter().filter_map(Result::ok).find(is)
    })
}

/// A day and a time of day, of which either may be left out: what is printed by any clock where it is `now`.
fn civil(text: &str, now: &Zoned) -> Option<DateTime> {
    if let Some(time) = clock(text) {
        return Some(now.date().to_datetime(time));
    }
    let (name, time) = text.split_once(' ').unwrap_or((text, ""));
    let date = match name {
        "today" => now.date(),
        "yesterday" => now.date().yesterday().ok()?,
        "tomorrow" => now.date().tomorrow().ok()?,
        // What stands behind a time in brackets, or as an offset, would not be looked at.
        _ if text.contains('[')
            || text.get(10..).is_some_and(|rest| rest.contains(['+', '-', 'Z'])) =>
        {
            return None;
        }
        _ => {
            let date = || Some(text.parse::<Date>().ok()?.to_datetime(Time::midnight()));
            return text.parse::<DateTime>().ok().or_else(date);
        }
    };
    match time.trim() {
        "" => Some(date.to_datetime(Time::midnight())),
        time => Some(date.to_datetime(clock(time)?)),
    }
}

/// A time of day, and no more.
fn clock(text: &str) -> Option<Time> {
    text.parse().ok().filter(|_| is_like_a_clock(text))
}

fn is_like_a_clock(text: &str) -> bool {
    text.contains(':') && text.bytes().all(|byte| byte.is_ascii_digit() || b":.".contains(&byte))
}

/// `@1790000000`, with a fraction or without.
fn epoch(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.strip_prefix('@')?.split_once('.').unwrap_or((&text[1..], "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(seconds.strip_prefix('-').unwrap_or(seconds)) || !digits(fraction) {
        return None;
    }
    let nanos: i32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Timestamp::new(seconds.parse().ok()?, 0).ok()?.checked_add(i64::from(nanos).nanoseconds()).ok()
}

/// A duration, before now or, with a plus, after.
fn ago(text: &str, now: &Zoned) -> Option<Timestamp> {
    if text.parse::<f64>().is_ok() || is_like_a_clock(text) {
        return None;
    }
    let past = text.strip_suffix("ago").map_or(text, str::trim);
    let (span, sign) = match past.strip_prefix('+') {
        Some(span) if past == text => (span, 1),
        _ => (past.strip_prefix('-').unwrap_or(past), -1),
    };
    let span = span.trim();
    if let Ok(duration) = duration(span) {
        let ms = i64::try_from(duration.as_millis()).ok()?;
        return now.timestamp().checked_add((sign * ms).milliseconds()).ok();
    }
    // Months and years, by the calendar.
    let span: Span = span.parse().ok().filter(|span: &Span| !span.is_negative())?;
    now.checked_add(sign * span).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::format::rfc3339;

    fn noon() -> Zoned {
        "2026-11-21T12:00:00+01:00[+01:00]".parse().expect("a time")
    }

    #[test]
    fn as_people_type_them() {
        let now = noon();
        let cases = [
            ("now", "2026-11-21T11:00:00"),
            ("10m ago", "2026-11-21T10:50:00"),
            ("2h", "2026-11-21T09:00:00"),
            ("2h ago", "2026-11-21T09:00:00"),
            ("1h30m", "2026-11-21T09:30:00"),
            ("1h30m ago", "2026-11-21T09:30:00"),
            ("1 hour ago", "2026-11-21T10:00:00"),
            ("2 hours ago", "2026-11-21T09:00:00"),
            ("2 days ago", "2026-11-19T11:00:00"),
            ("1 day 2 hours ago", "2026-11-20T09:00:00"),
            ("5min ago", "2026-11-21T10:55:00"),
            ("2 weeks ago", "2026-11-07T11:00:00"),
            ("1w", "2026-11-14T11:00:00"),
            ("-1h", "2026-11-21T10:00:00"),
            ("-1h30m", "2026-11-21T09:30:00"),
            ("-1d", "2026-11-20T11:00:00"),
            ("+1h", "2026-11-21T12:00:00"),
            ("today", "2026-11-20T23:00:00"),
            ("yesterday", "2026-11-19T23:00:00"),
            ("yesterday 23:59", "2026-11-20T22:59:00"),
            ("tomorrow", "2026-11-21T23:00:00"),
            ("10:03", "2026-11-21T09:03:00"),
            ("10:03:07", "2026-11-21T09:03:07"),
            ("02:00:00 ago", "2026-11-21T09:00:00"),
            ("2 months ago", "2026-09-21T11:00:00"),
            ("1month", "2026-10-21T11:00:00"),
            ("1 year ago", "2025-11-21T11:00:00"),
            ("1y", "2025-11-21T11:00:00"),
            ("2026-11-20 10:03:07 UTC", "2026-11-20T10:03:07"),
            ("Fri 2026-11-20 10:03:07 UTC", "2026-11-20T10:03:07"),
            ("Fri 2026-11-20 10:03", "2026-11-20T09:03:00"),
            ("2026-11-20 UTC", "2026-11-20T00:00:00"),
            ("2026-11-20 10:03:07 +01", "2026-11-20T09:03:07"),
            ("2026-11-20 10:03:07 +02:00", "2026-11-20T08:03:07"),
            ("2026-11-20 10:03:07 -0500", "2026-11-20T15:03:07"),
            ("10:03:07 UTC", "2026-11-21T10:03:07"),
            ("Fri 2026-11-20T10:03:07+05:00", "2026-11-20T05:03:07"),
            ("Fri 2026-11-20 10:03:07Z", "2026-11-20T10:03:07"),
            ("Fri, 20 Nov 2026 10:03:07 +0200", "2026-11-20T08:03:07"),
            ("Nov 20 10:03:07", "2026-11-20T09:03:07"),
            ("Nov  2 10:03:07", "2026-11-02T09:03:07"),
            ("Dec 24 10:03:07", "2025-12-24T09:03:07"),
            ("Fri Nov 20 10:03:07 2026", "2026-11-20T09:03:07"),
            ("10:03 utc", "2026-11-21T10:03:00"),
            ("10:03 +02:00", "2026-11-21T08:03:00"),
            ("yesterday 10:03 UTC", "2026-11-20T10:03:00"),
            ("today UTC", "2026-11-21T00:00:00"),
            ("Sat 10:03 UTC", "2026-11-21T10:03:00"),
            ("@1790000000", "2026-09-21T14:13:20"),
            ("@0", "1970-01-01T00:00:00"),
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
        let fraction = parse("@1790000000.25", &now).map(rfc3339);
        assert_eq!(fraction.as_deref(), Ok("2026-09-21T14:13:20.250000000Z"));
    }

    #[test]
    fn what_only_looks_like_a_time_is_none() {
        let now = noon();
        for bad in [
            "",
            "x",
            "10 parsecs ago",
            "25:00",
            "2026-13-01",
            "7",
            "ago",
            "Sat 2026-11-20 10:03",
            "1:2:3",
            "10:3:07",
            "24:00:00",
            "2026-07-01 10:00 CET",
            "Sat",
            "2026-11-20 10:03 XYZ",
            "-2:00",
            "2026-02-30",
            "@",
            "@x",
            "@1.",
            "yesterday noon",
            "yesterday 2026-11-20T10:00",
            "10:03 XYZ",
            "Fri 2026-11-20 10:03:07+05:00 CET",
            "2026-11-20T10:03:07[America/New_York]",
            "10:03 PM",
            "tomorrow noon",
            "Sat Nov 20 10:03:07 2026",
            "10:03 +99:00",
            "UTC",
            "1h ago UTC",
            "@99999999999999999999",
        ] {
            for zone in [now.time_zone().clone(), TimeZone::UTC] {
                assert!(parse(bad, &now.with_time_zone(zone)).is_err(), "{bad}");
            }
        }
        let other = parse("Mon 2026-11-20 10:03", &now).expect_err("another day");
        assert!(other.ends_with(": 2026-11-20 is a Friday"), "{other}");
        let no_day = parse("2026-02-30 10:03", &now).expect_err("no day");
        assert!(no_day.ends_with("there is no such day"), "{no_day}");
    }

    /// What is printed in the hour that comes twice, and in others.
    #[test]
    fn a_zone_is_that_of_its_letters() {
        let now = noon();
        let berlin = now.with_time_zone(TimeZone::get("Europe/Berlin").expect("a zone"));
        let there = now.with_time_zone(TimeZone::UTC);
        let told = parse("2026-11-20 10:03 CET", &there).map(rfc3339);
        assert_eq!(told.as_deref(), Ok("2026-11-20T09:03:00.000000000Z"));
        for (text, utc) in [
            ("2026-10-25 02:30 CEST", "2026-10-25T00:30:00"),
            ("2026-10-25 02:30 CET", "2026-10-25T01:30:00"),
            ("2026-11-20 02:30 Europe/Berlin", "2026-11-20T01:30:00"),
            ("2026-11-20 10:03 EST", "2026-11-20T15:03:00"),
            // It is a day later there.
            ("00:30 Pacific/Auckland", "2026-11-21T11:30:00"),
            ("02:30 cet", "2026-11-21T01:30:00"),
        ] {
            let told = parse(text, &berlin).map(rfc3339);
            assert_eq!(told, Ok(format!("{utc}.000000000Z")), "{text}");
        }
    }

    #[test]
    fn nothing_lies_in_the_future_or_between_ends_that_are_reversed() {
        let now = noon();
        let told = |since, until| range(since, until, &now);
        assert!(told(Some("1h ago"), Some("now")).is_ok());
        assert!(told(None, Some("tomorrow")).is_ok());
        assert!(told(Some("10:03"), Some("10:03")).is_ok());
        let future = told(Some("23:59"), None).expect_err("to come");
        assert!(future.contains("is in the future: 2026-11-21 23:59"), "{future}");
        assert!(future.contains("--since \"yesterday 23:59\""), "{future}");
        let reversed = told(Some("09:00"), Some("08:00")).expect_err("reversed");
        assert!(
            reversed.starts_with("--until lies before --since: 2026-11-21 08:00:00.000 +01 and"),
            "{reversed}"
        );
    }
}
