//! The one place where bytes of unknown origin become text a terminal may see.
use std::ops::Range;

/// Makes `bytes` inert: control, format and direction characters, backslashes and whatever is not
/// UTF-8 come out as `\n`, `\xNN` or `\u{NNNN}`; the rest stays as it is.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                c if (c as u32) < 0x80 && c.is_control() => {
                    out.push_str(&format!("\\x{:02x}", c as u32));
                }
                c if c.is_control() || acts(c) => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Whether nothing in it acts on a terminal.
pub fn inert(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || acts(c))
}

/// A word of our own, or the name of a host: what was read of an import, or a history, is escaped already.
pub fn label(text: &str) -> String {
    if inert(text) { text.to_owned() } else { escape(text.as_bytes()) }
}

/// As much of what is printed so as stands for at most so many bytes: what is no escape stands for itself.
pub fn start_of_printed(text: &str, most: usize) -> &str {
    let mut at = 0;
    let mut left = most;
    while let Some(first) = text[at..].chars().next() {
        let own = (first.len_utf8(), first.len_utf8());
        let (bytes, taken) = escape_at(&text[at..]).unwrap_or(own);
        if bytes > left {
            break;
        }
        (at, left) = (at + taken, left - bytes);
    }
    &text[..at]
}

/// What stands for how many bytes at the start of a text that [`escape`] printed, and its own length.
pub fn escape_at(text: &str) -> Option<(usize, usize)> {
    let escape = text.strip_prefix('\\')?;
    match escape.chars().next()? {
        '\\' | 'n' | 't' | 'r' => Some((1, 2)),
        'x' => u8::from_str_radix(escape.get(1..3)?, 16).ok().map(|_| (1, 4)),
        'u' => {
            let (digits, _) = escape.get(1..)?.strip_prefix('{')?.split_once('}')?;
            let letter = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
            Some((letter.len_utf8(), digits.len() + 4))
        }
        _ => None,
    }
}

/// The letters that stand for one that is escaped (`\n`, `\x1b`, `\u{202e}`), if `at` lies within them.
pub fn escaped_at(text: &str, at: usize) -> Option<Range<usize>> {
    /// Of a backslash, four letters in braces and more.
    const LONGEST: usize = 10;
    let mut from = 0;
    while let Some(start) = text[from..at].find('\\').map(|found| from + found) {
        let rest = &text[start + 1..];
        let long = match rest.as_bytes().first() {
            Some(b'x') => 4,
            Some(b'u') if rest.starts_with("u{") => rest.find('}').map_or(2, |end| end + 2),
            _ => 2,
        };
        let end = (start + long.min(LONGEST)).min(text.len());
        if end > at {
            return text.is_char_boundary(end).then_some(start..end);
        }
        from = end.max(start + 1);
        if !text.is_char_boundary(from) {
            return None;
        }
    }
    None
}

/// The name of a host, if it has one: Linux calls one that was given none `(none)` (CONFIG_DEFAULT_HOSTNAME).
pub fn named(host: &str) -> Option<String> {
    Some(label(host)).filter(|name| !name.is_empty() && name != "(none)")
}

/// Stands for the name of a process that has none: prctl(2) takes an empty one.
pub const NO_NAME: &str = "(no name)";

/// What a process is called, so that no hole is left in a sentence.
pub fn process_name(comm: &[u8]) -> String {
    match comm {
        [] => NO_NAME.to_owned(),
        blank if blank.iter().all(|byte| *byte == b' ') => word(blank),
        name => escape(name),
    }
}

/// Stands for what is not known, or has no name, in a table.
pub const UNKNOWN: &str = "-";

/// What a host is called in a table, where it is asked for by that, too.
pub fn host_word(host: &str) -> String {
    named(host).unwrap_or_else(|| UNKNOWN.to_owned())
}

/// What a host is called in a sentence.
pub fn host_phrase(host: &str) -> String {
    named(host).unwrap_or_else(|| "a host without a name".to_owned())
}

