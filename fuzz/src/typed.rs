//! What people type, and what stands in the settings.
use std::io::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use whybus::{
    cli::config,
    select::{
        pattern::{Pattern, Syntax},
        selection, time as times, words,
    },
    text::{near::nearest, parse, secrets},
};

pub fn settings(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("room");
    file.write_all(bytes).expect("room");
    let words =
        ["whybus".into(), "--config".into(), file.path().as_os_str().to_owned(), "record".into()];
    let _ = config::parse(words.into_iter());
}

pub fn time(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let now = Timestamp::from_second(1_790_000_000).expect("a time").to_zoned(TimeZone::UTC);
    let (since, until) = text.split_once('\n').unwrap_or((text, ""));
    let _ = times::parse(since, &now);
    if let Ok((Some(from), Some(to))) = times::range(Some(since), Some(until), &now) {
        assert!(from <= to);
    }
    let _ = (parse::duration(text), parse::bytes(text));
    let _ = whybus::text::format::parse_rfc3339(text);
}

pub fn select(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (pattern, name) = text.split_once('\n').unwrap_or((text, "geo-api"));
    let syntaxes = [
        Syntax::Exact,
        Syntax::Host,
        Syntax::Glob,
        Syntax::Contains,
        Syntax::Below,
        Syntax::Container,
    ];
    for syntax in syntaxes.into_iter().chain([
        Syntax::Pod,
        Syntax::Namespace,
        Syntax::Image,
        Syntax::Class,
        Syntax::Unit,
    ]) {
        let _ = Pattern::new(syntax, pattern).matches(name.as_bytes());
    }
    let _ = (words::meant(text), selection::printed(text), selection::readings(text));
    let _ = nearest(text, &["truncated", "mapped-past-end", "no-space"]);
    if let Ok(asked) = secrets::asked(pattern) {
        let _ = secrets::Secrets::new(false, true, vec![asked]).hide(name.as_bytes());
    }
}
