//! What `whybus doctor` says, for people.
use crate::{contract::Doctor, text::escape::escape};

/// `modules`: for each of `pending` what it waits for.
pub fn human(report: &Doctor, modules: &[&str]) -> Vec<u8> {
    let Doctor { hooks, blind, pending, unexplained, culprit, paths, .. } = report;
    let lockdown = report.lockdown.as_deref().unwrap_or("unknown (no securityfs)");
    let mut out = format!("kernel    {}\n", escape(report.kernel.as_bytes()));
    out.push_str(&format!("lockdown  {lockdown}\n"));
    for hook in hooks {
        out.push_str(&format!("attached  {hook}\n"));
    }
    for missing in blind {
        out.push_str(&format!(
            "missing   {}: {}\n          blind for: {}\n",
            missing.hook,
            escape(missing.reason.as_bytes()),
            missing.causes,
        ));
    }
    for (hook, module) in pending.iter().zip(modules) {
        out.push_str(&format!("waiting   {hook}: attached once module {module} is there\n"));
    }
    out.push_str(&format!("explains  {} of {} causes", report.explained, report.total));
    out.push_str(&match unexplained.as_slice() {
        [] => "\n".to_owned(),
        causes => {
            let names: Vec<&str> = causes.iter().map(|name| &**name).collect();
            format!("; not: {}\n", names.join(", "))
        }
    });
    out.push_str(&format!("culprits  by {culprit}\npaths     {paths}\n"));
    out.push_str(match blind.as_slice() {
        [] => "ready     run `whybus trace`, or `whybus demo` to see an answer\n",
        _ => "partly    `whybus trace` works, but blind as said above\n",
    });
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Blind;

    #[test]
    fn what_is_missing_is_said() {
        let ready = Doctor {
            kernel: "6.12".into(),
            lockdown: None,
            hooks: vec!["fexit filemap_fault".into()],
            blind: Vec::new(),
            culprit: "typed loads".into(),
            paths: "whole, across mounts".into(),
            pending: vec!["fentry fuse_open".into()],
            explained: 23,
            total: 23,
            unexplained: Vec::new(),
        };
        let text = |report: &Doctor| String::from_utf8(human(report, &["fuse"])).expect("text");
        assert_eq!(
            text(&ready),
            "kernel    6.12\nlockdown  unknown (no securityfs)\nattached  fexit filemap_fault\n\
             waiting   fentry fuse_open: attached once module fuse is there\n\
             explains  23 of 23 causes\nculprits  by typed loads\npaths     whole, across mounts\n\
             ready     run `whybus trace`, or `whybus demo` to see an answer\n"
        );
        let blind = Blind {
            hook: "tp_btf signal_generate".into(),
            reason: "not there".into(),
            causes: "who sent it".into(),
        };
        let partly = Doctor { blind: vec![blind], unexplained: vec!["sent".into()], ..ready };
        assert!(text(&partly).contains(
            "missing   tp_btf signal_generate: not there\n          blind for: who sent it\n"
        ));
        assert!(text(&partly).contains("23 of 23 causes; not: sent\n"));
        assert!(text(&partly).ends_with("but blind as said above\n"));
    }
}
