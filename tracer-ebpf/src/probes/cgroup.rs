//! Cgroups as they are made: a process may be gone with its cgroup before anybody else could ask what that
//! was called.
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use tracer_common::{
    event::{CGROUP_PATH, Cgroup, ring},
    offsets::ABSENT,
};

use crate::{
    emit::{claim, emit},
    form::{Call, program},
    globals::{config, off},
    read::{Ptr, Read},
    scratch::{CGROUP, namer},
    task,
};

program! {
    /// `cgroup_mkdir(struct cgroup *cgrp, const char *path)` (include/trace/events/cgroup.h): before anybody
    /// can enter it (kernel/cgroup/cgroup.c cgroup_mkdir). The path is that from the root of the hierarchy.
    tp_btf "cgroup_mkdir" => cgroup_mkdir, if is_ours, made: name::<{ namer::MKDIR }, _>
}
program! {
    /// `cgroup_rename(struct cgroup *cgrp, const char *path)`: with its new name; v1 only.
    tp_btf "cgroup_rename" => cgroup_rename, if is_ours,
    renamed: name::<{ namer::RENAME }, _>
}

/// Whether it belongs to the hierarchy that names the cgroups of tasks.
#[inline(always)]
fn is_ours<C: Call>(call: C) -> bool {
    if off!(cgroup_root) == ABSENT || off!(root_hierarchy) == ABSENT {
        return false;
    }
    // SAFETY: the argument is what the prototype says; the reader copes with any pointer.
    unsafe {
        let root: Ptr = C::Memory::get(call.arg::<0>() as Ptr, off!(cgroup_root));
        C::Memory::get::<u32>(root, off!(root_hierarchy)) == config!(cgroup_hierarchy)
    }
}

#[inline(always)]
unsafe fn name<const BY: u32, C: Call>(call: C) {
    let Some(scratch) = claim::<Cgroup, _>(&CGROUP, BY, ring::BULK) else { return };
    // SAFETY: a claimed scratch; the readers cope with any pointer.
    unsafe {
        let event = &raw mut (*scratch).value.event;
        (*event).id = task::cgroup_id::<C::Memory>(call.arg::<0>() as Ptr);
        let mut len = 0;
        if config!(read_kernel) != 0 {
            let name = (&raw mut (*scratch).value.name).cast();
            let path = call.arg::<1>() as *const _;
            let read = bpf_probe_read_kernel_str(name, CGROUP_PATH as u32, path);
            // Without its NUL. The mask is for the verifier: no more than CGROUP_PATH are read.
            if read > 0 {
                len = (read as u32 - 1) & (CGROUP_PATH as u32 - 1);
            }
        }
        (*event).path_len = len;
        emit(scratch, size_of::<Cgroup>() as u32 + len);
    }
}
