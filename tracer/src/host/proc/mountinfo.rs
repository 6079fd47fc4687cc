//! Mounts: which directory a file system hangs in.
use std::{fs, io::Read as _};

use crate::model::{
    Bytes,
    file::{Dev, Mount},
};

/// Reads the mounts of our own namespace; empty where /proc is missing.
pub fn read() -> Vec<Mount> {
    backed(parse(&fs::read("/proc/self/mountinfo").unwrap_or_default()))
}

/// Bytes of another namespace's mounts that are read: whoever lives there can make many.
const MOST: u64 = 4 << 20;

/// The mounts as process `pid` sees them, and whether these are all.
pub fn of(pid: u32) -> (Vec<Mount>, bool) {
    let mut text = Vec::new();
    let read = fs::File::open(format!("/proc/{pid}/mountinfo"))
        .and_then(|file| file.take(MOST).read_to_end(&mut text));
    (backed(parse(&text)), read.is_ok_and(|read| (read as u64) < MOST))
}

/// The mounts as process `pid` sees them, as they are written; `None` where these are not all.
pub fn text(pid: u32) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let file = fs::File::open(format!("/proc/{pid}/mountinfo")).ok()?;
    let read = file.take(MOST).read_to_end(&mut text).ok()?;
    ((read as u64) < MOST).then_some(text)
}

/// The id of the mount through which a path is walked in the end. `None` if one mount hides another on the way: which of
/// them the path leads through takes more than a list.
pub fn opened_through(text: &[u8], path: &[u8]) -> Option<u32> {
    let is_above = |point: &[u8]| {
        let rest = path.strip_prefix(point);
        point == b"/" || rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    };
    let lines = text.split(|b| *b == b'\n').filter_map(ids);
    let mut above: Vec<Ids> = lines.filter(|mount| is_above(&mount.point)).collect();
    above.sort_by_key(|mount| mount.point.len());
    let each_in_the_one_before = above
        .windows(2)
        .all(|pair| pair[0].point.len() < pair[1].point.len() && pair[1].parent == pair[0].id);
    above.last().filter(|_| each_in_the_one_before).map(|mount| mount.id)
}

struct Ids {
    id: u32,
    parent: u32,
    point: Bytes,
}

fn ids(line: &[u8]) -> Option<Ids> {
    let mut fields = line.split(|b| *b == b' ');
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
    let (id, parent) = (number()?, number()?);
    Some(Ids { id, parent, point: unescape(fields.nth(2)?) })
}

/// Parses proc(5) mountinfo, skipping lines it cannot read.
pub fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|b| *b == b'\n').filter_map(line).collect()
}

/// The first mount of the root of a file system of type `fstype` that has `option` among its own options: a v1 hierarchy
/// of cgroups names its controllers there.
pub fn with_option(text: &[u8], fstype: &[u8], option: &[u8]) -> Option<Mount> {
    text.split(|b| *b == b'\n').find_map(|bytes| {
        let options = bytes.rsplit(|b| *b == b' ').next()?;
        let has = options.split(|b| *b == b',').any(|word| word == option);
        line(bytes).filter(|mount| has && mount.fstype == fstype && mount.root == b"/")
    })
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn line(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let (major, minor) = std::str::from_utf8(fields.get(2)?).ok()?.split_once(':')?;
    let dash = fields.iter().position(|field| *field == b"-")?;
    Some(Mount {
        dev: Dev { major: major.parse().ok()?, minor: minor.parse().ok()? },
        root: unescape(fields.get(3)?),
        point: unescape(fields.get(4)?),
        fstype: unescape(fields.get(dash + 1)?),
        source: unescape(fields.get(dash + 2)?),
        address: fields.get(dash + 3).and_then(|options| address(options)),
        backing: None,
    })
}

/// Major number of loop devices (LOOP_MAJOR of include/uapi/linux/major.h). Not of their partitions, and btrfs has
/// numbers of its own.
const LOOP: u32 = 7;

/// The same with the files behind loop devices, as drivers/block/loop.c loop_attr_backing_file_show names them.
fn backed(mut mounts: Vec<Mount>) -> Vec<Mount> {
    for mount in mounts.iter_mut().filter(|mount| mount.dev.major == LOOP) {
        let name = fs::read(format!("/sys/dev/block/{}/loop/backing_file", mount.dev));
        mount.backing = name.ok().map(|mut name| {
            name.pop_if(|last| *last == b'\n');
            name
        });
    }
    mounts
}

/// `rw,vers=4.2,addr=10.0.0.5` (fs/nfs/super.c nfs_show_options, fs/smb/client/cifsfs.c cifs_show_address)
fn address(options: &[u8]) -> Option<Bytes> {
    let mut words = options.split(|b| *b == b',');
    words.find_map(|word| word.strip_prefix(b"addr=")).map(unescape)
}

/// The kernel writes space, tab, newline and backslash as three octal digits
/// (fs/proc_namespace.c mangle).
fn unescape(field: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|digits| digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        if *first == b'\\'
            && let Some([a, b, c]) = octal
        {
            out.push((a - b'0').wrapping_mul(64) + (b - b'0') * 8 + (c - b'0'));
            rest = &tail[3..];
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_not_walked_through() {
        let text = b"20 1 8:1 / / rw - ext4 a rw\n21 20 8:2 / /var rw - ext4 b rw\n\
            22 21 8:3 / /var/log rw - ext4 c rw\n23 20 8:4 / /srv/a\\040b rw - ext4 d rw\n\
            30 20 8:5 / /opt/x rw - ext4 e rw\n31 20 8:6 / /opt rw - ext4 f rw\n\
            32 20 8:5 / /tmp rw - ext4 e rw\n33 32 8:6 / /tmp rw - ext4 f rw\ngarbage\n";
        let through = |path: &str| opened_through(text, path.as_bytes());
        assert_eq!(["/etc/l", "/var/l", "/var/log/l"].map(through), [Some(20), Some(21), Some(22)]);
        assert_eq!(
            ["/srv/a b/l", "/variable", "/var"].map(through),
            [Some(23), Some(20), Some(21)]
        );
        assert_eq!(through("/opt/x/l"), None, "hidden below /opt");
        assert_eq!(through("/tmp/l"), None, "two at one place");
        assert_eq!(opened_through(b"", b"/"), None);
    }

    #[test]
    fn mount_points_may_hold_spaces() {
        let text = b"36 35 0:45 /sub /mnt/a\\040b rw shared:1 - nfs4 fs-1:/ rw\ngarbage\n";
        let mount = Mount {
            dev: Dev { major: 0, minor: 45 },
            root: b"/sub".to_vec(),
            point: b"/mnt/a b".to_vec(),
            fstype: b"nfs4".to_vec(),
            source: b"fs-1:/".to_vec(),
            address: None,
            backing: None,
        };
        assert_eq!(parse(text), std::slice::from_ref(&mount));
        let text = b"36 35 0:45 /sub /mnt/a\\040b rw - nfs4 fs-1:/ rw,clientaddr=10.0.0.9,addr=10.0.0.5,x\n";
        assert_eq!(parse(text), [Mount { address: Some(b"10.0.0.5".to_vec()), ..mount }]);
    }
}
