//! Values of filters as they are typed.
use crate::model::signal_name as signals;

/// A process or user id.
pub fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number; a name is asked for by --comm"))
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
