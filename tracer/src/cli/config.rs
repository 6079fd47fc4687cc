//! Settings from a file: a table a verb, a key a flag. They are put before the flags that were typed, so that one place
//! checks both.
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use clap::{
    CommandFactory as _, Parser as _,
    error::{ContextKind, ContextValue, ErrorKind},
};
use rustix::process::geteuid;
use toml::{Table, Value};

use crate::{
    cli::{Cli, hint::hinted},
    error::Failure,
    text::near::nearest,
};

/// Where it is unless told otherwise; there need not be one.
pub const CONFIG: &str = "/etc/whybus.toml";
/// By its group, and by everybody.
const WRITABLE: u32 = 0o022;
/// Bytes that are read of it.
const LARGEST: u64 = 1 << 16;

/// The command line with what the file has for its verb.
///
/// # Errors
/// [`Error::Typed`] where what was typed is wrong, [`Error::File`] where the file is.
pub fn parse(words: impl Iterator<Item = OsString>) -> Result<Cli, Error> {
    let words: Vec<OsString> = words.collect();
    let typed = Cli::try_parse_from(&words).map_err(|error| Error::Typed(hinted(error, &words)))?;
    let command = Cli::command();
    let verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let path = typed.config.as_path();
    let table = read(path).map_err(Error::File)?;
    let wrong = |text: String| Error::File(Failure::usage(format!("{}: {text}", path.display())));
    let mut flags_of = BTreeMap::new();
    // All of them, whichever verb was typed: a slip in the recorder's settings shows before it is started again.
    for (verb, settings) in &table {
        let in_table = |text: String| wrong(format!("[{verb}]{text}"));
        if !verbs.contains(&verb.as_str()) {
            let meant = nearest(verb, &verbs).map(|near| format!("; did you mean [{near}]?"));
            return Err(in_table(format!(" is not a verb of whybus{}", meant.unwrap_or_default())));
        }
        let settings =
            settings.as_table().ok_or_else(|| in_table(": is not a table".to_owned()))?;
        let flags = flags(settings).map_err(|text| in_table(format!(": {text}")))?;
        check(verb, &flags).map_err(|text| in_table(format!(": {text}")))?;
        // Of `false` there is no flag to be checked, but it must be one.
        for (key, _) in settings.iter().filter(|(_, value)| value.as_bool() == Some(false)) {
            let flag = [OsString::from(format!("--{key}"))];
            check(verb, &flag).map_err(|text| in_table(format!(": {text}")))?;
        }
        flags_of.insert(verb.as_str(), flags);
    }
    // The first word that is a verb is the verb: no flag before it takes a value that is one.
    let Some((at, verb)) = words.iter().enumerate().skip(1).find_map(|(at, word)| {
        let verb = word.to_str().filter(|word| verbs.contains(word))?;
        Some((at, verb))
    }) else {
        return Ok(typed);
    };
    let Some(flags) = flags_of.remove(verb) else { return Ok(typed) };
    let all = words[..=at].iter().cloned().chain(flags).chain(words[at + 1..].iter().cloned());
    // What was typed is right by itself.
    Cli::try_parse_from(all).map_err(|error| wrong(format!("[{verb}]: {}", said(&error))))
}

/// Whether a verb takes these flags, but for what has to be typed beside them.
fn check(verb: &str, flags: &[OsString]) -> Result<(), String> {
    let words = ["whybus", verb].map(OsString::from).into_iter().chain(flags.iter().cloned());
    match Cli::try_parse_from(words) {
        Err(error) if error.kind() != ErrorKind::MissingRequiredArgument => Err(said(&error)),
        _ => Ok(()),
    }
}

/// The sentence of an error, with what was meant.
fn said(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let sentence = text.split("\n\n").next().unwrap_or(text).trim();
    match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(flag)) => {
            format!("{sentence}; did you mean `{}`?", flag.trim_start_matches('-'))
        }
        _ => sentence.to_owned(),
    }
}

