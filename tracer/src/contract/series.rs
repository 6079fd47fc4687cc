//! What incidents of one restart loop have in common, as a number. On disk: it stays what it is.
use crate::{contract::Incident, model::container::place};

/// The number of the series that an incident belongs to: host and boot, program, and the place it is
/// started in: the pod whose containers follow one another, the unit that systemd starts again, or else
/// its parent.
pub fn series_key(incident: &Incident) -> u64 {
    let victim = &incident.victim;
    let cgroup = victim.cgroup.as_ref().map(|cgroup| &cgroup.0[..]).unwrap_or_default();
    let parent = victim.ppid.unwrap_or(0).to_le_bytes();
    let service = victim.unit.as_ref().map(|unit| &unit.0[..]);
    let service = service.filter(|unit| unit.ends_with(b".service"));
    let place = place(cgroup).or(service).unwrap_or(&parent);
    fnv1a(&[incident.host.as_bytes(), incident.boot_id.as_bytes(), &victim.comm.0, place])
}

/// FNV-1a of 64 bits over the parts, each with a zero byte behind it, so that they are kept apart.
pub fn fnv1a(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.iter().chain(b"\0") {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    hash
}

/// One end in a series, as a history has it in its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesExit {
    /// Ns since the epoch.
    pub time: i64,
    /// Name of the cause.
    pub class: String,
    /// As a shell has it; `None` where the process did not end, or nobody saw it.
    pub status: Option<u32>,
    /// How many this stands for.
    pub times: u64,
    /// From the end to the restart, ns.
    pub restart_ns: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{Untrusted, samples::incident},
        model::cause::CauseKind,
    };

    #[test]
    fn the_hash_stays_what_it_is() {
        assert_eq!(fnv1a(&[b"whybus"]), 0x64e7_066c_bb4b_7b67);
        assert_eq!(fnv1a(&[b"ab", b"c"]), 0xad22_872f_536e_4705);
        assert_ne!(fnv1a(&[b"ab", b"c"]), fnv1a(&[b"a", b"bc"]));
    }

    /// Numbers that histories hold: worked out by another program.
    #[test]
    fn the_number_of_a_series_stays_what_it_is() {
        let id = "0123456789abcdef".repeat(4);
        let pod = format!("/kubepods.slice/kubepods-pod1b2.slice/cri-containerd-{id}.scope");
        let docker = format!("/system.slice/docker-{id}.scope");
        type Case<'a> = (Option<u32>, Option<&'a str>, Option<&'a str>, u64);
        let cases: [Case<'_>; 6] = [
            (None, None, None, 0x45b3_d553_c98a_d065),
            (Some(5), None, None, 0x0649_657f_56fd_bc76),
            (Some(5), Some("/user.slice/x.scope"), Some("x.scope"), 0x0649_657f_56fd_bc76),
            (
                Some(5),
                Some("/system.slice/geo.service"),
                Some("geo.service"),
                0x882e_dbd2_ddb3_5783,
            ),
            (Some(5), Some(&pod), None, 0x06ec_ff50_9177_f8e0),
            (Some(5), Some(&docker), None, 0x88c5_9806_eb9c_4421),
        ];
        let untrusted = |text: &str| Untrusted(text.as_bytes().to_vec());
        for (ppid, cgroup, unit, key) in cases {
            let mut incident = incident(CauseKind::Sent, 9);
            incident.victim.ppid = ppid;
            incident.victim.cgroup = cgroup.map(untrusted);
            incident.victim.unit = unit.map(untrusted);
            assert_eq!(series_key(&incident), key, "{ppid:?} {cgroup:?} {unit:?}");
        }
    }
}
