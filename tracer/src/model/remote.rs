//! File systems that other hosts change too: which they are, and which server has one. Pure.
use crate::model::Bytes;

/// Their `s_magic` (include/uapi/linux/magic.h, and where that is not listed, the file system's own): nfs,
/// fuse, ceph, cifs, smb2, 9p, kAFS, OpenAFS, coda, ocfs2, lustre, gfs2, orangefs, vboxsf, GPFS, BeeGFS.
pub const SHARED: [u32; 16] = [
    0x6969,
    0x6573_5546,
    0x00c3_6400,
    0xff53_4d42,
    0xfe53_4d42,
    0x0102_1997,
    0x6b41_4653,
    0x5346_414f,
    0x7375_7245,
    0x7461_636f,
    0x0bd0_0bd0,
    0x0116_1970,
    0x2003_0528,
    0x786f_4256,
    0x4750_4653,
    0x1983_0326,
];

/// Whether a file system may be changed from another host, or by a server in user space, unseen.
pub fn is_shared(magic: u64) -> bool {
    SHARED.iter().any(|shared| u64::from(*shared) == magic)
}

/// Which server has a file system, and as what: as far as its mount tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// As it was given to mount(8), in lower case; of Ceph its cluster, or its monitors.
    pub server: Bytes,
    /// What the server calls the directory that is mounted.
    pub path: Bytes,
}

/// Reads the source of a mount; `None` where it names no server.
pub fn export(fstype: &[u8], source: &[u8]) -> Option<Export> {
    let (server, path): (&[u8], &[u8]) = match fstype {
        b"cifs" | b"smb3" | b"smb2" => {
            let rest = source.strip_prefix(b"//").or_else(|| source.strip_prefix(br"\\"))?;
            let at = rest.iter().position(|b| matches!(b, b'/' | b'\\'))?;
            // Names of shares are not told apart by case.
            return of(&rest[..at], &rest[at..].to_ascii_lowercase());
        }
        // `user@fsid.name=/path` (from 5.17), or `monitor:port,monitor:port:/path`.
        b"ceph" => match split(source, b"=/") {
            Some((name, path)) => {
                (split(name, b"@").map_or(name, |(_, cluster)| &cluster[1..]), path)
            }
            None => {
                let (monitors, path) = split(source, b":/")?;
                let mut monitors: Vec<&[u8]> = monitors.split(|b| *b == b',').collect();
                let port = |one: &&[u8]| -> usize {
                    let port = [&b":6789"[..], b":3300"].iter().any(|port| one.ends_with(port));
                    one.len() - if port { 5 } else { 0 }
                };
                monitors.iter_mut().for_each(|one| *one = &one[..port(one)]);
                monitors.sort_unstable();
                return of(&monitors.join(&b','), path);
            }
        },
        b"nfs" | b"nfs4" | b"lustre" => split(source, b":/")?,
        // Those in user space that have a server name it the same way, sshfs after a user.
        _ if fstype == b"fuse" || fstype.starts_with(b"fuse.") => {
            let at = source.iter().position(|b| *b == b':')?;
            let (host, path) = (&source[..at], &source[at + 1..]);
            let host = split(host, b"@").map_or(host, |(_, host)| &host[1..]);
            (if host.contains(&b'/') { return None } else { host }, path)
        }
        _ => return None,
    };
    of(server, path)
}

/// Cut before the last character of `between` where that is a `/`, which belongs to the path, or else before it.
fn split<'a>(text: &'a [u8], between: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(between.len()).position(|window| window == between)?;
    Some((&text[..at], &text[at + between.len() - 1..]))
}

fn of(server: &[u8], path: &[u8]) -> Option<Export> {
    let server = server.strip_prefix(b"[").and_then(|v6| v6.strip_suffix(b"]")).unwrap_or(server);
    let server = server.strip_suffix(b".").unwrap_or(server).to_ascii_lowercase();
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1);
    let path = if end == 0 { b"/".to_vec() } else { path[..end].to_vec() };
    (!server.is_empty()).then_some(Export { server, path })
}

/// Whether an address is this host's own: of a tunnel to the server, as a rule (efs-utils, stunnel, ssh).
pub fn is_loopback(server: &[u8]) -> bool {
    server == b"localhost" || server == b"::1" || server.starts_with(b"127.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_names_its_server() {
        let cases: [(&str, &str, &str, &str); 13] = [
            ("nfs4", "Files.example.:/geo/", "files.example", "/geo"),
            ("nfs", "10.0.0.5:/", "10.0.0.5", "/"),
            ("nfs4", "[fe80::1]:/a:/b", "fe80::1", "/a:/b"),
            ("cifs", "//NAS/Geo/Sub", "nas", "/geo/sub"),
            ("smb3", r"\\nas\geo", "nas", r"\geo"),
            ("ceph", "admin@b3acfc0d-575f.cephfs=/volumes/x", "b3acfc0d-575f.cephfs", "/volumes/x"),
            ("ceph", "10.0.0.2:6789,10.0.0.1:6789:/x", "10.0.0.1,10.0.0.2", "/x"),
            ("ceph", "mon2,mon1:/", "mon1,mon2", "/"),
            ("lustre", "10.0.0.1@tcp:/scratch", "10.0.0.1@tcp", "/scratch"),
            ("fuse.sshfs", "me@host:", "host", "/"),
            ("fuse.sshfs", "me@host:data/x", "host", "data/x"),
            ("fuse.glusterfs", "gfs1:/vol", "gfs1", "/vol"),
            ("nfs4", "h:/a b", "h", "/a b"),
        ];
        for (fstype, source, server, path) in cases {
            let told = export(fstype.as_bytes(), source.as_bytes());
            let (server, path) = (server.as_bytes().to_vec(), path.as_bytes().to_vec());
            assert_eq!(told, Some(Export { server, path }), "{fstype} {source}");
        }
    }

    #[test]
    fn what_names_no_server_is_none() {
        let cases = [
            ("fuse.s3fs", "s3fs"),
            ("fuseblk", "/dev/sda1"),
            ("fuse.x", "/a/b:c"),
            ("9p", "share"),
            ("gfs2", "/dev/dm-1"),
            ("ext4", "h:/x"),
            ("nfs4", ":/x"),
            ("nfs4", "nothing"),
            ("cifs", "//nas"),
            ("ceph", "=/"),
        ];
        for (fstype, source) in cases {
            assert_eq!(export(fstype.as_bytes(), source.as_bytes()), None, "{fstype} {source}");
        }
    }

    #[test]
    fn a_tunnel_ends_here() {
        for (server, here) in
            [("127.0.0.1", true), ("::1", true), ("127.x", true), ("10.0.0.1", false)]
        {
            assert_eq!(is_loopback(server.as_bytes()), here, "{server}");
        }
    }
}
