//! The fault and its file.
use super::{at, process::process, text};
use crate::{
    contract::{self, Hex, Label, Mount, Server},
    correlate::incident::{File as VictimFile, Incident},
    model::{
        fault::{Access, Fault, Handler, KernelSymbol, Mapper, Mode},
        host::Host,
        server::FuseServer,
        shrink::Shrink,
        signal::Signal,
        time::ClockOffset,
        volume::volume as volume_of,
    },
};

pub(super) fn fault(incident: &Incident, host: &Host) -> Option<contract::Fault> {
    let fault = incident.fault.as_ref()?;
    let (address, exact) = incident.address().unwrap_or((fault.address, false));
    Some(contract::Fault {
        access: access(fault.access).map(Into::into),
        mode: match fault.mode {
            Mode::User => "user",
            Mode::Kernel => "kernel",
            Mode::Remote => "remote",
        }
        .into(),
        address: Hex(address),
        address_exact: exact,
        ip: fault.ip.map(Hex),
        file_offset: incident.file_offset(host.page_size),
        pgoff: fault.pgoff,
        mapping: fault.mapping().as_deref().map(text),
        handler: handler(fault.handler).into(),
        read_errno: fault.read_errno.and_then(i32::checked_neg),
        write_errno: fault.refusal.errno.and_then(i32::checked_neg),
        driver: driver(incident, fault),
        owner_pid: fault.owner_tgid,
        count: incident.count,
        threads: incident.threads.len() as u64,
    })
}

/// Whose mapping it is, where the kernel told.
fn driver(incident: &Incident, fault: &Fault) -> Option<contract::MappingDriver> {
    let Mapper { device, function, vm_ops, file_ops, .. } = &fault.mapper;
    let misaligned = incident.signal.as_ref().is_some_and(Signal::is_misaligned);
    if misaligned && !fault.of_driver() {
        return None;
    }
    let function = if misaligned { &None } else { function };
    let known = [function, vm_ops, file_ops];
    if known.iter().all(|symbol| symbol.is_none()) && !fault.inode.device() {
        return None;
    }
    let name = |symbol: &Option<KernelSymbol>| symbol.as_ref().map(|symbol| text(&symbol.name));
    // Whoever has no vm_ops of its own, and no function there, has file operations.
    let module = known.into_iter().flatten().find_map(|symbol| symbol.module.as_deref());
    let bound = incident.driver.as_ref().filter(|bound| Some(bound.device) == *device);
    Some(contract::MappingDriver {
        function: name(function),
        vm_ops: name(vm_ops),
        file_ops: name(file_ops),
        module: module.map(text),
        device: device.map(|dev| dev.to_string().into()),
        bound: bound.map(|bound| text(&bound.name)),
    })
}

fn handler(handler: Handler) -> &'static str {
    match handler {
        Handler::FilemapFault => "filemap_fault",
        Handler::ShmemFault => "shmem_fault",
        Handler::PageMkwrite => "do_page_mkwrite",
        Handler::HugetlbFault => "hugetlb_fault",
        Handler::SpecialMappingFault => "special_mapping_fault",
        Handler::Userfault => "handle_userfault",
        Handler::DaxIomapFault => "dax_iomap_fault",
        Handler::Unattributed => "force_sig_fault",
        Handler::Other(_) => "unknown",
    }
}

/// The access as one word, if known.
fn access(access: Access) -> Option<&'static str> {
    match access {
        Access::Read => Some("read"),
        Access::Write => Some("write"),
        Access::Exec => Some("exec"),
        Access::Unknown => None,
    }
}

/// `contained`: its victim is in a container.
pub(super) fn file(incident: &Incident, host: &Host, contained: bool) -> Option<contract::File> {
    let (fault, file) = (incident.fault.as_ref()?, incident.file.as_ref()?);
    let inode = &fault.inode;
    Some(contract::File {
        path: file.path.as_deref().map(text),
        dev: inode.id.dev.to_string().into(),
        inode: inode.id.ino,
        generation: inode.id.generation,
        fstype: file.fstype(inode.magic).as_deref().map(text),
        size: inode.size,
        nlink: inode.nlink,
        deleted: file.deleted,
        mount: file.mount.as_ref().map(|mount| Mount {
            point: text(&mount.point),
            source: mount.source.as_deref().map(text),
            address: mount.address.as_deref().map(text),
            backing: mount.backing.as_deref().map(text),
        }),
        mapping: contract::Mapping {
            start: Hex(fault.vm_start),
            end: Hex(fault.vm_end),
            file_offset: fault.vm_pgoff.saturating_mul(host.page_size),
        },
        sized: incident.sized.as_ref().map(|act| sizing(act, incident)),
        path_why: file.why.map(Into::into),
        host_path: file.foreign.then(|| file.outside.as_deref().map(text)),
        volume: volume(file, contained),
        server: server(incident.server.as_ref(), incident.clock),
        server_why: server_why(incident.server.as_ref()),
    })
}

/// What its path on the host says of a volume. A directory of the host is none where nobody is in a container: a unit
/// with mounts of its own has no volumes.
fn volume(file: &VictimFile, contained: bool) -> Option<contract::Volume> {
    let point = file.mount.as_ref().filter(|_| contained).map(|mount| &mount.point[..]);
    let found = match file.foreign {
        true => volume_of(file.outside.as_deref()?, file.path.as_deref().zip(point))?,
        false => volume_of(file.path.as_deref()?, None)?,
    };
    Some(contract::Volume { kind: text(found.kind), name: text(found.name) })
}

pub(super) fn server(found: Option<&FuseServer>, clock: ClockOffset) -> Option<Server> {
    let server = found?.process.as_ref()?;
    Some(Server {
        pid: server.id.tgid,
        start_time: at(clock, server.id.start),
        comm: text(&server.comm),
        exe: server.exe.as_deref().map(text),
        confidence: server.by.confidence().into(),
        by: server.by.word().into(),
    })
}

pub(super) fn server_why(found: Option<&FuseServer>) -> Option<Label> {
    let nobody = found?.process.is_none();
    nobody.then(|| "no process of its host serves it any more".into())
}

fn sizing(act: &Shrink, incident: &Incident) -> contract::Sizing {
    let clock = incident.clock;
    contract::Sizing {
        by: process(&act.actor, None, clock),
        old_size: act.inode.size,
        time: at(clock, act.begin),
        before_ns: incident.first.saturating_sub(act.begin),
    }
}
