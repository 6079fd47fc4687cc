//! What hooks cost, and what their forms cannot detect.
use crate::{contract::Observed, model::observe::Observe, text::escape::escape};

/// Things that are seen, or would be.
pub fn watched(observed: &[Observed]) -> impl Iterator<Item = &Observed> {
    observed.iter().filter(|one| matches!(&*one.state, "attached" | "planned"))
}

pub fn form(one: &Observed) -> &str {
    one.hook.split(' ').next().unwrap_or_default()
}

/// What a healthy host pays: for a fault, and for a call in each form.
pub fn costs(observed: &[Observed]) -> Option<String> {
    let of = |what: Observe| watched(observed).find(|one| &*one.what == what.word());
    let fault = match (of(Observe::FileFault), of(Observe::ForcedSignal)) {
        (Some(fault), _) => format!("adds about {} instructions to", fault.added_instructions?),
        (None, Some(signal)) if form(signal) == "tp_btf" => "adds nothing to".to_owned(),
        (None, _) => return None,
    };
    let mut calls: Vec<(&str, u64)> = Vec::new();
    for (form, added) in watched(observed).map(|one| (form(one), one.added_instructions)) {
        let added = added.unwrap_or_default();
        match calls.iter_mut().find(|(known, _)| *known == form) {
            Some((_, most)) => *most = added.max(*most),
            None => calls.push((form, added)),
        }
    }
    let unit = |i: usize| if i == 0 { " instructions" } else { "" };
    let calls = calls.iter().enumerate();
    let calls: Vec<String> =
        calls.map(|(i, (form, added))| format!("by {form} up to {added}{}", unit(i))).collect();
    Some(format!("{fault} a file fault that goes well; to other calls {}", calls.join(", ")))
}

/// What the forms cannot detect, each once.
pub fn undetected(observed: &[Observed]) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for one in watched(observed) {
        let text = one.undetected.as_ref().map(|text| escape(text.as_bytes()));
        said.extend(text.map(|text| format!("{}: {text}", form(one))));
    }
    said.sort();
    said.dedup();
    said
}
