//! Everything that is read and was written by somebody else: each target takes any bytes, and holds what is made of them
//! against what must be so.
mod files;
mod history;
mod kernel;
mod names;
mod typed;

/// What is done with some bytes; it panics where something is wrong.
pub type Target = fn(&[u8]);

/// All of them, by the name of their corpus.
pub const TARGETS: [(&str, Target); 16] = [
    ("event", kernel::event),
    ("stream", kernel::stream),
    ("btf", kernel::btf),
    ("proc", files::proc),
    ("elf", files::elf),
    ("demangle", names::demangle),
    ("bolt", files::bolt),
    ("runtimes", files::runtimes),
    ("cgroup", names::cgroup),
    ("escape", names::escape),
    ("secrets", names::secrets),
    ("import", history::import),
    ("body", history::body),
    ("settings", typed::settings),
    ("time", typed::time),
    ("select", typed::select),
];

/// The target of a name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
