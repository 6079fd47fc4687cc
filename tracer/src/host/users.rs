//! Users by their names, as /etc/passwd has them.
use std::{fs::File, io::Read as _};

/// Bytes that are read of it.
const LARGEST: u64 = 1 << 20;

/// The number of a user, if this host has one of that name.
pub fn uid(name: &str) -> Option<u32> {
    let mut text = Vec::new();
    File::open("/etc/passwd").ok()?.take(LARGEST).read_to_end(&mut text).ok()?;
    uid_in(&String::from_utf8_lossy(&text), name)
}

/// `ada:x:1000:…` (passwd(5)).
fn uid_in(passwd: &str, name: &str) -> Option<u32> {
    let of = |line: &str| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    };
    passwd.lines().find_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_line() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/:\nbad:x\n";
        let found = ["root", "ada", "bad", "ad", ""].map(|name| uid_in(passwd, name));
        assert_eq!(found, [Some(0), Some(1000), None, None, None]);
    }
}