/// What is wrong, and where.
pub enum Error {
    /// What was typed, or help that was asked for.
    Typed(clap::Error),
    /// What the file says.
    File(anyhow::Error),
}

/// What the file says; nothing where there is none and none was named.
fn read(path: &Path) -> anyhow::Result<Table> {
    let reading = |error| Failure::input(format!("cannot read {}: {error}", path.display()));
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path == Path::new(CONFIG) => {
            return Ok(Table::new());
        }
        file => file.map_err(reading)?,
    };
    let mine = geteuid().as_raw();
    trusted(&file.metadata().map_err(reading)?, mine).map_err(|(why, mend)| {
        let path = path.display();
        Failure::input(format!(
            "{path} {why}, who could have commands run by its settings: `{mend} {path}`"
        ))
    })?;
    let mut text = String::new();
    file.take(LARGEST + 1).read_to_string(&mut text).map_err(reading)?;
    if text.len() as u64 > LARGEST {
        let text = format!("{} is larger than {LARGEST} bytes", path.display());
        return Err(Failure::usage(text));
    }
    text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        Failure::usage(format!("{}, line {line}: {}", path.display(), error.message()))
    })
}

/// Whether nobody but root and `mine` can write to a file; why not, and what mends it. Whose directory it lies in is for who
/// names it.
fn trusted(file: &Metadata, mine: u32) -> Result<(), (String, String)> {
    let (owner, mode) = (file.uid(), file.mode() & 0o7777);
    if owner != 0 && owner != mine {
        return Err((format!("belongs to uid {owner}"), "chown root".to_owned()));
    }
    if mode & WRITABLE != 0 && file.is_file() {
        let who = if mode & 0o002 != 0 { "everybody" } else { "its group" };
        return Err((
            format!("can be written to by {who} (mode {mode:04o})"),
            "chmod go-w".to_owned(),
        ));
    }
    Ok(())
}

