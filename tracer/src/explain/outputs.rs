//! Where a victim spoke to, in words. Pure.
use crate::{
    contract::{Incident, Output, OutputKind},
    explain::{next::on_host, phrase::who_else},
    model::host::Here,
    text::escape::{escape, word},
};

const LOST: &str = ": what it said is lost";

/// `stdout and stderr went to the journal: journalctl _PID=7 …`, or one of each; none where nothing is known.
/// Its command is for the host of the death, which is named if `here` is another.
pub fn spoke(incident: &Incident, here: Option<&Here>) -> Vec<String> {
    let on = on_host(incident, here);
    let Some(told) = incident.victim.output.as_deref() else { return Vec::new() };
    let went = |what: &str, output: &Output| went(what, output, told.at_start, &on);
    match (&told.stdout, &told.stderr) {
        (Some(out), Some(err)) if out == err => vec![went("stdout and stderr", out)],
        (out, err) => {
            let one = |name, output: &Option<Output>| output.as_ref().map(|one| went(name, one));
            // The last words are most often here.
            one("stderr", err).into_iter().chain(one("stdout", out)).collect()
        }
    }
}

fn went(what: &str, output: &Output, at_start: bool, on: &str) -> String {
    // It may have opened another since.
    let (when, lost) = if at_start { (" when it started", "") } else { ("", LOST) };
    // In quotes, unless it is plain: `a: ls` is no file and a command.
    let path = || output.path.as_ref().map(|path| word(&path.0));
    let named =
        |kind: &str| path().map_or_else(|| kind.to_owned(), |path| format!("{kind} {path}"));
    let held = output.reader.as_ref().map(who_else);
    let to = match output.kind.known() {
        OutputKind::Closed => return format!("{what} {} closed{when}{lost}", were(what)),
        OutputKind::Null => return format!("{what} went to /dev/null{when}{lost}"),
        OutputKind::File if output.deleted => format!("{} (deleted)", named("file")),
        OutputKind::File if output.foreign => {
            format!("{} (in its mount namespace)", named("file"))
        }
        OutputKind::File => path().unwrap_or_else(|| "a file".to_owned()),
        OutputKind::Journal => "the journal".to_owned(),
        OutputKind::ContainerLog => match held {
            Some(held) => format!("the log of its container, by {held}"),
            None => "the log of its container".to_owned(),
        },
        OutputKind::Pipe => match held {
            Some(held) => format!("{}, whose other end {held} has", named("a pipe")),
            None => named("a pipe"),
        },
        OutputKind::Terminal => named("terminal"),
        OutputKind::Device => named("device"),
        OutputKind::Socket => "a socket".to_owned(),
    };
    // It is pasted into a shell: what could not stand here as it is would do something else there.
    let command = output.command.as_ref().map(|command| (escape(&command.0), command));
    let command =
        command.and_then(|(shown, as_it_is)| (shown.as_bytes() == as_it_is.0).then_some(shown));
    command.map_or_else(
        || format!("{what} went to {to}{when}"),
        |command| format!("{what} went to {to}{when}: {on}{command}"),
    )
}

fn were(what: &str) -> &'static str {
    if what.contains(" and ") { "were" } else { "was" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Ancestor, Outputs, Untrusted, samples::full_incident};

    fn output(kind: OutputKind) -> Output {
        let (path, inode, reader, command) = (None, None, None, None);
        Output { kind: kind.into(), path, deleted: false, foreign: false, inode, reader, command }
    }

    fn told(stdout: Option<Output>, stderr: Option<Output>) -> Vec<String> {
        let mut incident = full_incident();
        incident.victim.output = Some(Box::new(Outputs { stdout, stderr, at_start: false }));
        spoke(&incident, None)
    }

    fn both(one: Output) -> String {
        told(Some(one.clone()), Some(one)).concat()
    }

    fn text(text: &str) -> Option<Untrusted> {
        Some(Untrusted(text.as_bytes().to_vec()))
    }

    #[test]
    fn each_kind_has_its_words() {
        let lost = "what it said is lost";
        assert_eq!(
            both(output(OutputKind::Null)),
            format!("stdout and stderr went to /dev/null: {lost}")
        );
        assert_eq!(
            both(output(OutputKind::Closed)),
            format!("stdout and stderr were closed: {lost}")
        );
        let log = Output { path: text("/l"), command: text("tail /l"), ..output(OutputKind::File) };
        assert_eq!(
            told(Some(output(OutputKind::Null)), Some(log.clone())),
            ["stderr went to /l: tail /l".to_owned(), format!("stdout went to /dev/null: {lost}"),]
        );
        let inside = Output { foreign: true, command: None, ..log.clone() };
        assert_eq!(told(None, Some(inside)), ["stderr went to file /l (in its mount namespace)"]);
        let path = text("/l: sh x");
        let odd = Output { path, command: text(r"tail '/a'\''b'"), ..log.clone() };
        assert_eq!(told(None, Some(odd)), ["stderr went to '/l: sh x'"]);
        let gone = Output { deleted: true, command: None, ..log };
        assert_eq!(told(None, Some(gone)), ["stderr went to file /l (deleted)"]);
        let reader = Some(Ancestor { pid: 7, comm: Untrusted(b"tee".to_vec()) });
        let pipe = Output { reader: reader.clone(), ..output(OutputKind::Pipe) };
        assert_eq!(both(pipe), "stdout and stderr went to a pipe, whose other end tee[7] has");
        let command = text("podman logs --tail 50 web");
        let log = Output { reader, command, ..output(OutputKind::ContainerLog) };
        let by = "the log of its container, by tee[7]: podman logs --tail 50 web";
        assert_eq!(both(log), format!("stdout and stderr went to {by}"));
        let mut there = full_incident();
        let stderr = Some(Output { command: text("tail /l"), ..output(OutputKind::File) });
        there.victim.output = Some(Box::new(Outputs { stdout: None, stderr, at_start: false }));
        let here = Here { name: "other".to_owned(), boot_id: "other".to_owned() };
        let on = format!("stderr went to a file: on {}: tail /l", there.host);
        assert_eq!(spoke(&there, Some(&here)), [on]);
        let pipe = |inode| Some(Output { inode: Some(inode), ..output(OutputKind::Pipe) });
        assert_eq!(told(pipe(1), pipe(2)), ["stderr went to a pipe", "stdout went to a pipe"]);
        assert_eq!(told(pipe(1), pipe(1)), ["stdout and stderr went to a pipe"]);
        assert_eq!(told(None, None), [] as [String; 0]);
        let mut incident = full_incident();
        let stderr = Some(output(OutputKind::Null));
        incident.victim.output = Some(Box::new(Outputs { stdout: None, stderr, at_start: true }));
        assert_eq!(spoke(&incident, None), ["stderr went to /dev/null when it started"]);
        let stderr = Some(Output { command: text("tail /l"), ..output(OutputKind::File) });
        incident.victim.output = Some(Box::new(Outputs { stdout: None, stderr, at_start: true }));
        let told = spoke(&incident, None);
        assert_eq!(told, ["stderr went to a file when it started: tail /l"]);
    }
}
