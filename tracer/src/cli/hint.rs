//! What was meant by a word where only flags are taken: the command that says so.
use std::ffi::OsString;

use clap::{
    Arg, Command, CommandFactory as _, Error,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    cli::Cli,
    select::{selection::printed, words},
    text::escape,
};

/// Verbs that take such filters.
const FILTERED: [&str; 6] = ["trace", "record", "list", "stats", "export", "forget"];

/// The error of `words`, with the commands that may have been meant.
pub fn hinted(mut error: Error, words: &[OsString]) -> Error {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let words: Option<Vec<&str>> = words.iter().skip(1).map(|word| word.to_str()).collect();
    if typed.starts_with('-') {
        let typed = typed.clone();
        return match words.and_then(|words| of_flag(&words, &typed)) {
            Some((tip, usage)) => {
                let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
                error.insert(ContextKind::Suggested, tip);
                // What was like it was named there, too.
                error.remove(ContextKind::SuggestedArg);
                error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
                error
            }
            None => error,
        };
    }
    let tips = words.map(|words| meant(&words, typed)).unwrap_or_default();
    if !tips.is_empty() {
        let tips = tips.into_iter().map(StyledStr::from).collect();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

/// What a flag means that this verb has not, but another, or which is a format to print in; and how the verb is used.
fn of_flag(words: &[&str], typed: &str) -> Option<(String, StyledStr)> {
    let mut command = Cli::command();
    command.build();
    let name = words.iter().find(|word| command.find_subcommand(word).is_some())?;
    let mut verb = command.find_subcommand(name)?.clone();
    let flag = typed.split('=').next().unwrap_or(typed);
    let long = flag.strip_prefix("--")?;
    let output = verb.get_arguments().find(|arg| arg.get_id() == "output");
    let formats = output.map(Arg::get_possible_values).unwrap_or_default();
    let usage = verb.render_usage();
    if formats.iter().any(|format| format.get_name() == long) {
        return Some((format!("use `-o {long}`"), usage));
    }
    let own = verb.get_arguments().any(|arg| arg.get_long() == Some(long));
    if own {
        let tip = match words.contains(&"--") {
            true => format!("what stands behind `--` is not a flag: put `{flag}` before it"),
            false => format!("put `{flag}` behind the verb: `whybus {name} {flag} …`"),
        };
        return Some((tip, usage));
    }
    let has = |verb: &&Command| {
        !verb.is_hide_set() && verb.get_arguments().any(|arg| arg.get_long() == Some(long))
    };
    let others: Vec<String> = command
        .get_subcommands()
        .filter(has)
        .map(|verb| format!("`{}`", verb.get_name()))
        .collect();
    let others = match others.as_slice() {
        [] => return None,
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    };
    Some((format!("`{flag}` is a flag of {others}, not of `{name}`"), usage))
}

fn meant(words: &[&str], typed: &str) -> Vec<String> {
    let verb = words.iter().find(|word| FILTERED.contains(word));
    let Some((verb, at)) = verb.zip(words.iter().rposition(|word| *word == typed)) else {
        return Vec::new();
    };
    let command = |words: &mut dyn Iterator<Item = String>| {
        format!("`whybus {}`", words.collect::<Vec<_>>().join(" "))
    };
    let quoted = |words: &[&str]| words.iter().map(|one| escape::typed(one)).collect::<Vec<_>>();
    // What is named is not all.
    let kept = |words: &[&'_ str]| -> Vec<String> {
        quoted(words).into_iter().filter(|word| word != "--all").collect()
    };
    let (before, after) = (kept(&words[..at]), kept(&words[at + 1..]));
    let line = before.into_iter().chain([filter(typed)]).chain(after);
    let alone = format!("{} asks for that alone", command(&mut line.into_iter()));
    let is_pid = typed.parse::<u32>().is_ok();
    match *verb {
        "trace" if !is_pid => {
            let rest = quoted(&words[at..]).into_iter();
            let mut run = quoted(&words[..at]).into_iter().chain(["--".to_owned()]).chain(rest);
            let run = format!("{} runs that, and watches it", command(&mut run));
            // Who types more means a command.
            if at + 1 == words.len() { vec![alone, run] } else { vec![run] }
        }
        "list" | "stats" => {
            let typed = filter_of(typed).unwrap_or_else(|| escape::typed(typed));
            vec![
                alone,
                format!("`whybus why {typed}{}` shows how it ended", kept_by_why(words, at)),
            ]
        }
        _ => vec![alone],
    }
}

/// What was typed, but for the word itself, that `why` takes as well: filters, times, the history. Not how to print.
fn kept_by_why(words: &[&str], at: usize) -> String {
    let command = Cli::command();
    let of = |verb: &str, word: &str| -> Option<Arg> {
        let (long, letter) = (word.strip_prefix("--"), word.strip_prefix('-'));
        let long = long.and_then(|long| long.split('=').next());
        let is = |arg: &&Arg| match long {
            Some(long) => arg.get_long() == Some(long),
            None => letter.is_some_and(|letter| {
                letter.chars().next().is_some_and(|letter| arg.get_short() == Some(letter))
            }),
        };
        command.find_subcommand(verb)?.get_arguments().find(is).cloned()
    };
    let mut kept = String::new();
    let mut rest = words.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, word)| *word);
    while let Some(typed) = rest.next() {
        let known =
            of("why", typed).filter(|arg| arg.get_id() != "output" && arg.get_id() != "limit");
        let Some(arg) = known.clone().or_else(|| of("list", typed)).or_else(|| of("stats", typed))
        else {
            continue;
        };
        let joined = typed.contains('=') || !typed.starts_with("--") && typed.len() > 2;
        let value = if arg.get_action().takes_values() && !joined { rest.next() } else { None };
        for part in [Some(typed), value].into_iter().flatten().filter(|_| known.is_some()) {
            kept.push(' ');
            kept.push_str(&escape::typed(part));
        }
    }
    kept
}

/// The filter for a word that means a signal or a class. A number is rather a pid.
fn filter_of(typed: &str) -> Option<String> {
    let meant = words::meant(typed).into_iter().next().map(|(filter, _)| filter);
    meant.filter(|_| typed.parse::<u32>().is_err())
}

/// The filter for what looks so.
fn filter(typed: &str) -> String {
    const UNITS: [&str; 4] = [".service", ".scope", ".slice", ".timer"];
    if let Some(meant) = filter_of(typed) {
        return meant;
    }
    let flag = match (typed, printed(typed)) {
        (_, Some((name, pid))) => return format!("{} --pid {pid}", escape::asked("comm", name)),
        (text, _) if text.parse::<u32>().is_ok() => "pid",
        (text, _) if text.starts_with('/') => "path",
        (text, _) if UNITS.iter().any(|ending| text.ends_with(ending)) => "unit",
        _ => "comm",
    };
    escape::asked(flag, typed)
}
