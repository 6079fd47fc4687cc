//! Numbers for people.
use jiff::{Timestamp, tz::TimeZone};

/// The last name of a path.
pub fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// `75.2 MiB`; bytes exactly below 1 KiB, and where nothing is lost.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let exponent = (bytes.ilog2() / 10).min(6);
    let unit = 1_u64 << (10 * exponent);
    let name = UNITS[exponent as usize - 1];
    if bytes.is_multiple_of(unit) {
        return format!("{} {name}", bytes / unit);
    }
    format!("{:.1} {name}", bytes as f64 / unit as f64)
}

/// `130 ms`, `2.5 s`, `3 h 20 min`: to the nearest of what is shown.
pub fn duration(ns: u64) -> String {
    const US: u64 = 1_000;
    const MS: u64 = 1_000 * US;
    const SECOND: u64 = 1_000 * MS;
    const MINUTE: u64 = 60 * SECOND;
    const DAY: u64 = 1_440 * MINUTE;
    let nearest = |unit: u64| ns / unit + u64::from(ns % unit >= unit.div_ceil(2));
    // What rounds up to one of the next unit is one of that.
    match (nearest(US), nearest(MS), nearest(SECOND / 10), nearest(SECOND), nearest(MINUTE)) {
        _ if ns < US => format!("{ns} ns"),
        (us @ 0..1_000, ..) => format!("{us} µs"),
        (_, ms @ 0..1_000, ..) => format!("{ms} ms"),
        (_, _, tenths @ 0..600, ..) => format!("{}.{} s", tenths / 10, tenths % 10),
        (_, _, _, s @ 0..3_600, _) => format!("{} min {} s", s / 60, s % 60),
        (.., minutes @ 0..2_880) => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} days", nearest(DAY)),
    }
}

/// `1 event`, `3 events`
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// `1,043,461`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i != 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `once`, `twice`, `3 times`
pub fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// Ns since the epoch as RFC 3339 in UTC, with nanoseconds.
pub fn rfc3339(ns: i64) -> String {
    timestamp(ns).to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

/// Ns since the epoch as a time of day with milliseconds.
pub fn clock(ns: i64, zone: &TimeZone) -> String {
    timestamp(ns).to_zoned(zone.clone()).strftime("%H:%M:%S.%3f").to_string()
}

/// Ns since the epoch as a date and a time of day with milliseconds.
pub fn date(ns: i64, zone: &TimeZone) -> String {
    timestamp(ns).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S.%3f").to_string()
}

/// What a zone is called at that time: `UTC`, `CET`, `+03`.
pub fn zone_name(ns: i64, zone: &TimeZone) -> String {
    // A host without a zone counts in UTC.
    if zone.is_unknown() {
        return "UTC".to_owned();
    }
    timestamp(ns).to_zoned(zone.clone()).strftime("%Z").to_string()
}

/// How long ago, in one or two units: `12s`, `4m`, `3h`, `9d`.
pub fn age(ns: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let seconds = ns / 1_000_000_000;
    // As kubectl has it: a unit is used from two of it on.
    let (length, unit) =
        UNITS.into_iter().find(|(length, _)| seconds >= 2 * length).unwrap_or((1, "s"));
    format!("{}{unit}", seconds / length)
}

/// Ns since the epoch of an RFC 3339 time; `None` if it is none, or out of range.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let time: Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

fn timestamp(ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(ns)).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (4096, "4 KiB"),
            (78_852_096, "75.2 MiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn durations() {
        let cases = [
            (999, "999 ns"),
            (1_499, "1 µs"),
            (999_499, "999 µs"),
            (999_500, "1 ms"),
            (1_900_000, "2 ms"),
            (130_000_000, "130 ms"),
            (999_500_000, "1.0 s"),
            (1_949_000_000, "1.9 s"),
            (2_549_000_000, "2.5 s"),
            (59_949_999_999, "59.9 s"),
            (59_950_000_000, "1 min 0 s"),
            (61_600_000_000, "1 min 2 s"),
            (3_599_500_000_000, "1 h 0 min"),
            (12_000_000_000_000, "3 h 20 min"),
            (172_769_000_000_000, "47 h 59 min"),
            (172_770_000_000_000, "2 days"),
            (u64::MAX, "213504 days"),
        ];
        for (ns, text) in cases {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn times() {
        assert_eq!(rfc3339(1_774_087_387_121_456_789), "2026-03-21T10:03:07.121456789Z");
        assert_eq!(clock(1_774_087_387_121_456_789, &TimeZone::UTC), "10:03:07.121");
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
        assert_eq!(zone_name(1_774_087_387_121_456_789, &berlin), "CET");
        assert_eq!(zone_name(1_784_087_387_121_456_789, &berlin), "CEST");
        assert_eq!(zone_name(0, &TimeZone::UTC), "UTC");
        assert_eq!(zone_name(0, &TimeZone::unknown()), "UTC");
    }

    #[test]
    fn long_numbers() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_043_461, "1,043,461")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn ages() {
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_200, "2h"),
            (172_800, "2d"),
            (8_640_000, "100d"),
        ];
        for (seconds, text) in cases {
            assert_eq!(age(seconds * 1_000_000_000), text);
        }
    }
}
