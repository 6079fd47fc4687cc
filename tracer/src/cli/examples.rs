//! Examples at the end of each verb's `--help`: a line what for, and what to type.

pub const TRACE: &str = "\
Examples:
  everything, until Ctrl-C
    sudo whybus trace
  one service, and who writes over its files
    sudo whybus trace --comm 'geo-*' --path /srv/geo
  all deaths, but for those of grep
    sudo whybus trace --signals all --exits lasting --not-comm grep
  a program and its children, for five minutes at most
    sudo whybus trace -d 5m -- ./server --port 8080
  one line each, into a log
    sudo whybus trace -o oneline --quiet";

pub const RECORD: &str = "\
Examples:
  as packaging/whybus.service does
    sudo whybus record --journal
  two weeks, half a GiB, and only where bus errors can be explained
    sudo whybus record --keep 2w --keep-size 500M --require bus-errors
  each incident to a chat that takes JSON
    sudo whybus record --exec 'curl -sS --max-time 5 --json @- https://chat.example.org/hook'";

pub const WHY: &str = "\
Examples:
  a process, a unit, a file, an incident
    whybus why geo-api
    whybus why geo-api.service
    whybus why /srv/geo/GeoIP2.mmdb
    whybus why 019b0000-07cf
  everything that ended by SIGBUS in the last two hours
    whybus why --exit SIGBUS --since '2h ago'
  for a ticket
    whybus why geo-api -o markdown";

pub const LIST: &str = "\
Examples:
  what happened today, without a class of noise
    whybus list --since today --not-class exited
  goes on with what is recorded
    whybus list -f -n 10
  some columns, for a script
    whybus list --no-header --columns id,victim,cause --sort victim
  who maps a file that was shrunk
    whybus list --warnings --path /srv/geo
  everything, for jq
    whybus list -n 0 -o json";

pub const SHOW: &str = "\
Examples:
  the beginning of an id is enough
    whybus show 019b0000-07cf
    whybus show 019b0000-07cf -o json
  lines of the source, by debug files that were copied here
    whybus show 019b0000-07cf --symbolize --debug-dir ./debug";

pub const STATS: &str = "\
Examples:
  everything of the last week
    whybus stats --since 1w
  one table, all of it
    whybus stats --by culprit -n 0
  of one service
    whybus stats --by cause --unit geo-api";

pub const EXPORT: &str = "\
Examples:
  to another host
    whybus export >host.json
  what happened yesterday
    whybus export --since yesterday --until today";

pub const IMPORT: &str = "\
Examples:
  from another host
    sudo whybus import host.json
  into a history of one's own
    whybus import host.json --state-dir ./incident-42";

pub const FORGET: &str = "\
Examples:
  what has a password among its arguments; stop the recorder first
    sudo whybus forget --comm backup --since 2026-11-01
  how many that would be
    whybus forget --comm backup --since 2026-11-01 --dry-run";

pub const REPLAY: &str = "\
Examples:
  what was saved by `whybus trace --save run.stream`
    whybus replay run.stream
  of one victim, as JSON
    whybus replay run.stream --comm geo-api -o json
  of one minute
    whybus replay run.stream --since '2026-11-21 10:03' --until '2026-11-21 10:04'";

pub const SCAN: &str = "\
Examples:
  all processes of this host
    sudo whybus scan
  for a check: 0 nothing found, 1 findings, 75 not everything could be read
    sudo whybus scan -o json";

pub const DOCTOR: &str = "\
Examples:
  what can be detected here, and what stands in the way
    sudo whybus doctor
  for a check: 0 READY, 75 DEGRADED, 69 NOT READY
    sudo whybus doctor -o json";

pub const STATUS: &str = "\
Examples:
  whether it records, since when, what it lost
    whybus status
  in a health check: one line; 0 where it runs and is READY, else 1, 66 (no history), 69 or 75
    whybus status -o oneline
  for a dashboard
    whybus status -o json";

pub const COMPLETION: &str = "\
Examples:
  bash, for all users
    whybus completion bash >/usr/share/bash-completion/completions/whybus
  zsh, fish
    whybus completion zsh >/usr/share/zsh/vendor-completions/_whybus
    whybus completion fish >~/.config/fish/completions/whybus.fish";

pub const MAN: &str = "\
Examples:
  read it
    whybus man why | man -l -
  install them
    whybus man >/usr/share/man/man1/whybus.1
    whybus man why >/usr/share/man/man1/whybus-why.1";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use crate::cli::Cli;

    /// As a shell takes them apart.
    fn words(line: &str) -> Vec<String> {
        let line = line.split(['>', '|']).next().unwrap_or(line);
        let parts = line.split('\'').enumerate();
        let mut words: Vec<String> = Vec::new();
        for (i, part) in parts {
            match i % 2 {
                1 => words.push(part.to_owned()),
                _ => words.extend(part.split_whitespace().map(str::to_owned)),
            }
        }
        words
    }

    #[test]
    fn every_example_can_be_typed() {
        let mut tried = 0;
        for verb in Cli::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let Some(help) = verb.get_after_long_help() else {
                let alone = ["demo", "schema"];
                assert!(alone.contains(&verb.get_name()), "{} has no examples", verb.get_name());
                continue;
            };
            for line in help.to_string().lines().filter(|line| line.starts_with("    ")) {
                let words = words(line.trim().trim_start_matches("sudo "));
                assert_eq!(words.get(1).map(String::as_str), Some(verb.get_name()), "{line}");
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("{line}: {error}");
                }
                tried += 1;
            }
        }
        assert!(tried > 20, "{tried}");
    }
}
