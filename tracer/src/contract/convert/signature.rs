//! What crashes of one kind have in common on all hosts: the function, its file and that file's build. Pure.
use crate::{
    contract::{Frame, Stack, Untrusted},
    model::stack::SIGNAL_FRAME,
    text::format::file_name,
};

/// Digits of a build id that are told: it is unlike any other by then.
const BUILD: usize = 12;
/// Functions that touch memory, or end a process, for whoever called them; in a static program they have no file of
/// their own.
const IGNORED: [&[u8]; 24] = [
    b"memcpy",
    b"memmove",
    b"memset",
    b"memcmp",
    b"memchr",
    b"memrchr",
    b"rawmemchr",
    b"bcopy",
    b"bcmp",
    b"strlen",
    b"strnlen",
    b"strcpy",
    b"strncpy",
    b"strcmp",
    b"strncmp",
    b"strchr",
    b"strrchr",
    b"raise",
    b"gsignal",
    b"abort",
    b"pthread_kill",
    b"tgkill",
    b"assert_fail",
    b"runtime.memmove",
];
/// Of languages, by how their functions begin: these panic, throw and end for the program.
const RUNTIMES: [&[u8]; 18] = [
    b"std::",
    b"core::cell::panic",
    b"core::intrinsics::",
    b"core::option::",
    b"core::panicking::",
    b"core::ptr::",
    b"core::result::unwrap_failed",
    b"core::slice::",
    b"core::str::",
    b"alloc::alloc::",
    b"alloc::raw_vec::",
    b"rust_begin_unwind",
    b"rust_panic",
    b"__rust_",
    b"__rustc",
    b"__gnu_cxx::",
    b"__cxa_",
    b"runtime.raise",
];
/// Files of which no function is the program's own: the C library, and what starts programs.
const LIBRARIES: [&[u8]; 9] = [
    b"libstdc++.so",
    b"libgcc_s.so",
    b"libc.so",
    b"libc-2",
    b"ld-linux",
    b"ld-musl",
    b"libpthread.so",
    b"libpthread-2",
    b"[vdso]",
];

/// `geo_lookup in geo-api, build 8a3f00c2d1e4`; `None` if no frame is the program's own, or it lies in no file.
pub(super) fn signature(stack: &Stack) -> Option<Untrusted> {
    // A handler that ends the program reports what the signal came upon.
    let is_signal = |frame: &Frame| {
        own(frame).is_none() && frame.symbol.as_ref().is_some_and(|name| name.0 == SIGNAL_FRAME)
    };
    let interrupted = stack.user.iter().rposition(is_signal).map_or(0, |at| at + 1);
    let mut frames = stack.user[interrupted..].iter().filter(|frame| !frame.inlined);
    let frame = frames.find(|frame| !is_ignored(frame))?;
    let module = file_name(&frame.module.as_ref()?.0);
    let function = match (own(frame), frame.module_offset) {
        (Some(symbol), _) => symbol.0.clone(),
        (None, offset) => format!("+{:#x}", offset?).into_bytes(),
    };
    let mut signature = [&function[..], b" in ", module].concat();
    if let Some(build) = &frame.build_id {
        let build = build.as_bytes();
        signature.extend_from_slice(b", build ");
        signature.extend_from_slice(&build[..build.len().min(BUILD)]);
    }
    Some(Untrusted(signature))
}

/// What the module itself calls the function: debug information, which may say it, too, is not on every host.
fn own(frame: &Frame) -> Option<&Untrusted> {
    frame.symbol.as_ref().filter(|_| frame.symbol_offset.is_some())
}

