//! What of a command line nobody is to read: passwords, tokens, keys. Hidden before anything keeps or prints
//! it, so that no stream, history, journal or export has it. Pure.
use std::sync::LazyLock;

use regex::bytes::{Captures, Regex, RegexBuilder};

/// What stands in the place of a secret.
const HIDDEN: &[u8] = b"***";

/// Names whose values are secret, in any case: as flags, variables, properties, query parameters, JSON keys.
const NAME: &str = r"(?:[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|account[_-]?key|signing[_-]?key|encryption[_-]?key|credential|authorization|set-cookie)[\w.-]*|(?:[\w.-]*[_.-])?(?:pass|requirepass|masterauth|psk|cookie)|[\w.-]*[_.-]pwd)";
/// Endings of names that only say where a secret is, or how many there are.
const NO_SECRETS: [&[u8]; 10] =
    [b"file", b"path", b"dir", b"url", b"uri", b"name", b"tokens", b"length", b"type", b"pwd_cmd"];

/// What is hidden by default: in each, the group `secret`, and the group `name` that it belongs to.
static DEFAULTS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let headers = r"(?P<name>(?:proxy-)?authorization|(?:set-)?cookie|[\w-]*(?:token|api-?key|secret)[\w-]*)\s*:\s*";
    let word = |flag: &str| format!(r#"{flag}[\x00\s]*["']?(?P<secret>[^\x00\s"']+)"#);
    // The words of one command, up to a flag of it: no further than that of the next one in a script.
    let of = |programs: &str, flag: &str| {
        word(&format!(
            r#"(?:^|[\x00\s/"';|&(])(?:{programs})(?:[\x00\s]+[^\x00\s;|&]+)*?[\x00\s]+{flag}"#
        ))
    };
    [
        // -H 'Authorization: Bearer …': the whole argument, in a script up to the quote.
        format!(r#"{headers}(?P<secret>[^\x00"']+)"#),
        // --password=…, PGPASSWORD=…, -Dkey.password=…, "password": "…", ?access_token=…
        format!(r#"(?P<name>{NAME})\\?["']?\s*[=:]\s*(?:\\?"(?P<secret>[^"\x00]+)|'(?P<quoted>[^'\x00]+)|(?P<plain>[^\s\x00"'&;,|)]+))"#),
        // --password …: the next argument, or the next word of a script.
        format!(r#"(?:^|[\x00\s"'])-{{1,2}}(?P<name>{NAME}|pwd)(?:\x00(?P<secret>[^\x00]+)|[ \t]+["']?(?P<plain>[^\s\x00"';|&]+))"#),
        // scheme://user:…@host, also with a `/` in it, which is not to be; but not a port.
        r"[a-z][a-z0-9+.-]*://[^/\s\x00:@]*:(?P<secret>[^/\s\x00]+)@".to_owned(),
        r"[a-z][a-z0-9+.-]*://[^/\s\x00:@]*:(?P<secret>[^/@\s\x00]*[^/@\s\x00\d][^@\s\x00]*)@".to_owned(),
        // What is signed for whoever holds it.
        r#"[?&](?:sig|[\w.-]*signature|key|code)=(?P<secret>[^&\s\x00"']+)"#.to_owned(),
        // Secrets that can be told by their looks.
        r"(?:^|[^a-z0-9_])(?P<secret>(?-i:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeposr]-[\w-]{10,}|sk[-_][\w-]{20,}|AIza[\w-]{30,}|hvs\.[\w-]{20,}|npm_\w{30,}|dckr_pat_[\w-]{20,}|eyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]*)?))".to_owned(),
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?P<secret>[^\x00]+)".to_owned(),
        // Programs with short flags for it.
        of("mysql|mysqladmin|mysqldump|mysqlimport|mysqlshow|mariadb[a-z-]*", "-p"),
        of("sshpass", "-p"),
        of("redis-cli|valkey-cli", "-a"),
        of("ldap[a-z]+", "-w"),
        of("(?:docker|podman|helm|crane|oras|skopeo|buildah|nerdctl)[\\x00\\s]+(?:registry[\\x00\\s]+)?login", "-p"),
        of("curl|wget|http|https|aria2c|lftp", r"(?:-u|-U|--user|--proxy-user)[\x00\s=]*[^\x00\s:]*:"),
        of("smbclient|rpcclient|net|mount\\.cifs", r"-U[\x00\s]*[^\x00\s%]*%"),
        of("openssl", r"-[a-z]+[\x00\s]+pass:"),
        of("mongo|mongosh|mongodump|mongorestore|mongoexport|mongoimport", "-p"),
        of("psql|sqlcmd|isql|impala-shell", "-P"),
    ]
    .iter()
    .filter_map(|pattern| compiled(pattern).ok())
    .collect()
});

/// A pattern for command lines: bytes, in any case.
///
/// # Errors
/// Where it is none.
pub fn compiled(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).case_insensitive(true).unicode(false).size_limit(1 << 20).build()
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
        let defaults = if self.shown { &[][..] } else { DEFAULTS.as_slice() };
        let mut hidden = None;
        for pattern in defaults.iter().chain(&self.more) {
            let line = hidden.as_deref().unwrap_or(line);
            if let std::borrow::Cow::Owned(without) = pattern.replace_all(line, without) {
                hidden = (without != line).then_some(without).or(hidden);
            }
        }
        hidden
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::new(false, false, Vec::new())
    }
}