/// The flags that settings stand for.
fn flags(settings: &Table) -> Result<Vec<OsString>, String> {
    let mut flags = Vec::new();
    for (key, value) in settings {
        let mut one = |value: &Value| {
            flags.push(match value {
                Value::Boolean(true) => format!("--{key}"),
                Value::Boolean(false) => return Ok(()),
                Value::String(text) => format!("--{key}={text}"),
                Value::Integer(number) => format!("--{key}={number}"),
                _ => {
                    let what = "not a string, a number, a truth, or a list of them";
                    return Err(format!("`{key}` is {what}"));
                }
            });
            Ok(())
        };
        match value {
            Value::Array(values) => values.iter().try_for_each(&mut one)?,
            value => one(value)?,
        }
    }
    Ok(flags.into_iter().map(OsString::from).collect())
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::cli::Verb;

    /// What is asked for with this file and these words, or what is said.
    fn with(file: &str, words: &str) -> Result<Cli, String> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("whybus.toml");
        fs::write(&path, file).expect("room");
        let own = ["whybus".into(), "--config".into(), path.clone().into_os_string()];
        let typed = words.split_whitespace().map(OsString::from);
        parse(own.into_iter().chain(typed)).map_err(|error| match error {
            Error::Typed(error) => error.to_string(),
            Error::File(error) => error.to_string().replace(&path.display().to_string(), "FILE"),
        })
    }

    const FILE: &str =
        "[record]\nkeep = \"30d\"\njournal = true\nnot-comm = [\"grep\", \"curl\"]\n";

    fn recorded(words: &str) -> crate::cli::Record {
        match with(FILE, words).map(|cli| cli.verb) {
            Ok(Verb::Record(record)) => record,
            Ok(_) => panic!("another verb"),
            Err(said) => panic!("{said}"),
        }
    }

    #[test]
    fn a_setting_is_a_flag_and_what_is_typed_wins() {
        let record = recorded("record");
        assert_eq!(record.keep, Duration::from_secs(30 * 86_400));
        assert!(record.journal);
        let excluded = |record: &crate::cli::Record| record.filter.selection().terms.len();
        assert_eq!(excluded(&record), 1);
        let record = recorded("record --keep 1d --not-comm sed");
        assert_eq!(record.keep, Duration::from_secs(86_400));
        assert_eq!(excluded(&record), 1);
        assert!(with(FILE, "list").is_ok());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |file: &str| with(file, "record").err().expect("it is wrong");
        assert_eq!(
            said("[recrod]\n"),
            "FILE: [recrod] is not a verb of whybus; did you mean [record]?"
        );
        let unknown = said("[record]\nkep = \"1d\"\n");
        assert!(unknown.starts_with("FILE: [record]: unexpected argument '--kep'"), "{unknown}");
        assert!(unknown.ends_with("; did you mean `keep`?"), "{unknown}");
        // Whichever verb is typed.
        let other = |file: &str| with(file, "list").err().expect("it is wrong");
        assert_eq!(other("[record]\nkep = \"1d\"\n"), unknown);
        let value = other("[trace]\nduration = \"long\"\n");
        assert!(value.starts_with("FILE: [trace]: invalid value 'long'"), "{value}");
        assert!(with("[show]\nutc = true\n[replay]\nquiet = true\n", "list").is_ok());
        let value = said("[record]\nkeep = \"long\"\n");
        assert!(value.starts_with("FILE: [record]: invalid value 'long' for '--keep"), "{value}");
        let off = said("[record]\nkep = false\n");
        assert!(off.starts_with("FILE: [record]: unexpected argument '--kep'"), "{off}");
        assert!(said("[record]\nkeep = false\n").contains("a value is required"));
        assert!(with("[record]\njournal = false\n", "list").is_ok());
        assert_eq!(said("record = 1\n"), "FILE: [record]: is not a table");
        let odd = said("[record]\nkeep = 1979-05-27\n");
        assert!(odd.contains("`keep` is not a string"), "{odd}");
        let torn = said("[record]\nkeep = \n");
        assert!(torn.starts_with("FILE, line 2: "), "{torn}");
        assert!(said(&" ".repeat(1 << 17)).contains("is larger than 65536 bytes"));
    }

    /// `exec` in it is run as root.
    #[test]
    fn settings_that_others_may_write_are_none() {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("whybus.toml");
        fs::write(&path, FILE).expect("room");
        let said = |mode: u32| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
            let words = ["whybus", "--config", path.to_str().expect("a name"), "list"];
            match parse(words.into_iter().map(OsString::from)) {
                Err(Error::File(error)) => {
                    error.to_string().replace(path.to_str().unwrap_or(""), "FILE")
                }
                Err(Error::Typed(error)) => panic!("{error}"),
                Ok(_) => String::new(),
            }
        };
        assert_eq!((said(0o644), said(0o600)), (String::new(), String::new()));
        assert_eq!(
            said(0o664),
            "FILE can be written to by its group (mode 0664), who could have commands run by its settings: \
             `chmod go-w FILE`"
        );
        assert!(said(0o666).contains("by everybody (mode 0666)"), "{}", said(0o666));
        let (meta, owner) = (fs::metadata(&path).expect("it"), geteuid().as_raw());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("ours");
        let meta = fs::metadata(&path).map(|now| (now, meta.uid())).expect("it");
        assert_eq!((trusted(&meta.0, owner), meta.1), (Ok(()), owner));
        if owner != 0 {
            let (why, mend) = trusted(&meta.0, owner + 1).expect_err("somebody else's");
            assert_eq!((why, mend), (format!("belongs to uid {owner}"), "chown root".to_owned()));
        }
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let words = ["whybus", "--config", "/nonexistent/whybus.toml", "list"];
        let Err(Error::File(error)) = parse(words.into_iter().map(OsString::from)) else {
            panic!("it is not there")
        };
        assert!(error.to_string().starts_with("cannot read /nonexistent/whybus.toml"), "{error}");
    }
}