/// Characters that print nothing, or act on what stands around them: separators, joiners, direction overrides, tags, fillers
/// (Unicode's Default_Ignorable_Code_Point, categories Zl and Zp, and the dangerous part of Cf).
fn acts(c: char) -> bool {
    matches!(c as u32,
        0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
        | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb
        | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
}

/// A command line as a shell would take it, as far as `escape` leaves it.
pub fn command(args: &[Vec<u8>]) -> String {
    // Whoever writes over its arguments with a title leaves the rest of them empty: redis-server, sshd, postgres.
    let full = args.iter().rposition(|arg| !arg.is_empty()).map_or(0, |last| last + 1);
    let args = if args.len() - full > 1 { &args[..full.max(1)] } else { args };
    let words: Vec<String> = args.iter().map(|arg| word(arg)).collect();
    words.join(" ")
}

/// One word of it, that was typed, or is of our own: no shell takes a backslash in quotes for more than that.
pub fn typed(text: &str) -> String {
    if inert(text) { word_of(text) } else { word(text.as_bytes()) }
}

/// A flag with its value; one that begins with a dash would be taken for a flag.
pub fn asked(flag: &str, value: &str) -> String {
    let sign = if value.starts_with('-') { "=" } else { " " };
    format!("--{flag}{sign}{}", typed(value))
}

/// One word of it. What would act on a terminal, or is no text, stands in the quotes that a shell reads such letters in.
pub fn word(arg: &[u8]) -> String {
    let text = escape(arg);
    if text.contains('\\') {
        return format!("$'{}'", quoted(arg));
    }
    word_of(&text)
}

fn word_of(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-+=./:,@%^".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// As it stands between `$'` and `'`: bash(1) and zsh(1) have no `\u{202e}`.
fn quoted(arg: &[u8]) -> String {
    let mut out = String::new();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    for chunk in arg.utf8_chunks() {
        for c in chunk.valid().chars() {
            let one = escape(c.encode_utf8(&mut [0; 4]).as_bytes());
            match c {
                // Where `$` before a quote means nothing, as in dash(1), `\'` would end it.
                '\'' => out.push_str("\\x27"),
                _ if one.starts_with("\\u") => {
                    out.push_str(&hex(c.encode_utf8(&mut [0; 4]).as_bytes()))
                }
                _ => out.push_str(&one),
            }
        }
        out.push_str(&hex(chunk.invalid()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// To dash(1) it is a `$` and a text in plain quotes.
    #[test]
    fn no_shell_sees_the_end_of_a_word_within_it() {
        for name in [&b"\n';reboot #"[..], b"\x1b'\\'$(reboot)'", b"'\xff'"] {
            let word = word(name);
            let inside = word.strip_prefix("$'").and_then(|rest| rest.strip_suffix('\''));
            assert!(inside.is_some_and(|inside| !inside.contains('\'')), "{word}");
        }
    }

    #[test]
    fn what_is_escaped_is_not_escaped_again() {
        let once = label("node\x1b[2J");
        assert_eq!((&*once, &*label(&once)), ("node\\x1b[2J", "node\\x1b[2J"));
        assert_eq!(label("db-7"), "db-7");
        assert_eq!((named("db-7"), named("(none)")), (Some("db-7".to_owned()), None));
    }

    #[test]
    fn what_is_printed_is_as_long_as_what_it_stands_for() {
        for name in ["a\x1b[2J\n\\", "\u{202e}gpj\t\r", "caf\u{e9}", ""] {
            let printed = escape(name.as_bytes());
            assert_eq!(start_of_printed(&printed, name.len()), printed, "{name:?}");
            let shorter = start_of_printed(&printed, name.len().saturating_sub(1));
            assert_eq!(shorter.len() < printed.len(), !name.is_empty(), "{name:?}");
        }
        assert_eq!(start_of_printed("\\xffa", 1), "\\xff");
        assert_eq!(start_of_printed("ab\\u{202e}c", 4), "ab");
        for other in ["\\", "a\\", "\\q", "\\x9", "\\u{", "\\u{d800}", "\\x\u{e9}a"] {
            assert_eq!(start_of_printed(other, other.len()), other);
            assert!(start_of_printed(other, other.len() - 1).len() < other.len(), "{other}");
        }
    }

    #[test]
    fn what_a_title_left_of_the_arguments_is_not_shown() {
        let shown = |args: &[&str]| {
            command(&args.iter().map(|arg| arg.as_bytes().to_vec()).collect::<Vec<_>>())
        };
        assert_eq!(shown(&["redis-server *:6379", "", "", ""]), "'redis-server *:6379'");
        assert_eq!(shown(&["grep", "-c", "", "f"]), "grep -c '' f");
        assert_eq!(shown(&["grep", ""]), "grep ''", "one may have been given");
        assert_eq!((shown(&["", "", ""]), shown(&[])), ("''".to_owned(), String::new()));
    }

    #[test]
    fn terminals_are_safe() {
        let hostile = "a\x1b[2J\n\u{9b}31m\u{202e}gpj.exe\u{feff}\\".as_bytes();
        assert_eq!(escape(hostile), "a\\x1b[2J\\n\\u{9b}31m\\u{202e}gpj.exe\\u{feff}\\\\");
        assert_eq!(escape(b"caf\xc3\xa9 \xff\xfe"), "café \\xff\\xfe");
    }

    /// Two names that look alike would be taken for one.
    #[test]
    fn what_cannot_be_seen_is_shown() {
        let ranges = [
            0x80..=0x9f,
            0x200b..=0x200f,
            0x2028..=0x202e,
            0x2060..=0x206f,
            0xfe00..=0xfe0f,
            0xfeff..=0xfeff,
            0x34f..=0x34f,
            0x3164..=0x3164,
            0xe0100..=0xe01ef,
        ];
        for c in ranges.into_iter().flatten().filter_map(char::from_u32) {
            let name = format!("a{c}b");
            assert!(!inert(&name), "U+{:04X}", c as u32);
            assert_eq!(escape(name.as_bytes()), format!("a\\u{{{:x}}}b", c as u32));
        }
        assert_eq!(escape("é 日本 🦀 λ".as_bytes()), "é 日本 🦀 λ");
    }

    #[test]
    fn every_byte_comes_out_printable() {
        for a in 0..=255_u8 {
            for b in [0, b'a', 0x80, 0xc2, 0xff] {
                let text = escape(&[a, b]);
                assert!(!text.chars().any(char::is_control), "{a:02x} {b:02x}: {text:?}");
            }
        }
    }

    #[test]
    fn words_are_quoted_where_needed() {
        let args: Vec<Vec<u8>> = ["cp", "a b", "", "it's", "x;y"].map(|a| a.into()).into();
        assert_eq!(command(&args), r"cp 'a b' '' 'it'\''s' 'x;y'");
        // Whatever it is, a shell gets it back.
        for arg in
            [&b"a\x1b[2J"[..], b"it's\n", b"\\", b"caf\xc3\xa9 \xff1", "\u{202e}gpj".as_bytes()]
        {
            let shown = word(arg);
            assert!(shown.starts_with("$'") && inert(&shown), "{shown}");
            let mut shell = std::process::Command::new("bash");
            let out = shell.args(["-c", &format!("printf %s {shown}")]).output().expect("bash");
            assert_eq!(out.stdout, arg, "{shown}");
        }
    }
}
