//! Which timers are set up to start a service, by systemd's unit files. What is not understood says nothing.
use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
};

use crate::host::state_file::Directory;

/// Where systemd looks for units, first of all the first (systemd.unit(5)).
const DIRECTORIES: [&str; 11] = [
    "etc/systemd/system.control",
    "run/systemd/system.control",
    "run/systemd/transient",
    "run/systemd/generator.early",
    "etc/systemd/system",
    "run/systemd/system",
    "run/systemd/generator",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
    "run/systemd/generator.late",
];
/// Names of one of them, and timers in all, that are looked at.
const NAMES: usize = 8_192;
const TIMERS: usize = 512;
/// Drop-ins of one timer in one of them.
const DROP_INS: usize = 64;
/// Bytes of the largest file.
const LARGEST: u64 = 64 << 10;

/// The unit files of a host.
#[derive(Debug, Clone)]
pub struct UnitFiles {
    root: PathBuf,
    /// Who is believed: root.
    owner: u32,
}

impl Default for UnitFiles {
    /// Of the host itself, also where we run in a container that sees its processes.
    fn default() -> Self {
        Self { root: PathBuf::from("/proc/1/root"), owner: 0 }
    }
}

impl UnitFiles {
    /// Those of a host of one's own.
    #[cfg(test)]
    pub fn below(root: &std::path::Path) -> Self {
        Self { root: root.to_owned(), owner: rustix::process::getuid().as_raw() }
    }

    /// Timers that start the service `unit` when they elapse, by name. Whether one of them is enabled is not asked.
    pub fn timers_of(&self, unit: &str) -> Vec<String> {
        let open = |path| Directory::open(&self.root.join(path), self.owner);
        let places: Vec<Directory> = DIRECTORIES.into_iter().filter_map(open).collect();
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for place in &places {
            for name in place.names(NAMES).unwrap_or_default() {
                let Ok(name) = String::from_utf8(name) else { continue };
                if !name.ends_with(".timer") || seen.len() == TIMERS || !seen.insert(name.clone()) {
                    continue;
                }
                if starts(place, &places, &name).is_some_and(|started| started == unit) {
                    found.push(name);
                }
            }
        }
        found.sort();
        found
    }
}

/// Which unit a timer starts. A file that is empty, or a link, masks it, or is not believed.
fn starts(place: &Directory, places: &[Directory], timer: &str) -> Option<String> {
    let text = read(place, timer)?;
    let mut drop_ins = BTreeMap::new();
    for place in places {
        let Some(directory) = place.below(format!("{timer}.d")) else { continue };
        for name in directory.names(DROP_INS)? {
            let name = String::from_utf8(name).ok()?;
            if name.ends_with(".conf") && !drop_ins.contains_key(&name) {
                let text = read(&directory, &name)?;
                drop_ins.insert(name, text);
            }
        }
    }
    let mut named =
        std::iter::once(&text).chain(drop_ins.values()).filter_map(|text| unit_in(text));
    let default = || format!("{}.service", timer.trim_end_matches(".timer"));
    Some(named.next_back().map_or_else(default, str::to_owned))
}

fn read(directory: &Directory, name: &str) -> Option<String> {
    let text = String::from_utf8(directory.read(name, LARGEST)?).ok()?;
    (!text.is_empty()).then_some(text)
}

/// The last `Unit=` of a `[Timer]` section.
fn unit_in(text: &str) -> Option<&str> {
    let mut section = "";
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if let Some((key, value)) = line.split_once('=')
            && section == "[Timer]"
            && key.trim_end() == "Unit"
        {
            found = Some(value.trim_start()).filter(|unit| !unit.is_empty());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    const PLAIN: &str = "[Timer]\nOnCalendar=daily\n";

    #[test]
    fn a_timer_starts_what_it_is_called_as_or_names() {
        let host = tempfile::tempdir().expect("a directory");
        let write = |path: &str, text: &str| {
            let path = host.path().join(path);
            fs::create_dir_all(path.parent().expect("a directory")).expect("room");
            fs::write(path, text).expect("room");
        };
        write("usr/lib/systemd/system/apt-daily.timer", PLAIN);
        write("usr/lib/systemd/system/apt-daily.service", "[Service]\n");
        write("run/systemd/transient/run-1.timer", "[Unit]\nUnit=x\n[Timer]\nUnit = geo.service\n");
        write("etc/systemd/system/nightly.timer", "# Unit=x\n[Timer]\nUnit=\nUnit=geo.service\n");
        // What an administrator writes counts.
        write("usr/lib/systemd/system/moved.timer", PLAIN);
        write("etc/systemd/system/moved.timer", "[Timer]\nUnit=other.service\n");
        write("usr/lib/systemd/system/dropped.timer", PLAIN);
        write("etc/systemd/system/dropped.timer.d/x.conf", "[Timer]\nUnit=third.service\n");
        write("usr/lib/systemd/system/dropped.timer.d/x.conf", "[Timer]\nUnit=fourth.service\n");
        // Masked.
        write("usr/lib/systemd/system/masked.timer", PLAIN);
        symlink("/dev/null", host.path().join("etc/systemd/system/masked.timer")).expect("a link");
        write("usr/lib/systemd/system/empty.timer", "");
        let of = |unit: &str| UnitFiles::below(host.path()).timers_of(unit);
        assert_eq!(of("apt-daily.service"), ["apt-daily.timer"]);
        assert_eq!(of("geo.service"), ["nightly.timer", "run-1.timer"]);
        assert_eq!(
            (of("other.service"), of("third.service")),
            (vec!["moved.timer".to_owned()], vec!["dropped.timer".to_owned()])
        );
        for unit in ["moved", "dropped", "fourth", "masked", "empty", "none"] {
            assert_eq!(of(&format!("{unit}.service")), [""; 0], "{unit}");
        }
    }

    #[test]
    fn a_host_without_systemd_has_no_timers() {
        let host = tempfile::tempdir().expect("a directory");
        assert!(UnitFiles::below(host.path()).timers_of("geo.service").is_empty());
    }
}
