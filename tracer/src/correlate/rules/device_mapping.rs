//! Whoever owns the mapping, mostly a driver, had nothing to map there.
use crate::{
    correlate::{
        cause::{Absence, Cause, Rule, SignalFrom},
        evidence::{Evidence, Verdict},
    },
    model::{
        cause::{CauseKind, Confidence},
        fault::{Fault, Handler, Mapper},
        observe::Observe,
        signal::Signal,
    },
};

const CAUSE: Cause = Cause {
    kind: CauseKind::DeviceMapping,
    observes: &[Observe::ForcedSignal],
    rests_on: Some(Absence::OfAct),
    shows_mount: false,
    signal_from: SignalFrom::Fault,
    advice: "ask the driver's documentation what may be touched, and when: part of the \
             mapping has nothing behind it, must not be written, or its device is gone",
};

pub const RULE: Rule = Rule { causes: &[CAUSE], evaluate };

/// arm64 (arch/arm64/mm/fault.c do_alignment_fault): the page is there, so nobody refused it. What kind of memory it is, and
/// which instruction it was, was not looked at.
const MISALIGNED: (&str, &str) = (
    "an access that is not aligned (BUS_ADRALN), to a mapping of a driver: memory of a device takes none, and no memory \
     an exclusive load or an atomic instruction that is not aligned",
    "align the access: memcpy(3), vector code and locks that suit ordinary memory do not suit a device's",
);

/// What the refusal of a function means, by reading it.
struct Refusal {
    functions: &'static [&'static str],
    summary: &'static str,
    advice: &'static str,
}

const REFUSALS: &[Refusal] = &[
    Refusal {
        // fs/kernfs/file.c: what the mapping was made of is gone, or was only ever mapped beforehand.
        functions: &["kernfs_vma_fault", "kernfs_vma_page_mkwrite"],
        summary: "a file of sysfs (as a PCI device's resource0) has no page there any more: its device was removed, \
                  or a driver has taken its memory, while it was mapped",
        advice: "see in dmesg whether the device was removed or a driver bound to it (driver_override keeps them \
                 away); unmap it before that",
    },
    Refusal {
        // kernel/events/core.c
        functions: &["perf_mmap_fault", "perf_mmap_pfn_mkwrite"],
        summary: "a ring buffer of perf_event_open(2): only its first page may be written to, and what lies beyond \
                  its end may not be touched",
        advice: "map the ring for reading only, or write nothing but data_tail of its first page",
    },
    Refusal {
        // drivers/vfio/pci/vfio_pci_core.c: __vfio_pci_memory_enabled()
        functions: &["vfio_pci_mmap_fault", "vfio_pci_mmap_page_fault", "vfio_pci_mmap_huge_fault"],
        summary: "the memory of a PCI device that is passed through: its memory decoding is switched off, or it is \
                  being reset or asleep (D3)",
        advice: "look at the device's command register (setpci -s DEVICE COMMAND) and at dmesg for a reset; whoever \
                 emulates or drives it must not touch its memory meanwhile",
    },
    Refusal {
        // arch/x86/kernel/cpu/sgx/encl.c
        functions: &["sgx_vma_fault"],
        summary: "a page of an SGX enclave: it was not added, its permissions do not allow the access, no enclave \
                  memory (EPC) is left, or the enclave was lost as the host slept",
        advice: "create the enclave anew after suspend; check the permissions that it asks for, and how much EPC there is",
    },
    Refusal {
        // security/selinux/selinuxfs.c
        functions: &["sel_mmap_policy_fault"],
        summary: "the loaded SELinux policy (/sys/fs/selinux/policy) ends before that, or was written to",
        advice: "use the size that fstat(2) gives, and map it for reading only",
    },
    Refusal {
        // drivers/uio/uio.c
        functions: &["uio_vma_fault"],
        summary: "a device of UIO: it was unregistered while it was mapped, or has no memory there",
        advice: "see in dmesg whether its driver was unbound; compare with /sys/class/uio/*/maps",
    },
    Refusal {
        // drivers/gpu/drm/ttm/ttm_bo_vm.c, and who wraps it.
        functions: &[
            "ttm_bo_vm_fault",
            "amdgpu_gem_fault",
            "radeon_gem_fault",
            "nouveau_ttm_fault",
            "xe_gem_fault",
            "qxl_ttm_fault",
            "vm_fault_ttm",
        ],
        summary: "a buffer of the GPU could not be brought to where the CPU sees it: video memory is full, the part of \
                  it that the CPU sees (the PCI BAR) is too small or used up, the buffer was imported from another \
                  device, or it ends before that",
        advice: "watch video memory, and dmesg; a larger BAR (Resizable BAR in the firmware) helps if that is the limit",
    },
    Refusal {
        // drivers/gpu/drm/i915/gem/i915_gem_mman.c i915_error_to_vmf_fault: no room is none of them.
        functions: &["vm_fault_cpu", "vm_fault_gtt"],
        summary: "a buffer of the GPU (i915): it was purged, is read-only and was written to, or could not be read back \
                  from swap",
        advice: "buffers marked as purgeable (I915_GEM_MADVISE) may go at any time; see dmesg for errors of swap",
    },
    Refusal {
        // drivers/gpu/drm/drm_gem_shmem_helper.c, drivers/dma-buf/udmabuf.c
        functions: &["drm_gem_shmem_fault", "udmabuf_vm_fault", "vgem_gem_fault", "vkms_gem_fault"],
        summary: "a buffer shared with the GPU ends before that, or its pages were given back (purged)",
        advice: "compare the buffer's size with what was mapped; buffers marked as purgeable may go at any time",
    },
    Refusal {
        // drivers/usb/mon/mon_bin.c, sound/core/pcm_native.c
        functions: &["mon_bin_vma_fault", "snd_pcm_mmap_data_fault", "snd_pcm_mmap_status_fault"],
        summary: "the driver's buffer ends before that: it was made smaller, or more was mapped than it has",
        advice: "map the buffer anew whenever its size is set",
    },
    Refusal {
        // virt/kvm/kvm_main.c
        functions: &["kvm_vcpu_fault"],
        summary: "the page of a virtual CPU of KVM (struct kvm_run): more of it was mapped than it has",
        advice: "map as much as KVM_GET_VCPU_MMAP_SIZE says",
    },
    Refusal {
        // virt/kvm/guest_memfd.c
        functions: &["kvm_gmem_fault_user_mapping", "kvm_gmem_fault"],
        summary: "memory of a virtual machine (guest_memfd): it is private to the guest, or ends before that",
        advice: "see with which size and flags the virtual machine's manager makes and maps it",
    },
];

