//! Where in its program a victim failed, and who called that. Pure.
use crate::{
    contract::{Frame, Incident},
    model::stack::STACK_LOST,
    text::{
        escape::escape,
        format::{counted, file_name},
    },
};

/// Callers that are named.
const CALLERS: usize = 6;

/// The function and library it failed in.
pub fn place(incident: &Incident) -> Option<String> {
    let stack = incident.stack.as_ref()?;
    let Some(frame) = stack.user.first() else {
        return Some(format!("not recorded: {}", escape(stack.cut.as_ref()?.as_bytes())));
    };
    let module = frame.module.as_ref().map(|module| escape(&module.0));
    let at = frame.module_offset.map_or_else(String::new, |offset| format!("+{offset:#x}"));
    let Some(symbol) = &frame.symbol else {
        let module = module.map_or_else(
            || "file unknown: not recorded, or generated code (JIT)".to_owned(),
            |m| format!("in {m}{at}"),
        );
        return Some(format!("instruction {:#x}, {module}", frame.ip.as_ref()?.0));
    };
    let offset = frame.symbol_offset.filter(|offset| *offset != 0);
    let offset = offset.map_or_else(String::new, |offset| format!("+{offset:#x}"));
    let module = module.map_or_else(String::new, |module| format!(" in {module}"));
    let line = line(frame).map_or_else(String::new, |line| format!(", {line}"));
    Some(format!("{}{offset}{module}{line}", escape(&symbol.0)))
}

/// `lookup.c:41`
fn line(frame: &Frame) -> Option<String> {
    let file = escape(file_name(&frame.source.as_ref()?.0));
    Some(frame.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}")))
}

/// The function that its signature names, or else that of the innermost frame: a function of its own, not inlined.
pub fn failed_in(incident: &Incident) -> Option<String> {
    let of_signature = incident.signature.as_ref().and_then(|signature| {
        let at = signature.0.windows(4).position(|word| word == b" in ")?;
        Some(&signature.0[..at]).filter(|function| !function.starts_with(b"+"))
    });
    let innermost = || {
        let mut frames = incident.stack.as_ref()?.user.iter();
        Some(&frames.find(|frame| !frame.inlined)?.symbol.as_ref()?.0[..])
    };
    of_signature.or_else(innermost).map(escape)
}

/// `called by geo_lookup (geo-api) ← handle ← main and 2 more frames (-o json)`.
pub fn callers(incident: &Incident) -> Option<String> {
    let (innermost, callers) = incident.stack.as_ref()?.user.split_first()?;
    let cut = incident.stack.as_ref()?.cut.as_deref();
    if callers.is_empty() && cut == Some(STACK_LOST) {
        return Some(format!("callers not recorded: {STACK_LOST}"));
    }
    (!callers.is_empty()).then(|| chain(innermost, callers, cut))
}

/// `in ftruncate64 (libc.so.6), called by rotate (updater) ← main`: the call that shrank the file.
pub fn act(incident: &Incident) -> Option<String> {
    let stack = incident.cause.culprit_stack.as_ref()?;
    let (innermost, callers) = stack.user.split_first()?;
    let act = named(innermost, None);
    if callers.is_empty() {
        return Some(format!("in {act}"));
    }
    Some(format!("in {act}, {}", chain(innermost, callers, stack.cut.as_deref())))
}

fn chain(innermost: &Frame, callers: &[Frame], cut: Option<&str>) -> String {
    let mut before = innermost;
    let mut names = Vec::new();
    for frame in callers.iter().take(CALLERS) {
        names.push(named(frame, Some(before)));
        before = frame;
    }
    let rest = match (callers.len() - names.len(), cut) {
        (0, None) => String::new(),
        (0, Some(cut)) => format!(" ← … ({})", escape(cut.as_bytes())),
        (more, _) => format!(" and {} (-o json)", counted(more as u64, "more frame")),
    };
    format!("called by {}{rest}", names.join(" ← "))
}

