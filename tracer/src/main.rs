//! whybus: why did this process get a bus error? Parses, calls, turns errors into exit statuses.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

use std::process::ExitCode;

use whybus::{
    cli::{self, config},
    cmd::{self, exit_status},
    parse::parser,
    sink,
};

fn main() -> ExitCode {
    // Before anything is read: it is to have nothing.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == parser::VERB) {
        return ExitCode::from(u8::from(parser::run().is_err()));
    }
    // A reader that goes away ends us in the writer, with success, not by a signal.
    let cli = match config::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(config::Error::Typed(error)) => return exit_status::usage(&error).into(),
        Err(config::Error::File(error)) => return exit_status::report(&error).into(),
    };
    sink::terminal::set(cli.display.asked());
    sink::stdout::offer_with(cli.flags());
    let done = match cli.verb {
        cli::Verb::Trace(args) => cmd::trace::run(&args),
        cli::Verb::Record(args) => cmd::record::run(&args),
        cli::Verb::Why(args) => cmd::why::run(&args),
        cli::Verb::List(args) => cmd::list::run(&args),
        cli::Verb::Show(args) => cmd::show::run(&args),
        cli::Verb::Stats(args) => cmd::stats::run(&args),
        cli::Verb::Export(args) => cmd::export::run(&args),
        cli::Verb::Import(args) => cmd::import::run(&args),
        cli::Verb::Forget(args) => cmd::forget::run(&args),
        cli::Verb::Replay(args) => cmd::replay::run(&args),
        cli::Verb::Scan(args) => cmd::scan::run(&args),
        cli::Verb::Demo => cmd::demo::run(),
        cli::Verb::Doctor(args) => cmd::doctor::run(&args),
        cli::Verb::Status(args) => cmd::status::run(&args),
        cli::Verb::Schema => cmd::schema::run(),
        cli::Verb::Completion(args) => cmd::completion::run(&args),
        cli::Verb::Man(args) => cmd::man::run(&args),
        cli::Verb::DemoVictim { file } => cmd::demo::victim(&file),
    };
    let status = done.unwrap_or_else(|error| exit_status::report(&error));
    sink::speak::all_said();
    status.into()
}
