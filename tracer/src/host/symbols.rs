//! The functions of the kernel by their names.
use std::{
    fs,
    io::{BufRead, BufReader},
};

/// Whether the kernel, or a module that is loaded, has a function of this name.
pub fn is_listed(function: &str) -> bool {
    let symbols = fs::File::open("/proc/kallsyms");
    symbols.is_ok_and(|symbols| lists(BufReader::new(symbols), function))
}

/// Lines of `ffffffffc0a1b2c0 t ext4_should_retry_alloc\t[ext4]`.
fn lists(symbols: impl BufRead, function: &str) -> bool {
    let is = |line: Vec<u8>| {
        let mut words = line.split(|byte| byte.is_ascii_whitespace());
        let kind = words.nth(1);
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"t"))
            && words.next() == Some(function.as_bytes())
    };
    symbols.split(b'\n').map_while(Result::ok).any(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_found_in_the_kernel_and_in_modules() {
        let text = b"0000000000000000 T vfs_open\n\
                     0000000000000000 t ext4_should_retry_alloc\t[ext4]\n\
                     0000000000000000 d vfs_data\n\nx\n";
        for (function, listed) in [
            ("vfs_open", true),
            ("ext4_should_retry_alloc", true),
            ("vfs", false),
            ("vfs_data", false),
            ("[ext4]", false),
            ("", false),
        ] {
            assert_eq!(lists(&text[..], function), listed, "{function}");
        }
    }
}
