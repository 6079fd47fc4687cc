//! What was touched: the file, its mount, its size, and whose mapping it is.
use crate::{
    contract::{File, Incident, MappingDriver, Mount, Sizing},
    explain::phrase::who,
    model::cause::CauseKind,
    text::{
        escape::escape,
        format::{duration, size},
    },
};

/// The file, by name and identity.
pub fn file(incident: &Incident) -> Option<String> {
    let file = incident.file.as_ref()?;
    let path = file.path.as_ref().map_or_else(|| "(name unknown)".to_owned(), |p| escape(&p.0));
    let deleted = if file.deleted { " (deleted)" } else { "" };
    let fstype = file.fstype.as_ref().map_or_else(String::new, |name| escape(&name.0) + " ");
    let why = file.path_why.as_ref().map_or_else(String::new, |why| format!("; {why}"));
    Some(format!("{path}{deleted}  ({fstype}{}, inode {}{why})", file.dev, file.inode))
}

/// What is mounted where, if that is what matters: not where the node of a device is.
pub fn mount(incident: &Incident) -> Option<String> {
    let matters = incident.cause.class.known().cause().shows_mount;
    let file = incident.file.as_ref().filter(|file| matters && file.host_path.is_none())?;
    let mount = file.mount.as_ref()?;
    let of_node = mount.source.as_ref().is_some_and(|source| source.0 == b"devtmpfs");
    (!of_node).then(|| format!("{} on {}", source(mount), escape(&mount.point.0)))
}

fn source(mount: &Mount) -> String {
    let source =
        mount.source.as_ref().map_or_else(|| "(unknown)".to_owned(), |source| escape(&source.0));
    let file = mount.backing.as_ref().map(|file| format!(", which is {},", escape(&file.0)));
    source + &file.unwrap_or_default()
}

/// Where a victim in another mount namespace has its file, and what it is called here.
pub fn seen_as(file: &File) -> Option<String> {
    let here = file.host_path.as_ref()?;
    let mount = file.mount.as_ref()?;
    let source =
        mount.source.as_ref().map_or_else(String::new, |s| format!(" from {}", escape(&s.0)));
    let here = match here {
        Some(path) => format!("; here it is {}", escape(&path.0)),
        // Its mounts are asked for after the event.
        None => "; what it is here is not known: whoever had that mount ended too soon".to_owned(),
    };
    Some(format!("as the victim sees it, mounted at {}{source}{here}", escape(&mount.point.0)))
}

/// What the culprit called the file, where that is another name of it: a hard link, the other side of a bind mount.
pub fn other_name(incident: &Incident) -> Option<String> {
    let other = incident.cause.path.as_ref().filter(|other| incident.path() != Some(*other))?;
    Some(format!("its path for the file: {}", escape(&other.0)))
}

/// The volume of a container that it is on: `cache (empty-dir)`
pub fn volume(file: &File) -> Option<String> {
    let volume = file.volume.as_ref()?;
    Some(format!("{} ({})", escape(&volume.name.0), escape(&volume.kind.0)))
}

/// Who gave shared memory its size.
pub fn sized(file: &File) -> Option<String> {
    let Sizing { by, old_size, before_ns, .. } = file.sized.as_ref()?;
    let (from, to, ago) = (size(*old_size), size(file.size), duration(*before_ns));
    Some(format!("{to}, set (from {from}) by {} {ago} before the fault", who(by)))
}

/// How it was touched, and where.
pub fn touch(incident: &Incident) -> Option<String> {
    let fault = incident.fault.as_ref()?;
    let Some((offset, file)) = fault.file_offset.zip(incident.file.as_ref()) else {
        let mapping = fault.mapping.as_ref();
        let mapping = mapping.map_or_else(|| "anonymous memory".to_owned(), |m| escape(&m.0));
        let access = fault.access.as_ref().map_or_else(String::new, |a| format!("{a} in "));
        return Some(format!("{access}{mapping}, at {:#x}", fault.address.0));
    };
    let access = fault.access.as_ref().map_or_else(String::new, |access| format!("{access} at "));
    if incident.cause.class.known() == CauseKind::DeviceMapping {
        // Drivers put what they like into vm_pgoff: /dev/mem and PCI a physical address.
        let inside = fault.address.0.saturating_sub(file.mapping.start.0);
        let whole = file.mapping.end.0.saturating_sub(file.mapping.start.0);
        return Some(format!("{access}byte {inside} of the {} that it mapped", size(whole)));
    }
    Some(format!(
        "{access}offset {} ({offset}); file size at the fault: {}",
        size(offset),
        size(file.size),
    ))
}

/// What to call whoever refused the page: of a file it is its file system's handler.
pub fn driver_field(incident: &Incident) -> &'static str {
    match incident.cause.class.known() {
        CauseKind::DeviceMapping => "driver",
        _ => "handler",
    }
}

/// Who was asked for the page and refused; or whose mapping it is, where nobody was asked.
pub fn driver(incident: &Incident) -> Option<String> {
    let driver = incident.fault.as_ref()?.driver.as_ref()?;
    let MappingDriver { function, vm_ops, file_ops, module, device, bound } = driver;
    let code = incident.signal.as_ref().and_then(|signal| signal.code_name.as_deref());
    let nobody = code == Some("BUS_ADRALN");
    let table = vm_ops.as_ref().or(file_ops.as_ref());
    let asked = match (function, table) {
        (Some(function), _) => format!("{}() refused the page", escape(&function.0)),
        (None, Some(table)) if nobody => escape(&table.0),
        (None, Some(table)) => format!("{} has no fault handler to ask", escape(&table.0)),
        (None, None) => "the kernel does not show the driver's name".to_owned(),
    };
    let known = function.is_some() || table.is_some();
    let module = match module {
        Some(module) => format!(", of module {}", escape(&module.0)),
        None if known => ", built into the kernel".to_owned(),
        None => String::new(),
    };
    let device = device.as_ref().map_or_else(String::new, |number| format!("; device {number}"));
    let bound =
        bound.as_ref().map_or_else(String::new, |by| format!(", driven by {}", escape(&by.0)));
    Some(format!("{asked}{module}{device}{bound}"))
}
