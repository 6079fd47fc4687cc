//! Names of functions as people wrote them: compilers of C++ and Rust put types into the symbol's name.
use std::fmt::{self, Write};

use cpp_demangle::{BorrowedSymbol, DemangleOptions, ParseOptions};

/// Longer names tell less than the symbol: a short one may stand for megabytes of types.
const LONGEST: usize = 4_096;

/// Longer symbols are not looked into, in bytes.
const MANGLED: usize = 1_024;
/// How deep types may lie in one another: cpp_demangle reads template arguments twice in each conversion operator around
/// them, so that each level doubles the time.
const DEPTH: u32 = 48;

/// The name of a function in its language, without types of arguments; the symbol as it is if that cannot be told.
pub fn name(symbol: &[u8]) -> Vec<u8> {
    if symbol.len() > MANGLED {
        return symbol.to_vec();
    }
    rust(symbol).or_else(|| cpp(symbol)).map_or_else(|| symbol.to_vec(), String::into_bytes)
}

fn rust(symbol: &[u8]) -> Option<String> {
    let symbol = std::str::from_utf8(symbol).ok()?;
    let name = rustc_demangle::try_demangle(symbol).ok()?;
    let mut short = Short(String::new());
    // The alternate form leaves the hash out.
    write!(short, "{name:#}").ok()?;
    Some(short.0)
}

fn cpp(symbol: &[u8]) -> Option<String> {
    if !symbol.starts_with(b"_Z") {
        return None;
    }
    let options = ParseOptions::default().recursion_limit(DEPTH);
    let parsed = BorrowedSymbol::new_with_options(symbol, &options).ok()?;
    let mut short = Short(String::new());
    parsed.structured_demangle(&mut short, &DemangleOptions::new().no_params()).ok()?;
    Some(short.0)
}

/// Takes no more than `LONGEST` bytes.
struct Short(String);

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > LONGEST {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_source() {
        let cases = [
            ("_ZN3geo6lookup17h0123456789abcdefE", "geo::lookup"),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("_ZN3geo6lookupEiPKc", "geo::lookup"),
            (
                "_ZNSt6vectorIiSaIiEE9push_backEOi",
                "std::vector<int, std::allocator<int> >::push_back",
            ),
            ("main", "main"),
            ("_Znonsense", "_Znonsense"),
            ("_ZN", "_ZN"),
            ("__libc_start_main", "__libc_start_main"),
            ("", ""),
        ];
        for (symbol, expected) in cases {
            assert_eq!(String::from_utf8_lossy(&name(symbol.as_bytes())), expected, "{symbol}");
        }
        assert_eq!(name(b"_ZN\xff"), b"_ZN\xff");
    }

    /// Each level of these doubled the time: with 26 it was more than two minutes.
    #[test]
    fn a_symbol_that_is_made_to_take_long_is_left_as_it_is() {
        for levels in 1..200 {
            let (open, close) = ("T_I".repeat(levels), "E".repeat(levels));
            let symbol = format!("_ZN1Acv{open}i{close}IiEE");
            let since = std::time::Instant::now();
            name(symbol.as_bytes());
            let took = since.elapsed();
            assert!(took < std::time::Duration::from_secs(2), "{levels} levels: {took:?}");
        }
        let rows = "std::map<std::string, std::vector<std::pair<int, geo::Row> > >::find";
        let symbol = "_ZNSt3mapISsSt6vectorISt4pairIiN3geo3RowEEEE4findERKSs";
        assert_eq!(String::from_utf8_lossy(&name(symbol.as_bytes())), rows);
    }
}