/// The function, its file where that is another one than that of `before`, and its line in the source.
fn named(frame: &Frame, before: Option<&Frame>) -> String {
    let module = frame.module.as_ref().map(|module| escape(file_name(&module.0)));
    let Some(symbol) = &frame.symbol else {
        return match (module, &frame.ip) {
            (Some(module), _) => format!("{module}+{:#x}", frame.module_offset.unwrap_or(0)),
            (None, Some(ip)) => format!("{:#x}", ip.0),
            (None, None) => "?".to_owned(),
        };
    };
    let other = before.is_none_or(|before| frame.module != before.module);
    let places = module.filter(|_| other).into_iter().chain(line(frame));
    let places = places.collect::<Vec<_>>().join(", ");
    match places.is_empty() {
        true => escape(&symbol.0),
        false => format!("{} ({places})", escape(&symbol.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Hex, Stack, Untrusted, samples::full_incident};

    fn frame(symbol: &str, module: &str) -> Frame {
        let text = |text: &str| (!text.is_empty()).then(|| Untrusted(text.into()));
        let (symbol, module) = (text(symbol), text(module));
        let (symbol_offset, module_offset) = (Some(3), Some(0x42));
        let ip = Some(Hex(7));
        Frame { ip, symbol, symbol_offset, module, module_offset, ..Frame::default() }
    }

    fn of(user: Vec<Frame>) -> Incident {
        Incident { stack: Some(Stack { user, cut: None }), ..full_incident() }
    }

    #[test]
    fn callers_are_named_from_the_inside() {
        let libc = "/usr/lib/libc.so.6";
        let incident = of(vec![
            frame("memcpy", libc),
            frame("geo_lookup", "/opt/geo"),
            frame("main", "/opt/geo"),
            frame("", libc),
            frame("", ""),
        ]);
        assert_eq!(place(&incident).as_deref(), Some("memcpy+0x3 in /usr/lib/libc.so.6"));
        let expected = "called by geo_lookup (geo) ← main ← libc.so.6+0x42 ← 0x7";
        assert_eq!(callers(&incident).as_deref(), Some(expected));
        assert_eq!(callers(&of(vec![frame("main", libc)])), None);
        let mut lost = of(vec![frame("main", libc)]);
        lost.stack.as_mut().expect("a stack").cut = Some(STACK_LOST.into());
        let told = callers(&lost).expect("why there are none");
        assert!(told.starts_with("callers not recorded: no stack captured: too many"), "{told}");
        lost.stack.as_mut().expect("a stack").user.clear();
        let told = place(&lost).expect("why there is none");
        assert!(told.starts_with("not recorded: no stack captured: too many"), "{told}");
        let mut cut = of(vec![frame("f", libc), frame("g", libc)]);
        cut.stack.as_mut().expect("a stack").cut = Some("why".into());
        assert_eq!(callers(&cut).as_deref(), Some("called by g ← … (why)"));
        cut.cause.culprit_stack = cut.stack.take();
        assert_eq!(act(&cut).as_deref(), Some("in f (libc.so.6), called by g ← … (why)"));
        let mut lines = of(vec![frame("f", "/opt/geo"), frame("g", libc), frame("h", libc)]);
        let stack = lines.stack.as_mut().expect("a stack");
        for (frame, line) in stack.user.iter_mut().zip([Some(41), Some(60), None]) {
            frame.source = Some(Untrusted("/src/geo/lookup.c".into()));
            frame.line = line;
        }
        assert_eq!(place(&lines).as_deref(), Some("f+0x3 in /opt/geo, lookup.c:41"));
        let expected = "called by g (libc.so.6, lookup.c:60) ← h (lookup.c)";
        assert_eq!(callers(&lines).as_deref(), Some(expected));
        let deep = of((0..12).map(|_| frame("f", libc)).collect());
        let told = callers(&deep).expect("callers");
        assert!(told.ends_with("f ← f and 5 more frames (-o json)"), "{told}");
    }
}