/// A match without its secret.
fn without(found: &Captures<'_>) -> Vec<u8> {
    let whole = found.get_match();
    let name = found.name("name").map(|name| name.as_bytes().to_ascii_lowercase());
    if name.is_some_and(|name| NO_SECRETS.iter().any(|end| name.ends_with(end))) {
        return whole.as_bytes().to_vec();
    }
    let groups = ["secret", "quoted", "plain"];
    let Some(secret) = groups.into_iter().find_map(|group| found.name(group)) else {
        return HIDDEN.to_vec();
    };
    let (from, to) = (secret.start() - whole.start(), secret.end() - whole.start());
    [&whole.as_bytes()[..from], HIDDEN, &whole.as_bytes()[to..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is typed, with `␀` between arguments.
    fn hidden(line: &str) -> String {
        let line = line.replace('␀', "\0");
        let told = Secrets::default().hide(line.as_bytes()).unwrap_or(line.into_bytes());
        String::from_utf8(told).expect("text").replace('\0', "␀")
    }

    #[test]
    fn every_default_is_a_pattern() {
        assert_eq!(DEFAULTS.len(), 18);
    }

    /// Names whose values are secret.
    const NAMES: [&str; 22] = [
        "password",
        "passwd",
        "db-password",
        "DB_PASSWORD",
        "PGPASSWORD",
        "MYSQL_PWD",
        "token",
        "auth-token",
        "GITHUB_TOKEN",
        "api-key",
        "apikey",
        "API_KEY",
        "secret",
        "client_secret",
        "AWS_SECRET_ACCESS_KEY",
        "SECRET_KEY_BASE",
        "private-key",
        "passphrase",
        "pass",
        "http-pass",
        "requirepass",
        "credentials",
    ];
    /// How such a value is given.
    const FORMS: [&str; 10] = [
        "app␀--NAME=SECRET",
        "app␀--NAME␀SECRET␀-v",
        "app␀-NAME␀SECRET",
        "sh␀-c␀NAME=SECRET exec app",
        "env␀NAME=SECRET␀app",
        "sh␀-c␀app --NAME SECRET --more",
        "sh␀-c␀app --NAME='SECRET' x",
        "app␀-Dmy.NAME=SECRET",
        "curl␀-d␀{\"NAME\": \"SECRET\"}␀http://x",
        "curl␀http://x/?a=b&NAME=SECRET&c=d",
    ];
    /// Other ways.
    const OTHERS: [&str; 23] = [
        "curl␀-H␀Authorization: Bearer SECRET",
        "curl␀-H␀Cookie: session=SECRET",
        "curl␀-H␀X-Api-Key: SECRET␀x",
        "sh␀-c␀curl -H \"Authorization: Basic SECRET\" x",
        "curl␀-u␀me:SECRET␀x",
        "curl␀--user␀me:SECRET␀x",
        "curl␀--user=me:SECRET␀x",
        "git␀clone␀https://me:SECRET@host/x",
        "psql␀postgres://me:SECRET@host/x",
        "mysql␀-ume␀-pSECRET␀db",
        "/usr/bin/mysqldump␀-u␀me␀-pSECRET",
        "sh␀-c␀mysql -u me -pSECRET db",
        "sshpass␀-p␀SECRET␀ssh␀host",
        "sshpass␀-pSECRET␀ssh␀host",
        "redis-cli␀-a␀SECRET␀ping",
        "ldapsearch␀-D␀me␀-w␀SECRET",
        "docker␀login␀-u␀me␀-p␀SECRET",
        "smbclient␀-U␀me%SECRET",
        "openssl␀enc␀-pass␀pass:SECRET",
        "mongosh␀-u␀me␀-p␀SECRET",
        "az␀https://x/y?sv=1&sig=SECRET&z",
        "app␀--config={\"token\":\"SECRET\"}",
        "app␀PASSWORD: SECRET",
    ];
    /// Told by their looks.
    const LOOKS: [&str; 5] = [
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "glpat-0123456789abcdefghij",
        "xoxb-0123456789-abcdefghij",
        "sk_live_0123456789abcdefghijklmn",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF-123",
    ];

    /// More than 200, in every way to write them that is known of.
    #[test]
    fn no_secret_is_left() {
        let gone = |line: &str, secret: &str| {
            let told = hidden(line);
            assert!(!told.contains(secret) && told.contains("***"), "{line} -> {told}");
        };
        for (at, name) in NAMES.iter().enumerate() {
            for form in FORMS {
                // Of the form first: there are names with that word.
                let line = form.replace("SECRET", &format!("s3cr3t{at}Zq")).replace("NAME", name);
                gone(&line, "s3cr3t");
            }
        }
        OTHERS.iter().for_each(|line| gone(&line.replace("SECRET", "s3cr3tZq/+="), "s3cr3t"));
        for secret in LOOKS {
            assert_eq!(hidden(&format!("app␀{secret}␀-v")), "app␀***␀-v");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for line in [
            "cp␀new.db␀live.db",
            "java␀-cp␀/srv/app.jar␀com.example.Main",
            "rsync␀-a␀--inplace␀/a␀/b",
            "app␀--password-file=/run/secrets/x",
            "app␀--token-path␀/run/token",
            "llm␀--max-tokens=512",
            "sh␀-c␀cd \"$PWD\"; PWD=/tmp x",
            "grep␀-p␀mysql",
            "truncate␀-s␀0␀/var/log/passwords.log",
            "ssh␀-p␀2222␀host",
            "mkdir␀-p␀/srv/x",
            "tar␀-C␀/srv␀--exclude=secrets␀-xf␀a.tar",
            "http://host:8080/x",
            "postgres: writer process",
            "",
        ] {
            assert_eq!(hidden(line), line);
        }
    }

    #[test]
    fn the_rest_of_a_line_stays() {
        assert_eq!(
            hidden("app␀--db-password␀x1␀--db=live␀--token=y2␀-v"),
            "app␀--db-password␀***␀--db=live␀--token=***␀-v"
        );
        assert_eq!(
            hidden("sh␀-c␀mysql -pabc db < x; cp -p a b"),
            "sh␀-c␀mysql -p*** db < x; cp -p a b"
        );
    }

    #[test]
    fn hidden_twice_is_hidden_once() {
        let once = hidden("curl␀-u␀me:x␀-H␀Authorization: Bearer y␀https://me:z@h/?token=q");
        assert_eq!(hidden(&once), once);
    }

    #[test]
    fn what_is_asked_for_is_hidden_and_nothing_if_so_asked() {
        let own = compiled(r"--customer (?P<secret>\d+)").expect("a pattern");
        let all = compiled("acme-[a-z]+").expect("a pattern");
        let secrets = Secrets::new(false, true, vec![own, all]);
        let told = secrets.hide(b"sh\0-c\0x --customer 42 acme-corp --password=p");
        assert_eq!(told.as_deref(), Some(&b"sh\0-c\0x --customer *** *** --password=p"[..]));
        assert_eq!(secrets.hide(b"app\0--password=p"), None);
        let alone = Secrets::new(true, false, Vec::new());
        assert_eq!(alone.hide(b"app\0--password=p").as_deref(), Some(&b"app"[..]));
        assert_eq!(alone.hide(b"app"), None);
    }

    /// Bytes of any kind take time by their length, and no more.
    #[test]
    fn hostile_lines_end() {
        let secrets = Secrets::default();
        for piece in [&b"--password "[..], b"mysql -p", b"\xff\0-", b"://a:", b"curl -u :::"] {
            let line: Vec<u8> = piece.iter().copied().cycle().take(16 << 10).collect();
            let started = std::time::Instant::now();
            let _ = secrets.hide(&line);
            assert!(started.elapsed() < std::time::Duration::from_secs(5));
        }
    }
}
