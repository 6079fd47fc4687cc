//! What an incident says, as the scripts of scenarios expect it.
use std::path::Path;

use serde_json::{Map, Value, json};
use whybus::{
    contract::{Frame, Incident, Module, Output, OutputKind, Process, Untrusted},
    explain::phrase::claimed,
    model::cause::Confidence,
};

use crate::{record::plain, root};

/// What an incident says, without what differs from run to run: pids, times, addresses.
pub fn normal(incident: &Incident) -> Map<String, Value> {
    let (cause, fault, file) = (&incident.cause, &incident.fault, &incident.file);
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        let empty =
            value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value == false;
        if !empty {
            out.insert(key.to_owned(), value);
        }
    };
    put("says", (*cause.summary).into());
    put("class", cause.class.name().into());
    put("confidence", cause.confidence.name().into());
    put("victim", plain(&incident.victim.comm).into());
    put("cgroup", text(incident.victim.cgroup.as_ref()).into());
    put("unit", text(incident.victim.unit.as_ref()).into());
    put("container", incident.victim.container.as_ref().map(|inside| inside.id.to_string()).into());
    put("exe", text(incident.victim.exe.as_ref()).into());
    if let Some(told) = &incident.victim.output {
        put("stdout", told.stdout.as_ref().map(output).into());
        put("stderr", told.stderr.as_ref().map(output).into());
    }
    if let Some(fault) = fault {
        put("access", fault.access.as_deref().into());
        put("mode", (*fault.mode).into());
        // Without a signal 5.10 tells only the page.
        put("offset", fault.file_offset.into());
    }
    let path = text(incident.path());
    if let Some(file) = file {
        put("size", file.size.into());
        put("deleted", file.deleted.into());
        let server = file.server.as_ref().map(|server| {
            let sure = server.confidence.known() == Confidence::Proven;
            let probably = if sure { "" } else { "probably " };
            format!("{probably}{} by {}", plain(&server.comm), &*server.by)
        });
        let why = || file.server_why.as_ref().map(ToString::to_string);
        put("server", server.or_else(why).into());
        put("sized_by", file.sized.as_ref().map(|sized| plain(&sized.by.comm)).into());
        // Only of a victim in other namespaces.
        if let Some(Some(host)) = &file.host_path {
            put("host_path", without_numbers(&plain(host)).into());
            let mount = file.mount.as_ref();
            let (source, point) =
                (mount.and_then(|m| text(m.source.as_ref())), mount.map(|m| plain(&m.point)));
            let shown = |text: Option<String>| text.unwrap_or_else(|| "?".to_owned());
            put("mount", format!("{} on {}", shown(source), shown(point)).into());
        }
    }
    put("path", path.clone().into());
    // Only where the culprit knew it by another name.
    put("as", text(cause.path.as_ref()).filter(|other| Some(other) != path.as_ref()).into());
    let mapping = fault.as_ref().and_then(|fault| fault.mapping.as_ref());
    put("mapping", text(mapping.or(cause.mapping.as_ref())).into());
    if let Some(driver) = fault.as_ref().and_then(|fault| fault.driver.as_ref()) {
        put("driver", text(driver.function.as_ref().or(driver.vm_ops.as_ref())).into());
        put("module", text(driver.module.as_ref()).into());
        put("device", driver.device.as_deref().into());
    }
    put("how", cause.how.as_deref().into());
    put("old", cause.old_size.into());
    put("new", cause.new_size.into());
    if let Some(culprit) = &cause.culprit {
        let Process { comm, exe, cmdline, ancestors, .. } = culprit;
        put("culprit", plain(comm).into());
        put("culprit_exe", text(exe.as_ref()).into());
        put("culprit_cgroup", text(culprit.cgroup.as_ref()).into());
        put("claims", claimed(culprit).into());
        let words = |args: &Vec<Untrusted>| args.iter().map(plain).collect::<Vec<_>>().join(" ");
        put("cmdline", cmdline.as_ref().map(words).into());
        put("parents", ancestors.iter().map(|parent| plain(&parent.comm)).collect());
        put("login_uid", culprit.login_uid.into());
        put("session", culprit.audit_session.is_some().into());
        put("tty", text(culprit.tty.as_ref()).into());
    }
    put("limit", cause.memory.as_ref().map(|memory| memory.limit).into());
    put("of", cause.memory.as_ref().map(|memory| plain(&memory.cgroup)).into());
    if let Some(oom) = &cause.oom {
        put("ran_out", (*oom.ran_out).into());
        let own = oom.chosen.pid == incident.victim.pid;
        put("chosen", if own { "itself" } else { "another" }.into());
    }
    let others = cause.others.iter();
    put("others", others.map(|o| json!([plain(&o.comm), o.old_size, o.new_size])).collect());
    if incident.victim.ns_pid != Some(incident.victim.pid) {
        put("ns_pid", incident.victim.ns_pid.into());
    }
    if let Some(signal) = &incident.signal {
        put("signal", signal.code_name.as_deref().into());
        put("disposition", signal.disposition.as_deref().into());
    }
    put("outcome", incident.outcome.name().into());
    let exit = incident.exit.as_ref().and_then(|exit| match (exit.signal, exit.code) {
        (Some(signal), _) => Some(format!("signal {signal}")),
        (None, code) => code.map(|code| format!("status {code}")),
    });
    put("exit", exit.into());
    put("count", fault.as_ref().map_or(1, |fault| fault.count).into());
    put("complete", incident.complete.into());
    put("calls", calls(incident).into());
    let replaced = incident.modules.iter().filter(|file| file.replaced_by.is_some());
    put("replaced", names(replaced).into());
    // Of a bus error the file that was touched is told above.
    let changed = incident.modules.iter().filter(|_| fault.is_none());
    let start = incident.victim.start_time;
    let changed =
        changed.filter(|file| !file.removed && start.is_some_and(|start| start < file.changed));
    put("changed", names(changed).into());
    put("lines", lines(incident).into());
    out
}

