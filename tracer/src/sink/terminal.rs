//! The terminal, if there is one: its width, whether it shows colours, and a pager in front of it.
use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, IsTerminal as _},
    os::fd::AsFd,
    sync::OnceLock,
};

/// Whether to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Colour {
    /// Where a terminal shows it, and nothing in the environment speaks against it.
    #[default]
    Auto,
    Always,
    Never,
}

/// What was asked for on the command line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Display {
    pub colour: Colour,
    pub no_pager: bool,
}

static DISPLAY: OnceLock<Display> = OnceLock::new();

/// Keeps what was asked for.
pub fn set(display: Display) {
    // Only a second command line would differ.
    let _ = DISPLAY.set(display);
}

/// Whether a pager was not ruled out, and the terminal can do what one needs.
pub fn may_page() -> bool {
    let able = env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    let asked = DISPLAY.get().copied().unwrap_or_default();
    able && !asked.no_pager && io::stdout().is_terminal()
}

/// Whether standard output is one.
pub fn is_one() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard output is to be coloured.
pub fn coloured() -> bool {
    let asked = DISPLAY.get().copied().unwrap_or_default().colour;
    colours(asked, io::stdout().is_terminal(), |name| env::var_os(name))
}

/// https://no-color.org and https://bixense.com/clicolors: what is asked for here comes first.
fn colours(asked: Colour, terminal: bool, env: impl Fn(&str) -> Option<OsString>) -> bool {
    let given = |name: &str| env(name).is_some_and(|value| !value.is_empty());
    let zero = |name: &str| env(name).is_some_and(|value| value == "0");
    match asked {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto if given("NO_COLOR") => false,
        Colour::Auto if given("CLICOLOR_FORCE") && !zero("CLICOLOR_FORCE") => true,
        Colour::Auto => {
            terminal && !zero("CLICOLOR") && env("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// How wide a line may be: as COLUMNS says, else as wide as the terminal, if standard output is one.
pub fn width() -> Option<usize> {
    width_of(io::stdout())
}

/// The same of what is said beside it, on standard error.
pub fn width_beside() -> Option<usize> {
    width_of(io::stderr())
}

fn width_of(stream: impl AsFd) -> Option<usize> {
    /// Narrower ones are taken for that.
    const NARROWEST: usize = 40;
    let asked = env::var("COLUMNS").ok().and_then(|columns| columns.parse::<usize>().ok());
    let own = || {
        let (width, _) = terminal_size::terminal_size_of(&stream)?;
        Some(usize::from(width.0))
    };
    asked.or_else(own).filter(|width| *width != 0).map(|width| width.max(NARROWEST))
}

/// Whether we have rights that who typed this has not: a pager must not hand them on.
pub fn is_elevated() -> bool {
    let (own, effective) = (rustix::process::getuid(), rustix::process::geteuid());
    elevated(own.as_raw(), effective.as_raw(), |name| env::var_os(name))
}

/// By set-user-ID, or as sudo(8), pkexec(1) and doas(1) say.
fn elevated(own: u32, effective: u32, env: impl Fn(&str) -> Option<OsString>) -> bool {
    let other = |name: &str| env(name).is_some_and(|user| user != "0" && user != "root");
    own != effective
        || effective == 0 && ["SUDO_UID", "PKEXEC_UID", "DOAS_USER"].into_iter().any(other)
}

/// What to page with, if anything: `WHYBUS_PAGER`, `PAGER`, or less; none that is not installed, and with somebody else's
/// rights less alone, which can be kept from running anything.
pub fn pager() -> Option<OsString> {
    let asked = || env::var_os("WHYBUS_PAGER").or_else(|| env::var_os("PAGER"));
    let pager = if is_elevated() { None } else { asked() };
    let pager = pager.unwrap_or_else(|| "less".into());
    let path = env::var_os("PATH").unwrap_or_default();
    (pager != "cat" && is_installed(&pager, &path)).then_some(pager)
}

/// Whether the program that a command line begins with is in one of the directories of `path`.
fn is_installed(command: &OsStr, path: &OsStr) -> bool {
    let command = command.to_string_lossy();
    let Some(program) = command.split_whitespace().next() else { return false };
    // A file by its own path is joined to nothing.
    env::split_paths(path).any(|dir| dir.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_has_its_say() {
        let with = |asked, terminal, set: &'static [(&str, &str)]| {
            colours(asked, terminal, |name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            })
        };
        use Colour::{Always, Auto, Never};
        for (asked, terminal, set, coloured) in [
            (Auto, true, &[][..], true),
            (Auto, false, &[], false),
            (Auto, true, &[("TERM", "dumb")], false),
            (Auto, true, &[("TERM", "xterm"), ("NO_COLOR", "1")], false),
            (Auto, true, &[("NO_COLOR", "")], true),
            (Auto, false, &[("CLICOLOR_FORCE", "1")], true),
            (Auto, false, &[("CLICOLOR_FORCE", "0")], false),
            (Auto, true, &[("CLICOLOR", "0")], false),
            (Auto, false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
            (Always, false, &[("NO_COLOR", "1"), ("TERM", "dumb")], true),
            (Never, true, &[("CLICOLOR_FORCE", "1")], false),
        ] {
            assert_eq!(with(asked, terminal, set), coloured, "{asked:?} {terminal} {set:?}");
        }
    }

    #[test]
    fn who_types_sudo_has_no_pager_of_his_own() {
        let with = |own, effective, set: &'static [(&str, &str)]| {
            elevated(own, effective, |name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            })
        };
        assert!(with(0, 0, &[("SUDO_UID", "1000")]) && with(0, 0, &[("DOAS_USER", "ada")]));
        assert!(with(1000, 0, &[]), "set-user-ID");
        assert!(!with(0, 0, &[]) && !with(0, 0, &[("SUDO_UID", "0")]));
        assert!(!with(1000, 1000, &[("SUDO_UID", "0")]), "from root to a user");
    }

    #[test]
    fn a_pager_that_is_not_installed_is_none() {
        let installed =
            |command: &str| is_installed(command.as_ref(), "/nonexistent:/bin".as_ref());
        assert!(installed("sh") && installed("sh -c x") && installed("/bin/sh -x"));
        assert!(
            !installed("no-such-pager -R") && !installed("") && !installed("/bin/no-such-pager")
        );
    }
}
