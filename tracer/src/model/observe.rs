//! What is watched, by what there is to see.
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
pub use tracer_common::observe::Observe;

/// What the attached probes see, and what nobody sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    pub hooks: Vec<AttachedHook>,
    /// What could not be attached, and what is unknown without each.
    pub uncovered: Vec<Uncovered>,
}

impl Coverage {
    /// Whether a probe that sees `observe` is attached, in whatever form.
    pub fn sees(&self, observe: Observe) -> bool {
        self.hooks.iter().any(|hook| hook.observe == Some(observe))
    }

    /// The probe that would see `observe`, if it is known to be missing: not only waiting for its module, or not
    /// asked for.
    pub fn lacking(&self, observe: Observe) -> Option<&Uncovered> {
        let missing = self.uncovered.iter().find(|missing| missing.sees() == Some(observe))?;
        (!self.sees(observe)).then_some(missing)
    }

    /// Whether `observe` is known not to be seen.
    pub fn lacks(&self, observe: Observe) -> bool {
        self.lacking(observe).is_some()
    }
}

/// How far what is asked for can be told on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Every hook is attached.
    Ready,
    /// A hook is missing, but none that decides bus errors.
    Degraded,
    /// A hook is missing that decides bus errors.
    NotReady,
}

/// A probe that is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedHook {
    /// `None` in the stream of a whybus that had a probe we do not know.
    #[serde(with = "observe_word_if_known")]
    pub observe: Option<Observe>,
    /// How and where, for people: `fexit filemap_fault`. Nothing is decided by it.
    pub hook: String,
}

impl AttachedHook {
    /// A hook by its name, and by the word for what it sees ([`Observe::word`]), which streams of
    /// version 1 may not have.
    pub fn of_words(hook: String, word: Option<&str>) -> Self {
        let observe = word.map_or_else(|| observe_of_hook(&hook), observe_of_word);
        Self { observe, hook }
    }
}

/// A hook that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncovered {
    /// What it would see; `None` in the stream of a whybus that had a probe we do not know.
    #[serde(default, with = "observe_word_if_known")]
    pub observe: Option<Observe>,
    pub hook: String,
    pub reason: String,
    pub causes: String,
}

impl Uncovered {
    /// As [`AttachedHook::of_words`].
    pub fn of_words(hook: String, word: Option<&str>, reason: String, causes: String) -> Self {
        let AttachedHook { observe, hook } = AttachedHook::of_words(hook, word);
        Self { observe, hook, reason, causes }
    }

    /// What it would see, by its name where nothing else tells.
    pub fn sees(&self) -> Option<Observe> {
        self.observe.or_else(|| observe_of_hook(&self.hook))
    }
}