/// `file /l: tail /l`, `pipe tee`, `null`
pub fn output(output: &Output) -> String {
    let terminal = output.kind.known() == OutputKind::Terminal;
    let path = output.path.as_ref().filter(|_| !terminal).map(plain);
    let reader = output.reader.as_ref().map(|reader| plain(&reader.comm));
    let words: Vec<String> =
        [Some(output.kind.name().to_owned()), path, reader].into_iter().flatten().collect();
    let command = output.command.as_ref().map_or_else(String::new, |c| format!(": {}", plain(c)));
    words.join(" ") + &command
}

/// What files are called, without their directories.
fn names<'a>(modules: impl Iterator<Item = &'a Module>) -> Option<String> {
    let paths = modules.map(|module| plain(&module.path));
    let names: Vec<String> =
        paths.filter_map(|path| Some(path.rsplit('/').next()?.to_owned())).collect();
    (!names.is_empty()).then(|| names.join(" "))
}

/// Pids in a path of /proc as `N`.
fn without_numbers(path: &str) -> String {
    let words = path.split('/').map(|word| match word.parse::<u32>() {
        Ok(_) => "N",
        Err(_) => word,
    });
    words.collect::<Vec<_>>().join("/")
}

/// The functions of the victim's own program among its frames, innermost first; those that are not the author's left out
/// (`_start`, and the C library's in a static program).
fn calls(incident: &Incident) -> Option<String> {
    let frames = &incident.stack.as_ref()?.user;
    let exe = text(incident.victim.exe.as_ref())?;
    let own = frames.iter().filter(|frame| text(frame.module.as_ref()).as_ref() == Some(&exe));
    let names = own.filter_map(|frame| text(frame.symbol.as_ref()));
    let names: Vec<String> = names.filter(|name| !name.starts_with('_')).collect();
    (!names.is_empty()).then(|| names.join(" ← "))
}

/// What stands in the source at the lines of the victim's frames, innermost first, as far as lines are told.
fn lines(incident: &Incident) -> Option<String> {
    let frames = &incident.stack.as_ref()?.user;
    let line = |frame: &Frame| {
        let file = text(frame.source.as_ref())?;
        let path = root().join("xtask/guest").join(Path::new(&file).file_name()?);
        let source = std::fs::read_to_string(path).ok()?;
        let nth = usize::try_from(frame.line?).ok()?.checked_sub(1)?;
        Some(source.lines().nth(nth).map_or("no line", str::trim).to_owned())
    };
    let lines: Vec<String> = frames.iter().filter_map(line).collect();
    (!lines.is_empty()).then(|| lines.join(" ← "))
}

fn text(value: Option<&Untrusted>) -> Option<String> {
    value.map(plain)
}