/// Why a page is not there that nobody can be asked for (mm/memory.c do_fault), and what to do.
fn gone(fault: &Fault) -> (String, &'static str) {
    let longer = if fault.expands() { ", or mremap(2) made the mapping longer" } else { "" };
    let (why, advice) = if fault.inode.socket() {
        (
            "a mapped socket has only what was received, and nothing was there (TCP_ZEROCOPY_RECEIVE)",
            "touch only what getsockopt(2) TCP_ZEROCOPY_RECEIVE says it has mapped",
        )
    } else if fault.shows_frames() {
        (
            "all was mapped by mmap(2), and this page is not there any more: a driver has taken the memory, or its \
             device was removed or reset",
            "see in dmesg and /proc/iomem who has the memory now; unmap it before a driver is bound",
        )
    } else {
        (
            "all was mapped by mmap(2), and this page is not there any more: the process gave it back itself \
             (madvise(2) with MADV_DONTNEED, mremap(2) with MREMAP_DONTUNMAP), or its owner took it away",
            "touch nothing of it after madvise(2), or beyond what mmap(2) was given",
        )
    };
    (format!("{why}{longer}"), advice)
}

fn evaluate(evidence: &Evidence<'_>) -> Option<Verdict> {
    let seen = match (evidence.fault, evidence.mapped) {
        (Some(fault), _) => fault.of_driver() || refusal(fault).is_some(),
        // The second try, by /proc.
        (None, Some(mapped)) => {
            mapped.path.starts_with(b"/dev/") && !mapped.path.starts_with(b"/dev/shm/")
                || mapped.path.starts_with(b"anon_inode:")
        }
        (None, None) => false,
    };
    if !seen {
        return None;
    }
    if evidence.signal.is_some_and(Signal::is_misaligned) {
        let (summary, advice) = MISALIGNED;
        return Some(Verdict::new(CAUSE.kind, Confidence::Likely, summary, advice));
    }
    Some(evidence.fault.and_then(named).unwrap_or_else(|| {
        let summary = "a mapping of a driver, not of a file with an end: the driver refused the page, or \
                       has nothing there";
        CAUSE.verdict(Confidence::Likely, summary)
    }))
}

/// By whom the kernel asked for the page.
fn named(fault: &Fault) -> Option<Verdict> {
    let Mapper { nobody, function, .. } = &fault.mapper;
    if *nobody {
        let (summary, advice) = gone(fault);
        return Some(Verdict::new(CAUSE.kind, Confidence::Proven, summary, advice));
    }
    function.as_ref()?;
    Some(match refusal(fault) {
        Some(Refusal { summary, advice, .. }) => {
            Verdict::new(CAUSE.kind, Confidence::Proven, *summary, advice)
        }
        None => CAUSE.verdict(
            Confidence::Proven,
            "a mapping of a driver: its function that was asked for the page refused it",
        ),
    })
}

/// What it means that the function refused which was asked, if that is known.
fn refusal(fault: &Fault) -> Option<&'static Refusal> {
    let function =
        fault.mapper.function.as_ref().filter(|_| fault.handler == Handler::Unattributed)?;
    let is_it = |name: &&str| name.as_bytes() == function.name;
    REFUSALS.iter().find(|refusal| refusal.functions.iter().any(is_it))
}

