//! Secrets by where they stand among the words of a command: `--password X`, `PGPASSWORD=X`, `mysql -pX`.
use std::ops::Range;

use crate::text::secrets::name::is_secret;

/// How a program takes a secret.
#[derive(Clone, Copy)]
enum How {
    /// Behind the flag's letter, in the same word.
    Attached(u8),
    /// There, or in the next word.
    Short(u8),
    /// The same, if a `login` came before.
    Login(u8),
    /// Behind one of these bytes, in the same word as the flag of this letter or in the next: `-u me:X`.
    Pair(u8, &'static [u8]),
    /// The same behind a long flag.
    LongPair(&'static str, &'static [u8]),
    /// Behind the word that names it.
    Named,
}

/// Programs by the beginning of their names.
const PROGRAMS: [(&str, How); 33] = [
    ("mysql", How::Attached(b'p')),
    ("mariadb", How::Attached(b'p')),
    ("7z", How::Attached(b'p')),
    ("sshpass", How::Short(b'p')),
    ("redis-cli", How::Short(b'a')),
    ("valkey-cli", How::Short(b'a')),
    ("ldap", How::Short(b'w')),
    ("mongo", How::Short(b'p')),
    ("sqlcmd", How::Short(b'P')),
    ("isql", How::Short(b'P')),
    ("zip", How::Short(b'P')),
    ("ipmitool", How::Short(b'P')),
    ("docker", How::Login(b'p')),
    ("podman", How::Login(b'p')),
    ("nerdctl", How::Login(b'p')),
    ("helm", How::Login(b'p')),
    ("skopeo", How::Login(b'p')),
    ("oras", How::Login(b'p')),
    ("buildah", How::Login(b'p')),
    ("crane", How::Login(b'p')),
    ("az", How::Login(b'p')),
    ("curl", How::Pair(b'u', b":")),
    ("curl", How::Pair(b'U', b":")),
    ("curl", How::Pair(b'b', b"=")),
    ("curl", How::LongPair("--user", b":")),
    ("curl", How::LongPair("--proxy-user", b":")),
    ("lftp", How::Pair(b'u', b",")),
    ("http", How::Pair(b'a', b":")),
    ("http", How::LongPair("--auth", b":")),
    ("smbclient", How::Pair(b'U', b"%")),
    ("rpcclient", How::Pair(b'U', b"%")),
    ("net", How::Pair(b'U', b"%")),
    ("aws", How::Named),
];

/// Where secrets are in a command line (arguments separated by NUL), and in the scripts among its arguments.
pub fn secrets(line: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let arguments = arguments(line);
    of_command(line, &arguments, &mut found);
    for argument in arguments {
        if line[argument.clone()].iter().any(|byte| byte.is_ascii_whitespace()) {
            // Once more as if nothing were quoted: there are scripts within scripts, and apostrophes.
            let unquoted = commands(line, argument.clone(), false);
            for command in commands(line, argument, true).into_iter().chain(unquoted) {
                of_command(line, &command, &mut found);
            }
        }
    }
    found
}

fn arguments(line: &[u8]) -> Vec<Range<usize>> {
    let mut from = 0;
    let piece = |piece: &[u8]| {
        let range = from..from + piece.len();
        from = range.end + 1;
        range
    };
    line.split(|byte| *byte == 0).map(piece).collect()
}

/// The words of each command of a script. With `quotes` what is quoted is one word, without its quotes if they are around all
/// of it; else quotes only part words.
fn commands(line: &[u8], script: Range<usize>, quotes: bool) -> Vec<Vec<Range<usize>>> {
    let (mut all, mut words) = (Vec::new(), Vec::new());
    let (mut from, mut quote) = (script.start, None);
    let end = |words: &mut Vec<Range<usize>>, from: usize, to: usize| {
        if from < to {
            words.push(unquoted(line, from..to));
        }
    };
    for at in script.clone() {
        match (line[at], quote) {
            (byte, Some(open)) if byte == open => quote = None,
            (_, Some(_)) => {}
            (byte @ (b'"' | b'\''), None) if quotes => quote = Some(byte),
            (byte, None) if byte.is_ascii_whitespace() || b";|&()`\"'".contains(&byte) => {
                end(&mut words, from, at);
                from = at + 1;
                if !matches!(byte, b' ' | b'\t' | b'"' | b'\'') {
                    all.push(std::mem::take(&mut words));
                }
            }
            _ => {}
        }
    }
    end(&mut words, from, script.end);
    all.push(words);
    all
}

fn unquoted(line: &[u8], word: Range<usize>) -> Range<usize> {
    match &line[word.clone()] {
        [first @ (b'"' | b'\''), .., last] if first == last => word.start + 1..word.end - 1,
        [b'"' | b'\'', ..] => word.start + 1..word.end,
        _ => word,
    }
}

fn of_command(line: &[u8], words: &[Range<usize>], found: &mut Vec<Range<usize>>) {
    // Which of them the words name: an argument may look like a program.
    let mut named = [false; PROGRAMS.len()];
    let mut login = false;
    for (at, range) in words.iter().enumerate() {
        let word = &line[range.clone()];
        let next = words.get(at + 1).cloned();
        let before = at.checked_sub(1).map_or(&b""[..], |before| &line[words[before].clone()]);
        if takes_script(before)
            && !word.starts_with(b"-")
            && word.iter().any(u8::is_ascii_whitespace)
        {
            // Its words are examined by themselves.
        } else if let Some(equals) = word.iter().position(|byte| *byte == b'=') {
            let name = word[..equals].trim_ascii_start();
            let name = name.strip_prefix(b"-D").unwrap_or(name);
            // $PWD is the working directory.
            let directory = name.eq_ignore_ascii_case(b"pwd");
            if !directory && name.iter().all(is_of_name) && is_secret(dashless(name)) {
                found.push(unquoted(line, range.start + equals + 1..range.end));
            }
        } else if word.starts_with(b"-") && is_secret(dashless(word)) {
            // What looks like a long flag is one: this one takes no value.
            found.extend(next.clone().filter(|next| !line[next.clone()].starts_with(b"--")));
        }
        let rules = PROGRAMS.iter().zip(named).filter(|(_, named)| *named);
        rules.for_each(|((_, how), _)| {
            found.extend(of_flag(line, range, next.clone(), *how, login));
        });
        login |= word == b"login";
        for (named, (program, _)) in named.iter_mut().zip(PROGRAMS) {
            *named |= runs(word, at == 0, program);
        }
    }
}

/// Whether a word runs a program. `find /var/lib/mysql` does not.
fn runs(word: &[u8], first: bool, program: &str) -> bool {
    /// All others may have more behind it, as `mysqldump`.
    const WHOLE: [&str; 5] = ["net", "az", "zip", "http", "aws"];
    let slash = word.iter().rposition(|byte| *byte == b'/');
    let (dir, name) = word.split_at(slash.map_or(0, |slash| slash + 1));
    let Some(rest) = name.strip_prefix(program.as_bytes()) else { return false };
    let is_path = !first && !dir.is_empty() && !dir.ends_with(b"bin/");
    let whole = rest.is_empty() || program == "http" && rest == b"s";
    !is_path && (whole || !WHOLE.contains(&program))
}

/// Whether the argument behind this one may be a script: `-c`, `-ec`.
fn takes_script(flag: &[u8]) -> bool {
    let letters = flag.strip_prefix(b"-").and_then(|letters| letters.strip_suffix(b"c"));
    letters.is_some_and(|letters| letters.iter().all(u8::is_ascii_lowercase))
}

fn is_of_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-".contains(byte)
}

