//! Shrinks for people: early warnings, and who may have done it on another host.
use crate::{
    contract::{Elsewhere, Remote, ShrunkFile, Truncation},
    explain::phrase::{arguments, lineage, mapped_by, served_by, who},
    render::style::Style,
    text::{
        escape::{escape, host_phrase},
        format::size,
    },
};

/// A field of an answer.
pub fn line(name: &str, text: &str, style: &Style) -> String {
    labelled(name, 8, text, style)
}

/// The same, in a wider column.
pub fn labelled(name: &str, width: usize, text: &str, style: &Style) -> String {
    let text = style.wrap(text, width + 3);
    format!("  {} {text}\n", style.paint("36", &format!("{name:<width$}")))
}

/// Who may have done it on another host, in an answer whose names of fields are so wide.
pub fn elsewhere(elsewhere: &Elsewhere, width: usize, style: &Style) -> String {
    let Elsewhere { culprit, host, remote, .. } = elsewhere;
    let mut out = String::new();
    let mut field = |name: &str, text: &str| out.push_str(&labelled(name, width, text, style));
    let who = style.paint("1", &who(culprit));
    let host = host_phrase(host);
    field("likely", &format!("by {who} on {host}  {}", arguments(culprit)));
    field("", &lineage(culprit));
    let path = elsewhere.path.as_ref().map_or_else(String::new, |path| escape(&path.0) + ", ");
    field("", &format!("which has it as {path}{}", served(remote)));
    field("", &elsewhere.summary);
    out
}

/// `10.0.0.5:/geo`
fn served(remote: &Remote) -> String {
    format!("{}:{}", escape(&remote.server.0), escape(&remote.export.0))
}

/// The early warning: a mapped file was shrunk. Or one that only other hosts may map.
pub fn truncation(truncation: &Truncation, style: &Style) -> Vec<u8> {
    let culprit = truncation.culprit.as_ref();
    let here = truncation.is_warning();
    let who = |culprit| style.paint("1", &who(culprit));
    let (label, what) = match culprit {
        None => ("warning", "a mapped file was shrunk elsewhere".to_owned()),
        Some(culprit) if here => {
            ("warning", format!("{} is shrinking a mapped file", who(culprit)))
        }
        Some(culprit) => {
            ("shrink", format!("{} shrank a file that other hosts may map", who(culprit)))
        }
    };
    let on = style.host(&truncation.host);
    let label = format!("{label}{on}{}", if on.is_empty() { "" } else { ":" });
    let label = style.paint("33", &label);
    let heading = format!("{}  {label} {what}", style.stamp(truncation.time));
    let mut out = format!("\n{}", style.heading(&heading));
    let mut field = |name: &str, text: &str| out.push_str(&line(name, text, style));
    let (old, new) = (size(truncation.old_size), size(truncation.new_size));
    field("file", &format!("{}  {old} → {new} by {}", warned_path(truncation), truncation.how));
    if let Some(culprit) = culprit {
        field("by", &arguments(culprit));
        field("", &lineage(culprit));
    }
    if let Some(remote) = &truncation.file.remote {
        field("server", &format!("{}, inode {}", served(remote), truncation.file.inode));
    }
    let ShrunkFile { server, server_why, .. } = &truncation.file;
    let process = served_by(server.as_ref(), server_why.as_deref());
    if let Some(text) = process.filter(|_| culprit.is_none()) {
        field("server", &text);
    }
    let at_risk = match &truncation.at_risk_why {
        Some(_) if !here => "not known".to_owned(),
        None if !here => "nobody on its own host; other hosts may map it".to_owned(),
        _ => mapped_by(&truncation.at_risk),
    };
    field("at risk", &at_risk);
    if let Some(why) = &truncation.at_risk_why {
        field("note", why);
    }
    out.into_bytes()
}

/// The file of a warning.
pub fn warned_path(truncation: &Truncation) -> String {
    let path = truncation.file.path.as_ref();
    path.map_or_else(|| "(name unknown)".to_owned(), |path| escape(&path.0))
}
