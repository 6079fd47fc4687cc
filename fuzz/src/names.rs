//! Names and paths that somebody else made up.
use whybus::{
    model::{cgroup, container},
    text::{demangle as demangled, escape, secrets::Secrets},
};

use crate::history::printed;

/// A cgroup's path: whatever is told of it stands in it (systemd puts a `_` before names that the kernel might have, and writes
/// `-` of a machine's name as `\x2d`).
pub fn cgroup(path: &[u8]) {
    let text = String::from_utf8_lossy(path).into_owned();
    if let Some(found) = container::container(path) {
        let copied = container::copied(&text);
        let stands =
            [&*copied, &*text, &*text.replace("\\x2d", "-")].iter().any(|t| t.contains(&*found.id));
        assert!(stands, "{text:?}: {}", found.id);
    }
    let _ = (container::subject(path), container::pod(path));
    if let Some(place) = container::place(path) {
        assert!(path.starts_with(place));
    }
    let parts = [
        cgroup::unit(path),
        cgroup::unit_of_limits(path),
        cgroup::service(path).map(str::as_bytes),
    ];
    for part in parts.into_iter().flatten() {
        assert!(
            path.split(|byte| *byte == b'/')
                .any(|name| name == part || name.strip_prefix(b"_") == Some(part)),
            "{text:?}"
        );
    }
    let _ = (cgroup::is_of_user(path), cgroup::slice_of_user(path), whybus::model::job::job(path));
}

/// The bytes that `escape` made such a text of.
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let (kind, behind) = after.split_at(1);
        rest = behind;
        match kind {
            "x" => {
                out.push(u8::from_str_radix(&rest[..2], 16).expect("two digits"));
                rest = &rest[2..];
            }
            "u" => {
                let (digits, behind) = rest[1..].split_once('}').expect("an end");
                let number = u32::from_str_radix(digits, 16).expect("digits");
                let c = char::from_u32(number).expect("a character");
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = behind;
            }
            other => out.push(match other {
                "n" => b'\n',
                "t" => b'\t',
                "r" => b'\r',
                "\\" => b'\\',
                _ => panic!("`\\{other}` in {text:?}"),
            }),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// What is escaped acts on no terminal, and two names never look alike.
pub fn escape(bytes: &[u8]) {
    let text = escape::escape(bytes);
    printed(text.as_bytes());
    assert!(!text.contains('\n'));
    assert_eq!(unescaped(&text), bytes);
    let words: Vec<Vec<u8>> = bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    printed(escape::command(&words).as_bytes());
}

pub fn demangle(symbol: &[u8]) {
    let name = demangled::name(symbol);
    assert!(name.len() <= symbol.len().max(4 << 10), "{} bytes", name.len());
}

/// What a secret looks like here. No word of a line that is made up holds it.
const SECRET: &str = "hUnTeR2xYz9";
/// Where a secret may stand, as docs/redaction.md promises; `\0` is between arguments, `$` the secret.
const PLACES: [&str; 22] = [
    "--db-password\0$",
    "--token=$",
    "PGPASSWORD=$",
    "-Dkey.password=$",
    "{\"secret\": \"$\"}",
    "https://h/?access_token=$",
    "-H\0Authorization: Bearer $",
    "-H\0Cookie: $",
    "https://me:$@host/",
    "https://h/?sig=$",
    "https://h/?key=$",
    "ghp_$$$$",
    "mysql\0-p$",
    "sshpass\0-p\0$",
    "redis-cli\0-a\0$",
    "curl\0-u\0me:$",
    "ldapsearch\0-w\0$",
    "docker\0login\0-p\0$",
    "smbclient\0-U\0me%$",
    "mongosh\0-p\0$",
    "sqlcmd\0-P\0$",
    "db_pass=$",
];

/// A command line loses the secret that is put into it, whatever stands behind it.
pub fn secrets(bytes: &[u8]) {
    let policy = Secrets::default();
    let _ = policy.hide(bytes);
    if bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()) {
        // As a plain argument nobody knows it.
        return;
    }
    let Some((first, rest)) = bytes.split_first() else { return };
    let place = PLACES[usize::from(*first) % PLACES.len()];
    // A program's own flags count from its name on: what is before is another's.
    let (before, after) = rest.split_at(rest.len() / 2);
    let planted = place.replace('$', SECRET);
    let line = [planted.as_bytes(), b"\0", after, b"\0", before].concat();
    let hidden = policy.hide(&line).unwrap_or(line);
    let left = String::from_utf8_lossy(&hidden);
    assert!(!left.contains(SECRET), "{left:?}");
}
