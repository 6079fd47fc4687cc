//! The negative of every filter: `--not-comm grep`. Made from the table, so that none is forgotten.
use std::sync::LazyLock;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use crate::{
    cli::value::{number, status, unit, user},
    select::{
        field::{FILTERS, Field, Filter, Reads},
        selection::Term,
    },
};

/// What is not asked for.
#[derive(Default)]
pub struct Not {
    terms: Vec<Term>,
}

impl Not {
    /// A term a filter that was given.
    pub fn terms(&self) -> impl Iterator<Item = Term> + '_ {
        self.terms.iter().cloned()
    }

    fn of(filter: &Filter, matches: &ArgMatches) -> Option<Term> {
        let id = id(filter);
        let term = match filter.reads {
            Reads::Numbers(_) => {
                let numbers: Vec<u32> = matches.get_many(id)?.copied().collect();
                Term::of_numbers(filter.field, &numbers)
            }
            Reads::Names(..) => {
                let names: Vec<String> = matches.get_many(id)?.cloned().collect();
                Term::of_names(filter.field, &names)
            }
        };
        Some(term.negated())
    }
}

fn id(filter: &Filter) -> &'static str {
    static IDS: LazyLock<Vec<String>> =
        LazyLock::new(|| FILTERS.iter().map(|filter| format!("not-{}", filter.flag)).collect());
    &IDS[filter.field as usize]
}

impl Args for Not {
    fn augment_args(command: Command) -> Command {
        FILTERS.iter().fold(command, |command, filter| {
            let arg = Arg::new(id(filter)).long(id(filter)).action(ArgAction::Append);
            let arg = match (filter.field, filter.reads) {
                (Field::Exit, _) => arg.value_parser(status).allow_hyphen_values(true),
                (Field::Uid, _) => arg.value_parser(user),
                (Field::Unit, _) => arg.value_parser(unit),
                (Field::Class, _) => arg.value_delimiter(',').value_parser(value_parser!(String)),
                (_, Reads::Numbers(_)) => arg.value_parser(number),
                (_, Reads::Names(..)) => arg.value_parser(value_parser!(String)),
            };
            // One stands for all.
            let shown = filter.field == Field::Comm;
            let help = "Not these: every filter has such a negative (--not-class, --not-path, --not-uid, ...)";
            command.arg(arg.value_name("VALUE").hide(!shown).help(help))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Not {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { terms: FILTERS.iter().filter_map(|filter| Self::of(filter, matches)).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Verb};

    #[test]
    fn every_filter_has_a_negative() {
        for filter in &FILTERS {
            let flag = format!("--{}", id(filter));
            for verb in ["list", "trace"] {
                let parsed = Cli::try_parse_from(["whybus", verb, &flag, "7", &flag, "8"]);
                let terms = match parsed.map(|cli| cli.verb) {
                    Ok(Verb::List(list)) => list.select.selection().expect("no times").terms,
                    Ok(Verb::Trace(trace)) => trace.filter.selection().terms,
                    _ => panic!("{verb} {flag}"),
                };
                let [term] = terms.as_slice() else { panic!("{verb} {flag}") };
                assert!(term.not && term.filter.field == filter.field, "{verb} {flag}");
                assert_eq!(term.typed(), term.typed().replace("135", "7"), "{flag}");
            }
        }
    }
}
