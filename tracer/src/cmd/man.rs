//! `whybus man`: the manual pages, made from the command line itself.
use anyhow::Result;
use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::{
    cli::{Cli, Manual},
    cmd::exit_status::ExitStatus,
    error::Failure,
    sink::speak::put,
    text::near::meant,
};

/// # Errors
/// Where there is no such verb, or nobody reads.
pub fn run(args: &Manual) -> Result<ExitStatus> {
    // Fills in what each verb has from the whole.
    let mut whole = Cli::command();
    whole.build();
    let page = match &args.verb {
        None => whole,
        Some(verb) => {
            let verbs = || whole.get_subcommands().filter(|verb| !verb.is_hide_set());
            let Some(found) = verbs().find(|known| known.get_name() == verb) else {
                let names: Vec<&str> = verbs().map(clap::Command::get_name).collect();
                let near = meant(verb, &names);
                return Err(Failure::usage(format!(
                    "there is no verb `{verb}`{near}\nverbs: {}",
                    names.join(", ")
                )));
            };
            // Only the whole command has a version.
            let version = env!("CARGO_PKG_VERSION");
            found.clone().name(format!("whybus-{verb}")).version(version)
        }
    };
    let mut roff = Vec::new();
    let source = format!("whybus {}", env!("CARGO_PKG_VERSION"));
    Man::new(page).source(source).manual("whybus manual").render(&mut roff)?;
    put(&roff)?;
    Ok(ExitStatus::Done)
}
