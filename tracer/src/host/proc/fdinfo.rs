//! Reads /proc/PID/fdinfo/N. Pure.

/// The FUSE connection that a descriptor of /dev/fuse belongs to, which is the `s_dev` of its file system (fs/fuse/dev.c
/// fuse_dev_show_fdinfo). `None` before it is mounted, and from kernels that do not tell: 7.3 does, 6.12 does not.
pub fn connection(text: &[u8]) -> Option<u32> {
    let mut lines = text.split(|b| *b == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(b"fuse_connection:"))?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_told_or_not() {
        let cases: [(&[u8], Option<u32>); 5] = [
            (b"pos:\t0\nflags:\t0100002\nmnt_id:\t24\nino:\t117\nfuse_connection:\t48\n", Some(48)),
            (b"pos:\t0\nflags:\t0100002\nmnt_id:\t24\n", None),
            (b"fuse_connection:\tx\n", None),
            (b"fuse_connection:\t\xff\n", None),
            (b"", None),
        ];
        for (text, expected) in cases {
            assert_eq!(connection(text), expected);
        }
    }
}
