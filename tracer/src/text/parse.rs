//! Sizes and durations as people type them. Pure.
use std::time::Duration;

use jiff::{SpanRelativeTo, fmt::friendly::SpanParser};

/// Longer ones are mistakes: ten years, in seconds.
const LONGEST: u64 = 10 * 366 * 86_400;

/// `500M`, `2GiB`, or bytes; at least a MiB.
///
/// # Errors
/// Where it is no size, or out of range.
pub fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KIB" => 10,
        "M" | "MIB" => 20,
        "G" | "GIB" => 30,
        "T" | "TIB" => 40,
        _ => return Err(format!("`{unit}` is not a unit of size: use K, M, G or T")),
    };
    let number: u64 =
        digits.parse().map_err(|_| format!("`{text}` is not a size: try 500M or 2G"))?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| *bytes >= 1 << 20);
    bytes.ok_or_else(|| format!("`{text}` is out of range: at least 1M"))
}

/// `90`, `90s`, `1.5m`, `1h30m`, `2 days`: seconds unless it says otherwise; a day has 24 hours.
///
/// # Errors
/// Where it is no duration, none at all, or longer than ten years.
pub fn duration(text: &str) -> Result<Duration, String> {
    let found = match simple(text) {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(error) => Some(friendly(text).ok_or(error)?),
    };
    found
        .filter(|duration| !duration.is_zero() && duration.as_secs() < LONGEST)
        .ok_or_else(|| format!("`{text}` is out of range"))
}

/// One number and one unit, in seconds. Also fractions of days, which jiff does not take.
fn simple(text: &str) -> Result<f64, String> {
    let bad = || format!("`{text}` is not a duration: try 30s, 5m, 1h30m, 2 days or 1w");
    let (digits, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return Err(bad()),
    };
    Ok(digits.parse::<f64>().map_err(|_| bad())? * factor)
}

/// Several numbers and units. Months and years have no length.
fn friendly(text: &str) -> Option<Duration> {
    let span = SpanParser::new().parse_span(text).ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(duration).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [
            ("90", 90_000),
            ("1.5m", 90_000),
            ("1.5d", 129_600_000),
            ("1.5w", 907_200_000),
            ("200ms", 200),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("2 hours", 7_200_000),
            ("1 day 2 hours", 93_600_000),
            ("1w", 604_800_000),
        ];
        for (text, ms) in cases {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in [
            "",
            "m",
            "-1s",
            "1y",
            "NaN",
            "inf",
            "0",
            "1e300h",
            "1h ago",
            "1 parsec",
            "1h30",
            "2mo",
            "20000 weeks",
            "0h0m",
            "99999999999999999999 hours",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes("500M"), Ok(500 << 20));
        assert_eq!(bytes("2GiB"), Ok(2 << 30));
        for bad in ["", "M", "-1M", "5Q", "10K", "99999999T"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
