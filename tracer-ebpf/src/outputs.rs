//! Where standard output and standard error of the current process lead, told before its end is: once that is told, they
//! are closed.
use aya_ebpf::{
    helpers::{
        bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
        generated::{bpf_get_current_task, bpf_probe_read_kernel_str},
    },
    macros::map,
    maps::LruHashMap,
};
use tracer_common::{
    event::{Output, PATH, SOCKET_NAME, ring},
    maps::OUTPUTS_OF_USER,
    offsets::ABSENT,
};

use crate::{
    emit::{claim, emit},
    globals::{config, off},
    inode::{file_type, inode},
    path::{self, PathSpace},
    read::{Probe, Ptr, Read, is_null},
    scratch::OUTPUT,
    sent::{Window, fits},
};

/// By cgroup and user, as stacks are counted.
#[map]
static OUTPUT_USERS: LruHashMap<[u64; 2], Window> = LruHashMap::with_max_entries(1024, 0);

/// include/uapi/linux/stat.h
const S_IFIFO: u16 = 0o010_000;
const S_IFSOCK: u16 = 0o140_000;
/// include/uapi/linux/magic.h
const PIPEFS_MAGIC: u64 = 0x5049_5045;
/// include/linux/socket.h
const AF_UNIX: u16 = 1;
/// Where `sockaddr_un` has its path (include/uapi/linux/un.h).
const SUN_PATH: u32 = 2;

/// Tells both; `by` is one of [`late`](crate::scratch::late).
#[inline(always)]
pub fn of_current(by: u32) {
    if config!(read_kernel) == 0 || !are_known() {
        return;
    }
    // SAFETY: no preconditions.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    let user = bpf_get_current_uid_gid() as u32;
    if fits(&OUTPUT_USERS, [cgroup, user as u64], OUTPUTS_OF_USER) {
        whybus_tell_output(by as u64, 1);
        whybus_tell_output(by as u64, 2);
    }
}

/// Whether this kernel has what open files are found by.
#[inline(always)]
fn are_known() -> bool {
    off!(task_files) != ABSENT
        && off!(files_fdt) != ABSENT
        && off!(fdt_fd) != ABSENT
        && off!(file_pos) != ABSENT
        && off!(mount_id) != ABSENT
}

/// A function of its own, as `program::whybus_tell_program` is. Under lockdown nothing is told: a table of pointers has no
/// type that a plain load could follow.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn whybus_tell_output(by: u64, number: u64) -> u64 {
    if config!(read_kernel) != 0 {
        // SAFETY: probe reads cope with any pointer.
        unsafe { tell(by as u32, number as u32) };
    }
    0
}

#[inline(always)]
unsafe fn tell(by: u32, number: u32) -> Option<()> {
    // SAFETY: probe reads cope with any pointer; a claimed scratch.
    unsafe {
        let task = bpf_get_current_task() as Ptr;
        let files: Ptr = Probe::get(task, off!(task_files));
        let (out, err) = (open(files, 1), open(files, 2));
        // Both in one.
        if is_null(files) || (number == 2 && out == err) {
            return None;
        }
        let file = (if number == 1 { out } else { err }) as Ptr;
        let scratch = claim::<Output, _>(&OUTPUT, by, ring::CRITICAL)?;
        let event = &raw mut (*scratch).value.event;
        let leader: Ptr = Probe::get(task, off!(task_leader));
        (*event).start_time = Probe::get(leader, off!(task_start));
        (*event).tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
        (*event).descriptors = if out == err { 1 << 1 | 1 << 2 } else { 1 << number };
        let mut len = 0;
        if !is_null(file) {
            let path = &raw mut (*scratch).value.path;
            let node: Ptr = Probe::get(file, off!(file_inode));
            inode::<Probe>(&raw mut (*event).inode, node);
            (*event).file_mode = Probe::get(file, off!(file_mode));
            (*event).position = Probe::get(file, off!(file_pos));
            (*event).device = Probe::get(node, off!(inode_rdev));
            let kind = file_type::<Probe>(node);
            if kind == S_IFSOCK {
                if !are_sockets_known() {
                    return None;
                }
                peer(event, file);
            } else if kind != S_IFIFO || (*event).inode.magic != PIPEFS_MAGIC {
                mount(event, task, file);
                path::of_file::<Probe>(path, file);
                (*event).path_flags = PathSpace::flags(path);
                len = PathSpace::len(path) & (PATH as u32 - 1);
            }
            // Whoever shares the table may have closed it meanwhile.
            if open(files, number) != file as u64 {
                return None;
            }
        }
        (*event).path_len = len;
        emit(scratch, size_of::<Output>() as u32 + len);
    }
    Some(())
}

/// The `struct file` of a descriptor; 0 if it is closed. No table is smaller (include/linux/fdtable.h NR_OPEN_DEFAULT).
#[inline(always)]
unsafe fn open(files: Ptr, number: u32) -> u64 {
    // SAFETY: probe reads cope with any pointer.
    unsafe {
        let table: Ptr = Probe::get(files, off!(files_fdt));
        let all: Ptr = Probe::get(table, off!(fdt_fd));
        Probe::get(all, 8 * number)
    }
}

/// Whose path it is that the file has.
#[inline(always)]
unsafe fn mount(event: *mut Output, task: Ptr, file: Ptr) {
    // SAFETY: probe reads cope with any pointer; points into a claimed scratch.
    unsafe {
        let proxy: Ptr = Probe::get(task, off!(task_nsproxy));
        let namespace: Ptr = Probe::get(proxy, off!(nsproxy_mnt));
        (*event).mnt_ns = Probe::get(namespace, off!(mnt_ns_inum));
        let mnt: u64 = Probe::get(file, off!(file_path_mnt));
        // fs/mount.h real_mount()
        let mount = mnt.wrapping_sub(off!(mount_mnt) as u64) as Ptr;
        (*event).mount = Probe::get(mount, off!(mount_id));
    }
}

/// The same of Unix sockets.
#[inline(always)]
fn are_sockets_known() -> bool {
    off!(file_private) != ABSENT
        && off!(socket_sk) != ABSENT
        && off!(sock_family) != ABSENT
        && off!(unix_peer) != ABSENT
        && off!(unix_addr) != ABSENT
        && off!(unix_path_dentry) != ABSENT
        && off!(unix_name) != ABSENT
}

/// What the other end of a Unix socket is bound to.
#[inline(always)]
unsafe fn peer(event: *mut Output, file: Ptr) {
    // SAFETY: as in `mount`; what a socket is says its family.
    unsafe {
        let socket: Ptr = Probe::get(file, off!(file_private));
        let sock: Ptr = Probe::get(socket, off!(socket_sk));
        if Probe::get::<u16>(sock, off!(sock_family)) != AF_UNIX {
            return;
        }
        let peer: Ptr = Probe::get(sock, off!(unix_peer));
        let address: u64 = Probe::get(peer, off!(unix_addr));
        let dentry: Ptr = Probe::get(peer, off!(unix_path_dentry));
        let node: Ptr = Probe::get(dentry, off!(dentry_inode));
        if is_null(peer) || address == 0 || is_null(node) {
            return;
        }
        let sb: Ptr = Probe::get(node, off!(inode_sb));
        (*event).bound_ino = Probe::get(node, off!(inode_ino));
        (*event).bound_dev = Probe::get(sb, off!(sb_dev));
        let name = address.wrapping_add((off!(unix_name) + SUN_PATH) as u64);
        let out = (&raw mut (*event).bound).cast();
        bpf_probe_read_kernel_str(out, SOCKET_NAME as u32, name as *const _);
    }
}
