//! Whether two hosts mean one file: by server, export and number of the inode, and where that is not certain by its
//! path. Pure.
use crate::{
    contract::{File, Remote, Truncation, Untrusted},
    model::remote::is_loopback,
};

/// Directories that a file may lie below its server's root.
const DEEPEST: usize = 256;

/// What a file is found by among the shrinks of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileKey<'a> {
    pub inode: u64,
    /// One name for all tunnels.
    pub server: &'a [u8],
    pub address: Option<&'a [u8]>,
    pub export: &'a [u8],
    /// The last name of its path.
    pub name: Option<&'a [u8]>,
}

impl<'a> FileKey<'a> {
    pub fn new(inode: u64, remote: &'a Remote, path: Option<&'a Untrusted>) -> Self {
        let server = &remote.server.0[..];
        Self {
            inode,
            server: if is_loopback(server) { b"localhost" } else { server },
            address: remote.address.as_ref().map(|address| &address.0[..]),
            export: &remote.export.0,
            name: last(path),
        }
    }
}

/// What a file and a shrink have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// Server, export and number of the inode.
    Export,
    /// The path on the server, too: without it they may be different files.
    Path,
    /// The path, and that both hosts have the server mounted from themselves.
    Tunnels,
}

impl Match {
    /// In words.
    pub fn by(self) -> &'static str {
        match self {
            Self::Export => "by server, export and inode number",
            Self::Path => "by server, inode number and path",
            Self::Tunnels => {
                "by inode number and path: both hosts reach the server through a tunnel, and it is taken to be one"
            }
        }
    }
}

/// What `file`, which is `ours` on its host, has in common with the file of a shrink, if that makes them one; `soon`
/// says whether too little time lies between for its number to have been used again.
pub fn matched(file: &File, ours: &Remote, shrink: &Truncation, soon: bool) -> Option<Match> {
    let theirs = shrink.file.remote.as_ref()?;
    let (fstype, their_fstype) = (&file.fstype.as_ref()?.0, &shrink.file.fstype.as_ref()?.0);
    let family = family(fstype);
    if shrink.file.inode != file.inode || family != self::family(their_fstype) {
        return None;
    }
    let tunnels = is_loopback(&ours.server.0) && is_loopback(&theirs.server.0);
    let address = ours.address.is_some() && ours.address == theirs.address;
    if !(ours.server == theirs.server || address || tunnels) {
        return None;
    }
    // Behind a tunnel may be any server; an export may hold another file system; a client of CIFS may make up numbers
    // (noserverino), and so does many a server of FUSE.
    let made_up = family == b"cifs" || family.starts_with(b"fuse");
    if !tunnels && !made_up && ours.export == theirs.export {
        let name = last(file.path.as_ref());
        let named = name.is_some() && name == last(shrink.file.path.as_ref());
        return (named || soon).then_some(Match::Export);
    }
    let one_root = fstype == their_fstype || family != b"nfs";
    same_path(file, ours, shrink, one_root)?;
    Some(if tunnels { Match::Tunnels } else { Match::Path })
}

/// Whether the path that a shrink was recorded with ends as the file's does on the server below the export that the
/// shrink's host has mounted. Where that is mounted there is not known. `one_root` says whether both exports are told
/// from one root: NFSv4 may have its own (`fsid=0` of exports(5)), which is some directory above.
fn same_path(file: &File, ours: &Remote, shrink: &Truncation, one_root: bool) -> Option<()> {
    let theirs = parts(&shrink.file.remote.as_ref()?.export.0);
    let their_path = parts(&shrink.file.path.as_ref()?.0);
    let export = parts(&ours.export.0);
    let path = parts(&file.path.as_ref()?.0);
    let below = path.strip_prefix(&parts(&file.mount.as_ref()?.point.0)[..])?;
    let whole = [&export[..], below].concat();
    // The part above their mount, and the part that their path must end with.
    let mut splits = (0..whole.len().min(DEEPEST)).map(|at| whole.split_at(at));
    splits.find_map(|(above, rest)| {
        let mounted = if one_root {
            above == theirs
        } else {
            // Of what was mounted here at least one name must be the same, or all of it was mounted there.
            theirs.ends_with(above)
                || above.ends_with(&theirs) && (!theirs.is_empty() || above.len() < export.len())
        };
        (mounted && their_path.ends_with(rest)).then_some(())
    })
}

fn parts(path: &[u8]) -> Vec<&[u8]> {
    path.split(|b| *b == b'/').filter(|name| !name.is_empty()).collect()
}

/// Types that are versions of one.
fn family(fstype: &[u8]) -> &[u8] {
    match fstype {
        b"nfs4" => b"nfs",
        b"smb3" | b"smb2" => b"cifs",
        other => other,
    }
}

/// The last name of a path.
fn last(path: Option<&Untrusted>) -> Option<&[u8]> {
    path?.0.rsplit(|b| *b == b'/').next().filter(|name| !name.is_empty())
}
