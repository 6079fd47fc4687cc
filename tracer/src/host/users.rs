//! Users by their names, as /etc/passwd has them.
use std::{fs::File, io::Read as _, path::Path};

use crate::host::state_file::Directory;

/// Bytes that are read of it.
const LARGEST: u64 = 1 << 20;

/// The number of a user, if this host has one of that name.
pub fn uid(name: &str) -> Option<u32> {
    let mut text = Vec::new();
    File::open("/etc/passwd").ok()?.take(LARGEST).read_to_end(&mut text).ok()?;
    uid_in(&String::from_utf8_lossy(&text), name)
}

/// What this host calls a user, also where we run in a container that sees its processes.
pub fn name(uid: u32) -> Option<String> {
    let etc = Directory::open(Path::new("/proc/1/root/etc"), 0)?;
    name_in(&String::from_utf8_lossy(&etc.read("passwd", LARGEST)?), uid)
}

/// Several may have the number: the first counts, as for getpwuid(3).
fn name_in(passwd: &str, uid: u32) -> Option<String> {
    let of = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    passwd.lines().find_map(of)
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
        let found = [0, 1000, 1001].map(|uid| name_in(passwd, uid));
        assert_eq!(found, [Some("root".to_owned()), Some("ada".to_owned()), None]);
    }
}
