//! How many calls of a function a kretprobe did not follow to their end, as the kernel counts: `nmissed`. It stands in the
//! fdinfo of the link from 6.17 on (kernel/bpf/syscall.c bpf_perf_link_fdinfo_kprobe). From 6.7 on bpf_link_info has it, too,
//! but aya gives nobody the link's descriptor.
use std::{fs, path::PathBuf};

/// A kretprobe of this process.
pub struct Kretprobe {
    function: String,
    fdinfo: PathBuf,
}

impl Kretprobe {
    /// All there are; none before 6.17. They are looked for once, not at each look at their counts.
    pub fn all() -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc/self/fdinfo") else { return Vec::new() };
        let probe = |fdinfo: PathBuf| {
            let text = fs::read_to_string(&fdinfo).ok()?;
            let (function, _) = parse(&text)?;
            Some(Self { function: function.to_owned(), fdinfo })
        };
        entries.flatten().filter_map(|entry| probe(entry.path())).collect()
    }

    /// Calls of `function` that were not followed so far; 0 where that is not known.
    pub fn missed(probes: &[Self], function: &str) -> u64 {
        let count = |probe: &Self| {
            let text = fs::read_to_string(&probe.fdinfo).ok()?;
            // The descriptor may be another one's by now.
            let (known, missed) = parse(&text)?;
            (known == function).then_some(missed)
        };
        let of = probes.iter().filter(|probe| probe.function == function);
        of.filter_map(count).max().unwrap_or(0)
    }
}

/// The function that a kretprobe is on, and the calls it missed.
fn parse(fdinfo: &str) -> Option<(&str, u64)> {
    let field = |name: &str| {
        let value = fdinfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        value.map(str::trim)
    };
    let missed = field("missed")?.parse().ok()?;
    (field("event_type")? == "kretprobe").then_some((field("name")?, missed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "pos:\t0\nflags:\t02000000\nmnt_id:\t17\nino:\t1057\nlink_type:\tperf\nlink_id:\t9\n\
                        prog_tag:\tb3b2e1d1a2f4c001\nprog_id:\t31\nname:\tfilemap_fault\noffset:\t0x0\n\
                        missed:\t12\naddr:\t0xffffffff8141d0f0\nevent_type:\tkretprobe\ncookie:\t0\n";

    #[test]
    fn the_kernel_says_what_a_kretprobe_missed() {
        assert_eq!(parse(LINK), Some(("filemap_fault", 12)));
        assert_eq!(parse(&LINK.replace("\tkretprobe", "\tkprobe")), None);
        assert_eq!(parse(&LINK.replace("missed:\t12\n", "")), None);
        assert_eq!(parse(&LINK.replace("missed:\t12", "missed:\t-1")), None);
        assert_eq!(parse("pos:\t0\n"), None);
    }
}
