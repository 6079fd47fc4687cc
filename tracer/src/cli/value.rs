//! Values of filters as they are typed.
use std::ffi::OsStr;

use clap::{
    Arg, Command, Error, ValueEnum,
    builder::{EnumValueParser, PossibleValue, TypedValueParser},
};

use crate::{host::users, model::signal_name as signals};

/// One of a list with blanks around its commas.
#[derive(Clone)]
pub struct Trimmed<T: ValueEnum + Clone + Send + Sync + 'static>(EnumValueParser<T>);

impl<T: ValueEnum + Clone + Send + Sync + 'static> Trimmed<T> {
    pub fn new() -> Self {
        Self(EnumValueParser::new())
    }
}

impl<T: ValueEnum + Clone + Send + Sync + 'static> TypedValueParser for Trimmed<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        let value = value.to_str().map_or(value, |text| OsStr::new(text.trim()));
        self.0.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

/// At most so many, or all.
pub fn limit(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "not a number; 0 is for all".to_owned())
}

/// So many, and at least one.
pub fn count(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|count| *count != 0)
        .ok_or_else(|| "not a number of 1 or more".to_owned())
}

/// A process or user id.
pub fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number; a name is asked for by --comm"))
}

/// A user by number, or by the name that this host has for it.
pub fn user(text: &str) -> Result<u32, String> {
    if let Ok(uid) = text.parse() {
        return Ok(uid);
    }
    users::uid(text).ok_or_else(|| {
        format!("there is no user `{text}` in /etc/passwd; give the number: id -u {text}")
    })
}

/// A unit as systemd names it; what the column of `list` has in its place is asked for by other filters.
pub fn unit(text: &str) -> Result<String, String> {
    let other = |flag: &str, rest: &str| {
        Err(format!("`{text}` is not a systemd unit; ask for it by --{flag} {rest}"))
    };
    match text.split_once('/') {
        _ if text.is_empty() => Err("a unit has a name; `*` is any".to_owned()),
        None => Ok(text.to_owned()),
        Some(("pod", rest)) => other("pod", rest),
        Some(("slurm", rest)) => other("cgroup", &format!("'*job_{rest}*'")),
        Some((kind, rest)) if !kind.is_empty() && !rest.contains('/') => other("container", rest),
        Some(_) => other("cgroup", text),
    }
}

/// As a shell has it: a status, or 128 and the number of a signal.
pub fn status(text: &str) -> Result<u32, String> {
    if let Ok(number) = text.parse::<i32>() {
        let status = if number < 0 { 128 - number } else { number };
        return u32::try_from(status)
            .ok()
            .filter(|status| *status < 256)
            .ok_or_else(|| format!("`{text}` is not an exit status: 0 to 255, or -1 to -127"));
    }
    signals::parse(text).map(|signal| 128 + signal as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_units() {
        assert_eq!((user("1003"), user("root")), (Ok(1003), Ok(0)));
        assert!(user("no such user").is_err_and(|said| said.contains("id -u")));
        assert_eq!(unit("geo-*.service").as_deref(), Ok("geo-*.service"));
        for (text, flag) in [
            ("pod/geo-7d9f", "--pod geo-7d9f"),
            ("slurm/7", "--cgroup '*job_7*'"),
            ("docker/web", "--container web"),
            ("/system.slice/geo.service", "--cgroup /system.slice/geo.service"),
            ("", "`*` is any"),
        ] {
            assert!(unit(text).is_err_and(|said| said.contains(flag)), "{text}");
        }
    }

    #[test]
    fn statuses() {
        for text in ["135", "-7", "SIGBUS", "bus"] {
            assert_eq!(status(text), Ok(135), "{text}");
        }
        assert_eq!(status("1"), Ok(1));
        for bad in ["256", "-200", "x"] {
            assert!(status(bad).is_err(), "{bad}");
        }
    }
}