/// Whether a frame does what its caller asked for: it tells crashes of one kind apart no better than that.
fn is_ignored(frame: &Frame) -> bool {
    let module = frame.module.as_ref().map_or(&[][..], |module| file_name(&module.0));
    let symbol = own(frame).map_or(&[][..], |symbol| &symbol.0);
    // `__memmove_avx_unaligned_erms`, `__GI_raise`
    let plain = symbol.strip_prefix(b"__GI_").unwrap_or(symbol);
    let plain = &plain[plain.iter().take_while(|byte| **byte == b'_').count()..];
    // libc's own variants have names that no program may have.
    let variant = symbol.starts_with(b"__");
    let is = |name: &&[u8]| {
        let rest = plain.strip_prefix(*name);
        rest.is_some_and(|rest| rest.is_empty() || variant && rest.starts_with(b"_"))
    };
    LIBRARIES.iter().any(|library| module.starts_with(library))
        || RUNTIMES.iter().any(|runtime| symbol.starts_with(runtime))
        || IGNORED.iter().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Hex;

    fn frame(symbol: &str, module: &str, build_id: &str) -> Frame {
        let text = |text: &str| (!text.is_empty()).then(|| Untrusted(text.into()));
        let signal = symbol.as_bytes() == SIGNAL_FRAME;
        let (symbol_offset, module_offset) = ((!signal).then_some(1), Some(0x42));
        let build_id = (!build_id.is_empty()).then(|| build_id.into());
        Frame {
            ip: Some(Hex(1)),
            symbol: text(symbol),
            symbol_offset,
            module: text(module),
            module_offset,
            build_id,
            ..Frame::default()
        }
    }

    fn of(frames: &[(&str, &str, &str)]) -> Option<String> {
        let user = frames.iter().map(|(symbol, module, build)| frame(symbol, module, build));
        let signature = signature(&Stack { user: user.collect(), cut: None })?;
        Some(String::from_utf8(signature.0).expect("text"))
    }

    #[test]
    fn the_c_library_and_what_acts_for_its_caller_are_not_it() {
        let own = ("geo_lookup", "/opt/geo-api", "8a3f00c2d1e4ffff");
        let expected = Some("geo_lookup in geo-api, build 8a3f00c2d1e4".to_owned());
        assert_eq!(of(&[own]), expected);
        assert_eq!(of(&[("", "/lib/x86_64-linux-gnu/libc.so.6", "1"), own]), expected);
        for memcpy in ["__memmove_avx_unaligned_erms", "memcpy", "__GI_raise", "abort"] {
            assert_eq!(of(&[(memcpy, "/opt/geo-api", "8a3f"), own]), expected, "{memcpy}");
        }
        let others = ["memcpy_rows", "abort_transfer", "core::Engine::step", "rust_decoder_next"];
        for own in ["memcpyfast", "raises", "my_memcpy"].into_iter().chain(others) {
            let told = of(&[(own, "/opt/geo-api", ""), ("main", "/opt/geo-api", "")]);
            assert_eq!(told, Some(format!("{own} in geo-api")));
        }
        let pool = [("run", "/opt/libpthreadpool.so.0", ""), ("main", "/opt/geo-api", "")];
        assert_eq!(of(&pool), Some("run in libpthreadpool.so.0".to_owned()));
        let panic =
            [("core::panicking::panic_fmt", "/opt/geo-api", ""), ("geo", "/opt/geo-api", "")];
        assert_eq!(of(&panic), Some("geo in geo-api".to_owned()));
    }

    #[test]
    fn where_a_file_lies_and_is_mapped_makes_no_difference() {
        let of = |dir: &str, ip: u64| {
            let mut frame = frame("geo_lookup", &format!("{dir}/libgeo.so"), "8a3f00c2d1e4ffff");
            frame.ip = Some(Hex(ip));
            signature(&Stack { user: vec![frame], cut: None })
        };
        assert_eq!(of("/opt/geo", 0x7f00_1234), of("/srv/app/lib", 0x7fff_0042));
        assert!(of("/opt/geo", 1).is_some());
    }

    #[test]
    fn a_handler_that_ends_the_program_is_not_it() {
        let (api, libc) = ("/opt/geo-api", "/lib/libc.so.6");
        let handler = [
            ("raise", libc, ""),
            ("report_crash", api, ""),
            ("<signal handler called>", libc, ""),
            ("memcpy", libc, ""),
            ("geo_lookup", api, ""),
        ];
        assert_eq!(of(&handler), Some("geo_lookup in geo-api".to_owned()));
        assert_eq!(of(&handler[..3]), None, "what it came upon is not known");
    }

    #[test]
    fn what_has_no_name_has_its_place() {
        assert_eq!(
            of(&[("", "/opt/geo-api", "8a3f")]),
            Some("+0x42 in geo-api, build 8a3f".into())
        );
        let jit = [("", "", ""), ("main", "/opt/geo-api", "")];
        assert_eq!(of(&jit), None, "code of no file has failed");
        let libc = ("abort", "/lib/libc.so.6", "");
        assert_eq!(of(&[libc]), None, "many programs fail there");
        assert_eq!(of(&[("f", "", "")]), None);
    }
}
