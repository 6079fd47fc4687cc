//! What of a command line nobody is to read: passwords, tokens, keys. Hidden before anything keeps or prints
//! it, so that no stream, history, journal or export has it. Pure.
mod name;
#[cfg(test)]
mod tests;
mod words;

use std::{ops::Range, sync::LazyLock};

use regex::bytes::{Captures, Regex, RegexBuilder};

use name::{NAME, is_harmless};

/// What stands in the place of a secret.
pub const HIDDEN: &[u8] = b"***";

/// What is hidden wherever it stands: in each, the group `secret`, and the group `name` that it belongs to.
static ANYWHERE: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // Authorization: Bearer …, up to the quote of a script.
        r#"(?:^|[\x00\s"'=]|-H)(?P<name>(?:proxy-)?authorization|(?:set-)?cookie|[\w-]*(?:token|api-?key|secret)[\w-]*):[ \t]+(?P<secret>[^\x00"']+)"#.to_owned(),
        // {"password": "…"}, also within a string.
        format!(r#""(?P<name>{NAME})\\?"\s*:\s*\\?"(?P<secret>(?:\\[^\x00]|[^"\\\x00])+)"#),
        // ?access_token=…, Server=x;Password=…; but not `; PWD=…` of a script.
        format!(r#"(?:[?&,;{{\s"'](?P<name>{NAME})|;pwd)=(?P<secret>[^\s\x00"'&;,|)]+)"#),
        // password: …
        format!(r#"(?:^|[\x00\s"'{{,])(?P<name>{NAME}):[ \t]+(?P<secret>[^\s\x00"',}}]+)"#),
        // scheme://user:…@host, also with a `/` in it, which is not to be; but not a port.
        r"[a-z][a-z0-9+.-]*://[^/\s\x00:@]*:(?P<secret>[^/\s\x00]+)@".to_owned(),
        r"[a-z][a-z0-9+.-]*://[^/\s\x00:@]*:(?P<secret>[^/@\s\x00]*[^/@\s\x00\d][^@\s\x00]*)@".to_owned(),
        r"[a-z][a-z0-9+.-]*://(?P<secret>[\w-]{20,})@".to_owned(),
        // What is signed for whoever holds it.
        r#"[?&](?:sig|[\w.-]*signature|key|code)=(?P<secret>[^&\s\x00"']+)"#.to_owned(),
        r#"hooks\.slack\.com/(?:services|workflows)/(?P<secret>[^\s\x00"']+)"#.to_owned(),
        r#"api\.telegram\.org/bot(?P<secret>[^/\s\x00"']+)"#.to_owned(),
        r#"(?:^|[\x00\s"'])pass:(?P<secret>[^\s\x00"']+)"#.to_owned(),
        // Tokens that are known by their form.
        r"(?:^|[^a-z0-9_])(?P<secret>(?-i:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeposr]-[\w-]{10,}|sk[-_][\w-]{20,}|AIza[\w-]{30,}|hvs\.[\w-]{20,}|npm_\w{30,}|dckr_pat_[\w-]{20,}|eyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]*)?))".to_owned(),
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?P<secret>[^\x00]+)".to_owned(),
    ]
    .iter()
    .filter_map(|pattern| compiled(pattern).ok())
    .collect()
});

/// A pattern for command lines: bytes, in any case.
///
/// # Errors
/// Where it is none.
fn compiled(pattern: &str) -> Result<Regex, regex::Error> {
    let mut builder = RegexBuilder::new(pattern);
    // Hostile lines must not fill the memory of a recorder.
    builder
        .case_insensitive(true)
        .unicode(false)
        .size_limit(1 << 20)
        .dfa_size_limit(1 << 17)
        .build()
}

/// A pattern that somebody asked for.
///
/// # Errors
/// Where it is none, or finds something in nothing.
pub fn asked(pattern: &str) -> Result<Regex, String> {
    let regex = compiled(pattern).map_err(|error| error.to_string())?;
    if regex.is_match(b"") {
        return Err("the pattern matches the empty string".to_owned());
    }
    Ok(regex)
}

/// What is kept of command lines.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// Only the first word: the program.
    program_alone: bool,
    /// What is known to be secret stays.
    shown: bool,
    /// More that is hidden: the group `secret`, or all of it.
    more: Vec<Regex>,
}

impl Secrets {
    pub fn new(program_alone: bool, shown: bool, more: Vec<Regex>) -> Self {
        Self { program_alone, shown, more }
    }

    /// A command line (arguments separated by NUL) without its secrets; `None` if it has none.
    pub fn hide(&self, line: &[u8]) -> Option<Vec<u8>> {
        if self.program_alone {
            let program = line.split(|byte| [b'\0', b' '].contains(byte)).next()?;
            return (program.len() < line.len()).then(|| program.to_vec());
        }
        let mut found = Vec::new();
        if !self.shown {
            found = words::secrets(line);
            ANYWHERE.iter().for_each(|pattern| {
                found.extend(pattern.captures_iter(line).filter(names_a_secret).map(secret));
            });
        }
        self.more.iter().for_each(|pattern| found.extend(pattern.captures_iter(line).map(secret)));
        let without = without(line, found);
        (without != line).then_some(without)
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::new(false, false, Vec::new())
    }
}

fn names_a_secret(found: &Captures<'_>) -> bool {
    found.name("name").is_none_or(|name| !is_harmless(name.as_bytes()))
}

/// The part of a match that is secret, or all of it.
fn secret(found: Captures<'_>) -> Range<usize> {
    found.name("secret").unwrap_or_else(|| found.get_match()).range()
}

/// A line without these pieces of it, which may overlap.
fn without(line: &[u8], mut found: Vec<Range<usize>>) -> Vec<u8> {
    found.retain(|range| !range.is_empty());
    found.sort_by_key(|range| range.start);
    let (mut out, mut at) = (Vec::with_capacity(line.len()), 0);
    for range in found {
        if range.start >= at {
            out.extend_from_slice(&line[at..range.start]);
            out.extend_from_slice(HIDDEN);
        }
        at = at.max(range.end);
    }
    out.extend_from_slice(&line[at.min(line.len())..]);
    out
}
