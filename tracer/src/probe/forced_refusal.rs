//! For tests only: forms that are refused as some kernels refuse them.
use std::io;

use crate::probe::{form::Form, refusal::ENOTSUPP};

/// Names the forms that are refused, with commas between them.
const VARIABLE: &str = "WHYBUS_REFUSE";

/// What is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    trampolines: bool,
    kprobes: bool,
}

impl Refused {
    /// As the environment says.
    pub fn by_environment() -> Self {
        std::env::var(VARIABLE).map_or_else(|_| Self::default(), |words| Self::parse(&words))
    }

    fn parse(words: &str) -> Self {
        let has = |word| words.split(',').any(|name| name.trim() == word);
        Self { trampolines: has("trampolines"), kprobes: has("kprobes") }
    }

    /// What the kernel would answer to somebody who attaches a program of this form.
    pub fn answer(self, form: Form) -> Option<io::Error> {
        let errno = match form {
            Form::Fentry(_) | Form::Fexit(_) if self.trampolines => ENOTSUPP,
            Form::Kprobe(_) | Form::Kretprobe(_) if self.kprobes => libc::EOPNOTSUPP,
            _ => return None,
        };
        Some(io::Error::from_raw_os_error(errno))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_what_is_refused() {
        let kprobe = Form::Kprobe("f");
        let both = Refused::parse("trampolines,kprobes");
        assert_eq!(both, Refused { trampolines: true, kprobes: true });
        assert!(both.answer(kprobe).is_some());
        let one = Refused::parse("trampolines");
        assert!(one.answer(kprobe).is_none());
        assert_eq!(one.answer(Form::Fexit("f")).unwrap().raw_os_error(), Some(ENOTSUPP));
        assert!(one.answer(Form::TpBtf("t")).is_none());
        assert_eq!(Refused::parse(""), Refused::default());
    }
}