fn dashless(word: &[u8]) -> &[u8] {
    let dashes = word.iter().take_while(|byte| **byte == b'-').count();
    &word[dashes..]
}

/// The secret that one flag of a program has.
fn of_flag(
    line: &[u8],
    range: &Range<usize>,
    next: Option<Range<usize>>,
    how: How,
    login: bool,
) -> Option<Range<usize>> {
    let word = &line[range.clone()];
    // The letter may end some that take nothing: `-su me:X`.
    let short = |letter: u8| {
        let letters = word.strip_prefix(b"-").filter(|letters| !letters.starts_with(b"-"))?;
        let at = letters.iter().position(|byte| *byte == letter)?;
        let plain = letters[..at].iter().all(u8::is_ascii_alphabetic);
        plain.then_some((at, range.start + at + 2..range.end))
    };
    let behind = |value: Range<usize>, marks: &[u8]| {
        let mark = line[value.clone()].iter().position(|byte| marks.contains(byte))?;
        Some(value.start + mark + 1..value.end)
    };
    let found = match how {
        How::Attached(letter) => short(letter).filter(|(at, _)| *at == 0)?.1,
        How::Short(letter) => {
            let (at, rest) = short(letter)?;
            if rest.is_empty() { next? } else { Some(rest).filter(|_| at == 0)? }
        }
        How::Login(letter) => {
            let (at, rest) = short(letter).filter(|_| login)?;
            if rest.is_empty() { next? } else { Some(rest).filter(|_| at == 0)? }
        }
        How::Pair(letter, marks) => {
            let (_, rest) = short(letter)?;
            behind(if rest.is_empty() { next? } else { rest }, marks)?
        }
        How::LongPair(flag, marks) if word == flag.as_bytes() => behind(next?, marks)?,
        How::LongPair(flag, marks) => {
            word.strip_prefix(flag.as_bytes()).filter(|rest| rest.starts_with(b"="))?;
            behind(range.start + flag.len() + 1..range.end, marks)?
        }
        // `aws_secret_access_key`; neither `secretsmanager` nor a file called `secret`.
        How::Named => {
            next.filter(|_| !word.starts_with(b"-") && word.contains(&b'_') && is_secret(word))?
        }
    };
    Some(found)
}