#[cfg(test)]
mod tests {
    use crate::{
        model::fault::{KernelSymbol, Mapper},
        testing::*,
    };

    fn device() -> Fault {
        let mut fault = fault(7, 0);
        fault.inode.mode = 0o020_600;
        fault.handler = Handler::Unattributed;
        fault
    }

    #[test]
    fn a_device_has_no_end() {
        let verdict = evaluate(&evidence(&device(), &[]));
        assert_eq!(verdict.class, CauseKind::DeviceMapping);
        assert_eq!(verdict.confidence, Confidence::Likely);
    }

    #[test]
    fn the_function_that_was_asked_tells_what_its_refusal_means() {
        let said = |nobody, function: Option<&[u8]>| {
            let function = function.map(|name| KernelSymbol { name: name.to_vec(), module: None });
            let mapper = Mapper { nobody, function, ..Mapper::default() };
            let verdict = evaluate(&evidence(&Fault { mapper, ..device() }, &[]));
            assert_eq!(verdict.class, CauseKind::DeviceMapping);
            (verdict.confidence, verdict.summary)
        };
        let (sure, text) = said(false, Some(b"vfio_pci_mmap_fault"));
        assert!(sure == Confidence::Proven && text.contains("memory decoding"), "{text}");
        let (sure, text) = said(false, Some(b"some_fault"));
        assert!(sure == Confidence::Proven && text.contains("its function"), "{text}");
        let (sure, text) = said(true, None);
        assert!(sure == Confidence::Proven && text.contains("MADV_DONTNEED"), "{text}");
        let (sure, _) = said(false, None);
        assert_eq!(sure, Confidence::Likely);
    }

    /// arm64: the page is there, and whoever would be asked for one has not been asked.
    #[test]
    fn an_access_that_is_not_aligned_is_nobodys_refusal() {
        let misaligned = signal(1);
        let function = Some(KernelSymbol { name: b"kernfs_vma_fault".to_vec(), module: None });
        let asked = Mapper { function, ..Mapper::default() };
        for mapper in [asked, Mapper { nobody: true, ..Mapper::default() }] {
            let fault = Fault { mapper, ..device() };
            let signal = Some(&misaligned);
            let verdict = evaluate(&Evidence { signal, ..evidence(&fault, &[]) });
            assert_eq!(verdict.class, CauseKind::DeviceMapping);
            assert_eq!(verdict.confidence, Confidence::Likely);
            assert!(verdict.summary.contains("not aligned"), "{}", verdict.summary);
        }
    }

    #[test]
    fn who_may_have_taken_a_page_depends_on_the_mapping() {
        let said = |vm_flags| {
            let mapper = Mapper { nobody: true, ..Mapper::default() };
            evaluate(&evidence(&Fault { mapper, vm_flags, ..device() }, &[])).summary
        };
        // VM_PFNMAP and VM_DONTEXPAND: remap_pfn_range(); the second alone: io_uring.
        let (memory, ring) = (said(0x4_0400), said(0x4_0000));
        assert!(memory.contains("a driver has taken") && !memory.contains("longer"), "{memory}");
        assert!(ring.contains("gave it back itself") && !ring.contains("device"), "{ring}");
        assert!(said(0).ends_with("longer"));
    }

    #[test]
    fn a_socket_has_no_end_either() {
        let mut socket = device();
        socket.inode.mode = 0o140_777;
        assert_eq!(evaluate(&evidence(&socket, &[])).class, CauseKind::DeviceMapping);
        // selinuxfs: a regular file of size 0.
        let mut policy = device();
        policy.inode.mode = 0o100_400;
        assert_eq!(evaluate(&evidence(&policy, &[])).class, CauseKind::MappedPastEnd);
        let function = Some(KernelSymbol { name: b"sel_mmap_policy_fault".to_vec(), module: None });
        policy.mapper = Mapper { function, ..Mapper::default() };
        assert_eq!(evaluate(&evidence(&policy, &[])).class, CauseKind::DeviceMapping);
    }

    #[test]
    fn a_name_from_proc_does_too() {
        let signal = signal(2);
        let victim = ProcessId { tgid: VICTIM, start: STARTED };
        let class = |path: &[u8]| {
            let mapped = Mapped { victim, address: 0, path: path.to_vec() };
            evaluate(&Evidence { mapped: Some(&mapped), ..without_fault(&signal) }).class
        };
        assert_eq!(class(b"/dev/dri/card0"), CauseKind::DeviceMapping);
        assert_eq!(class(b"/dev/shm/x"), CauseKind::Unknown);
    }

    #[test]
    fn a_file_is_none() {
        let mut fault = fault(7, 0);
        fault.handler = Handler::Unattributed;
        assert_eq!(evaluate(&evidence(&fault, &[])).class, CauseKind::MappedPastEnd);
    }
}