/// What a hook sees, by the name it has in streams and histories that name hooks only. Those
/// names are final: what has been attached in another form since is told by [`Observe::word`].
pub fn observe_of_hook(hook: &str) -> Option<Observe> {
    Some(match hook {
        "fexit filemap_fault" => Observe::FileFault,
        "fexit shmem_fault" => Observe::ShmemFault,
        "fexit do_page_mkwrite" => Observe::PageMkwrite,
        "fexit hugetlb_fault" => Observe::HugetlbFault,
        "fexit special_mapping_fault" => Observe::SpecialMappingFault,
        "fexit handle_userfault" => Observe::UserfaultFault,
        "fexit filemap_read_folio" | "fexit filemap_read_page" => Observe::ReadError,
        "fexit block_page_mkwrite" => Observe::MkwriteErrno,
        "fentry ext4_should_retry_alloc" | "kprobe ext4_should_retry_alloc" => Observe::Ext4Refusal,
        "raw_tp xfs_delalloc_enospc" => Observe::XfsRefusal,
        "raw_tp btrfs_reserve_ticket" => Observe::BtrfsRefusal,
        "fentry shmem_unused_huge_shrink" => Observe::ShmemRefusal,
        "kretprobe shmem_swapin_folio" | "kretprobe shmem_swapin_page" => Observe::SwapIn,
        "kprobe quota_send_warning" => Observe::QuotaLimit,
        "fexit dax_iomap_fault" => Observe::DaxFault,
        "fentry force_sig_fault" => Observe::ForcedSignal,
        "fentry vfs_fallocate" => Observe::Collapse,
        "fexit vfs_fallocate" => Observe::CollapseResult,
        "fentry fuse_change_attributes" => Observe::FuseSize,
        "fexit fuse_change_attributes" => Observe::FuseSizeResult,
        "kprobe fuse_change_attributes" => Observe::FuseSize,
        "kretprobe fuse_change_attributes" => Observe::FuseSizeResult,
        "fentry vfs_open" | "fentry fuse_open" | "fexit fuse_open" => Observe::OpenTruncate,
        "raw_tp nfs_size_update" => Observe::NfsSize,
        "raw_tp nfs_size_wcc" => Observe::NfsSizeReply,
        "raw_tp nfs_set_inode_stale" => Observe::NfsStale,
        "fentry notify_change" => Observe::Shrink,
        "fexit notify_change" => Observe::ShrinkResult,
        "tp_btf signal_generate" | "fentry __send_signal_locked" | "fentry __send_signal" => {
            Observe::SignalGenerated
        }
        "tp_btf signal_deliver" => Observe::SignalDelivered,
        "fentry oom_kill_process" => Observe::OomKill,
        "fexit oom_kill_process" => Observe::OomKillEnd,
        "fentry taskstats_exit" | "tp_btf sched_process_exit" => Observe::Exit,
        "tp_btf sched_process_exec" => Observe::Exec,
        "tp_btf sched_process_fork" => Observe::Fork,
        "tp_btf cgroup_mkdir" => Observe::CgroupMade,
        "tp_btf cgroup_rename" => Observe::CgroupRenamed,
        _ => return None,
    })
}

/// What the word of a saved stream says was watched; two have been replaced since.
fn observe_of_word(word: &str) -> Option<Observe> {
    match word {
        "fuse-open" | "fuse-open-result" => Some(Observe::OpenTruncate),
        _ => Observe::from_word(word),
    }
}

/// An [`Observe`] by its word, for serde.
pub mod observe_word {
    use super::*;

    /// # Errors
    /// Where the serializer fails.
    pub fn serialize<S: Serializer>(observe: &Observe, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(observe.word())
    }

    /// # Errors
    /// Where it is a word we do not know.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Observe, D::Error> {
        let word = String::deserialize(deserializer)?;
        let unknown = || de::Error::custom(format!("nothing is called `{word}` that a probe sees"));
        observe_of_word(&word).ok_or_else(unknown)
    }
}

/// An [`Observe`] by its word, a later version's being none that we know.
mod observe_word_if_known {
    use super::*;

    pub fn serialize<S: Serializer>(
        observe: &Option<Observe>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        observe.map(Observe::word).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Observe>, D::Error> {
        let word = Option::<String>::deserialize(deserializer)?;
        Ok(word.and_then(|word| observe_of_word(&word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a stream of before that was saved, the hook's name tells what it would see.
    #[test]
    fn what_is_missing_is_known_by_what_it_would_see() {
        let old = r#"{"hooks": [], "uncovered": [{"hook": "fexit filemap_fault", "reason": "so", "causes": ""}]}"#;
        let mut coverage: Coverage = serde_json::from_str(old).expect("a coverage");
        assert!(coverage.lacks(Observe::FileFault));
        assert!(!coverage.lacks(Observe::Shrink), "it may only be waiting for its module");
        let hook = AttachedHook { observe: Some(Observe::FileFault), hook: "kprobe".into() };
        coverage.hooks.push(hook);
        assert!(!coverage.lacks(Observe::FileFault), "it is seen in another form");
    }

    #[test]
    fn every_word_means_one_thing() {
        for observe in Observe::ALL {
            assert_eq!(Observe::from_word(observe.word()), Some(*observe));
        }
        assert_eq!(Observe::from_word("fexit filemap_fault"), None);
    }
}
