//! Names as people ask for them, compiled once. Pure.
use std::borrow::Cow;

use wildmatch::WildMatch;

use crate::{
    model::{
        cause::CauseKind,
        cgroup,
        container::{self, container},
        pod,
    },
    text::escape::{NO_NAME, UNKNOWN, named, process_name},
};

/// How the text of a filter is compared with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// As it is.
    Exact,
    /// A host by its name, or one without any as tables have it.
    Host,
    /// With `*` and `?`.
    Glob,
    /// A pattern for it, or a part of it.
    Contains,
    /// The file itself, a pattern for it, or a directory above it.
    Below,
    /// A container's name, or a cgroup of the container whose id starts so.
    Container,
    /// A pod's name, or a cgroup of the pod whose uid starts so.
    Pod,
    /// A namespace of pods.
    Namespace,
    /// An image, named with or without its registry, tag and digest.
    Image,
    /// A class of causes, or all of bus errors.
    Class,
    /// A cgroup of the systemd unit, named with or without its ending.
    Unit,
}

/// Stands for every class of bus errors.
pub const BUS_ERRORS: &str = "bus-errors";

/// What the text of a filter is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A name, or what is printed of one.
    Either,
    Typed,
    Printed,
}

/// The text of a filter, ready to be compared with many names.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    syntax: Syntax,
    reading: Reading,
    text: String,
    glob: WildMatch,
}

impl Pattern {
    /// Compiles `text`.
    pub fn new(syntax: Syntax, text: &str) -> Self {
        let asked = match syntax {
            Syntax::Container => container::copied(text),
            // As kubectl prints it.
            Syntax::Pod => pod::copied(text.strip_prefix("pod/").unwrap_or(text)),
            Syntax::Image => asked_image(text),
            _ => text.into(),
        };
        let reading = match printed(&asked) {
            true => Reading::Either,
            false => Reading::Typed,
        };
        Self { syntax, reading, glob: WildMatch::new(&asked), text: asked.into_owned() }
    }

    /// This, taken for one thing only.
    #[must_use]
    pub fn read_as(self, reading: Reading) -> Self {
        Self { reading, ..self }
    }

    /// Whether it may be a name as well as what is printed of another.
    pub fn is_ambiguous(&self) -> bool {
        self.reading == Reading::Either
    }

    /// What was asked for.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The only name that can match, where there is only one.
    pub fn only_name(&self) -> Option<&str> {
        if self.reading != Reading::Typed {
            return None;
        }
        match self.syntax {
            Syntax::Exact => Some(&self.text),
            Syntax::Class if self.text == BUS_ERRORS => None,
            Syntax::Glob | Syntax::Class if !self.text.contains(['*', '?']) => Some(&self.text),
            _ => None,
        }
    }

    /// Letters that are in every name that matches, one after the other, and that JSON writes as they are; `None` where none
    /// are known.
    pub fn literal(&self) -> Option<&str> {
        use Syntax::{Below, Contains, Exact, Glob, Host};
        let nameless = self.syntax == Host && self.is_of_nameless();
        let names = self.reading == Reading::Typed
            && !nameless
            && matches!(self.syntax, Exact | Host | Glob | Contains | Below);
        let text = self.text.strip_suffix('/').unwrap_or(&self.text);
        let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
        let runs = text.split(|c| !plain(c)).filter(|run| names && !run.is_empty());
        runs.max_by_key(|run| run.len())
    }

    /// Whether `name` is asked for, as it is or as it is printed: `\n` for a newline. What is no UTF-8 in it is matched by a `?`
    /// or `*`.
    pub fn matches(&self, name: &[u8]) -> bool {
        let (typed, printed) = (self.reading != Reading::Printed, self.reading != Reading::Typed);
        typed && self.is_of(name) || printed && self.is_of(process_name(name).as_bytes())
    }

    fn is_of(&self, name: &[u8]) -> bool {
        match self.syntax {
            Syntax::Exact => self.text.as_bytes() == name,
            Syntax::Host => match std::str::from_utf8(name).is_ok_and(|host| named(host).is_none())
            {
                true => self.is_of_nameless(),
                false => self.text.as_bytes() == name,
            },
            Syntax::Class if self.text == BUS_ERRORS => is_of_bus_errors(name),
            Syntax::Glob | Syntax::Class => self.glob(name),
            Syntax::Contains => {
                self.glob(name) || String::from_utf8_lossy(name).contains(&self.text)
            }
            Syntax::Below => {
                let dir = self.text.strip_suffix('/').unwrap_or(&self.text).as_bytes();
                let inside = name.strip_prefix(dir).is_some_and(|rest| rest.starts_with(b"/"));
                inside || self.glob(name)
            }
            Syntax::Container if is_path(name) => {
                container(name).is_some_and(|found| self.is_container(&found.id))
            }
            Syntax::Container => self.is_container(&String::from_utf8_lossy(name)),
            Syntax::Pod if is_path(name) => container::pod(name).is_some_and(|found| {
                let start = self.text.len() >= pod::SHORTEST && found.uid.starts_with(&self.text);
                start || self.glob.matches(&found.uid)
            }),
            Syntax::Pod | Syntax::Namespace => !is_path(name) && self.glob(name),
            Syntax::Image => !is_path(name) && self.is_image(&String::from_utf8_lossy(name)),
            Syntax::Unit => {
                let Some(unit) = cgroup::unit(name) else { return false };
                let text = String::from_utf8_lossy(unit);
                let bare = text.rsplit_once('.').map_or(&text[..], |(bare, _)| bare);
                self.glob.matches(&text) || self.glob.matches(bare)
            }
        }
    }

    /// Whether hosts without a name are asked for.
    fn is_of_nameless(&self) -> bool {
        named(&self.text).is_none_or(|asked| asked == UNKNOWN)
    }

    fn is_container(&self, id: &str) -> bool {
        let digits = container::is_id_start(&self.text) && container::is_id(id);
        let start = digits && self.text.len() >= START && id.starts_with(&self.text);
        start || self.glob.matches(id)
    }

    /// `registry.example/shop/geo-api:1.2@sha256:…` by all of it, or from behind any of its slashes, with or without its tag
    /// and its digest.
    fn is_image(&self, image: &str) -> bool {
        let image = whole_image(image);
        let slashes = image.match_indices('/').map(|(at, _)| at + 1);
        let slashes: Vec<usize> = std::iter::once(0).chain(slashes).collect();
        slashes.into_iter().any(|at| {
            let (tagged, digest) = image[at..].split_once('@').unwrap_or((&image[at..], ""));
            let last = tagged.rfind('/').map_or(0, |at| at + 1);
            let tag = tagged[last..].find(':').map_or(tagged.len(), |at| last + at);
            let (bare, digest) = (&tagged[..tag], format!("{}@{digest}", &tagged[..tag]));
            [&image[at..], tagged, bare, &digest].iter().any(|form| self.glob.matches(form))
        })
    }

    fn glob(&self, name: &[u8]) -> bool {
        self.glob.matches(&String::from_utf8_lossy(name))
    }
}

/// Whether it may be what was printed of a name.
fn printed(text: &str) -> bool {
    let quoted = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    let blank =
        quoted.is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte == b' '));
    blank || text.contains('\\') || text == NO_NAME
}

/// An image with what is understood: its registry, which is Docker's where none is named, and there `library/` where it is
/// an official one.
fn whole_image(image: &str) -> String {
    let bare = image.split_once("://").map_or(image, |(_, rest)| rest);
    let ours = DOCKER.iter().find_map(|registry| bare.strip_prefix(registry));
    let first = bare.split_once('/').map(|(first, _)| first);
    let elsewhere = first.is_some_and(|first| first.contains(['.', ':']) || first == "localhost");
    match ours.unwrap_or(bare) {
        bare if ours.is_none() && elsewhere => bare.to_owned(),
        short if short.contains('/') => format!("{}{short}", DOCKER[0]),
        short => format!("{}library/{short}", DOCKER[0]),
    }
}

/// What is asked for of an image: whole where Docker's registry is named, else from wherever it begins.
fn asked_image(text: &str) -> Cow<'_, str> {
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    match DOCKER.iter().any(|registry| bare.starts_with(registry)) {
        true => whole_image(bare).into(),
        false => bare.into(),
    }
}

/// What Docker's own registry is called, first as others name it.
const DOCKER: [&str; 3] = ["docker.io/", "index.docker.io/", "registry-1.docker.io/"];

/// Digits of an id that tell more than a short word does, which may be a name.
const START: usize = 4;

/// Whether a class is one of bus errors. A signal that somebody sent may be any.
fn is_of_bus_errors(class: &[u8]) -> bool {
    let known = CauseKind::ALL.iter().find(|kind| kind.name().as_bytes() == class);
    known.is_some_and(|kind| kind.is_of_bus_errors() && *kind != CauseKind::Sent)
}

/// Whether it is a cgroup, and not the name of what is in it.
fn is_path(name: &[u8]) -> bool {
    name.starts_with(b"/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::escape::escape;

    fn below(path: &[u8], text: &str) -> bool {
        Pattern::new(Syntax::Below, text).matches(path)
    }

    #[test]
    fn what_is_printed_of_a_name_is_that_name() {
        for name in [&b"x\ny"[..], b"\x1b[2Jx\xff", b"a\\b", "\u{202e}gpj".as_bytes()] {
            let printed = escape(name);
            for syntax in [Syntax::Exact, Syntax::Glob, Syntax::Contains, Syntax::Below] {
                let pattern = Pattern::new(syntax, &printed);
                assert!(pattern.matches(name), "{syntax:?} {printed}");
                assert!(!pattern.matches(b"y"), "{syntax:?} {printed}");
                assert_eq!((pattern.only_name(), pattern.literal()), (None, None));
            }
        }
        let unit = Pattern::new(Syntax::Unit, "geo\\\\x2dapi");
        assert!(unit.matches(b"/system.slice/geo\\x2dapi.service"));
        assert!(Pattern::new(Syntax::Glob, "x\\n*").matches(b"x\nyz"));
    }

    #[test]
    fn directories_hold_their_files() {
        assert!(below(b"/efs/geo/x", "/efs"));
        assert!(below(b"/efs/geo/x", "/efs/geo/"));
        assert!(below(b"/efs/geo/x", "/efs/*/x"));
        assert!(!below(b"/efs2/x", "/efs"));
    }

    #[test]
    fn containers_by_the_start_of_their_id() {
        let id = "0123456789abcdef".repeat(4);
        let path = format!("/system.slice/docker-{id}.scope");
        let inside =
            |path: &str, id: &str| Pattern::new(Syntax::Container, id).matches(path.as_bytes());
        assert!(inside(&path, "0123456"));
        assert!(!inside(&path, "123"));
        assert!(!inside(&path, ""));
        assert!(!inside("/user.slice/deadbeef", "dead"));
        for copied in
            [format!("containerd://{id}"), format!("docker-{id}.scope"), id.to_uppercase()]
        {
            assert!(inside(&path, &copied), "{copied}");
        }
        assert!(inside("/lxc.payload.web", "web") && inside("/lxc.payload.web", "w*"));
        assert!(!inside("/lxc.payload.web", "we") && !inside("/lxc.payload.dead", "de"));
    }

    #[test]
    fn by_the_names_of_what_is_in_a_cgroup() {
        let is = |syntax, text, name: &str| Pattern::new(syntax, text).matches(name.as_bytes());
        assert!(is(Syntax::Container, "web", "web") && is(Syntax::Container, "w*", "web"));
        assert!(is(Syntax::Container, "/web", "web") && is(Syntax::Container, "db", "db"));
        assert!(!is(Syntax::Container, "we", "web") && !is(Syntax::Container, "*", "/web"));
        // Two digits are rather a name.
        let id = format!("db{}", "0".repeat(62));
        assert!(!is(Syntax::Container, "db", &id) && is(Syntax::Container, "db00", &id));
        for text in ["geo-7d9f", "pod/geo-7d9f", "geo-*"] {
            assert!(is(Syntax::Pod, text, "geo-7d9f"), "{text}");
        }
        assert!(is(Syntax::Namespace, "shop", "shop") && !is(Syntax::Namespace, "*", "/shop"));
        let image = "registry.example:5000/shop/geo:1.2@sha256:00";
        for text in ["geo", "geo:1.2", "registry.example:5000/shop/geo", "*/shop/*", image] {
            assert!(is(Syntax::Image, text, image), "{text}");
        }
        for text in ["shop/geo", "shop/geo:1.2", "geo@sha256:00", "docker-pullable://*/geo:1.2"] {
            assert!(is(Syntax::Image, text, image), "{text}");
        }
        for text in ["docker.io/library/nginx:1", "library/nginx", "docker.io/nginx", "nginx"] {
            for image in ["nginx:1", "docker.io/library/nginx:1", "docker-pullable://nginx:1"] {
                assert!(is(Syntax::Image, text, image), "{text} {image}");
            }
        }
        for other in ["quay.io/nginx:1", "localhost/nginx:1", "me/nginx:1"] {
            assert!(!is(Syntax::Image, "docker.io/nginx", other), "{other}");
        }
        for text in ["shop", "geo:1", "1.2", "5000/shop/geo", ""] {
            assert!(!is(Syntax::Image, text, image), "{text}");
        }
        assert!(is(Syntax::Image, "localhost/case", "localhost/case"));
    }

    #[test]
    fn pods_by_their_uid_however_it_is_written() {
        let slice = "kubepods-burstable-pod12345678_9abc_def0_1234_56789abcdef0.slice";
        let by_systemd = format!("/kubepods.slice/kubepods-burstable.slice/{slice}/x");
        let by_cgroupfs = "/kubepods/burstable/pod12345678-9abc-def0-1234-56789abcdef0/x";
        for path in [&by_systemd, by_cgroupfs] {
            let of = |text: &str| Pattern::new(Syntax::Pod, text).matches(path.as_bytes());
            for text in [slice, "12345678", "12345678-9abc", "12345678_9ABC_def0_1234_56789abcdef0"]
            {
                assert!(of(text), "{text} {path}");
            }
            assert!(!of("1234567") && !of("87654321") && !of("") && !of("geo"), "{path}");
        }
        assert!(!Pattern::new(Syntax::Pod, "*").matches(b"/system.slice/geo.service"));
    }

    #[test]
    fn units_with_and_without_their_ending() {
        for text in ["geo", "geo.service", "g*"] {
            let unit = Pattern::new(Syntax::Unit, text);
            assert!(unit.matches(b"/system.slice/geo.service"), "{text}");
            assert!(!unit.matches(b"/system.slice/xgeo2.service") && !unit.matches(b"/"), "{text}");
        }
    }

    #[test]
    fn one_name_is_looked_up_and_not_searched_for() {
        assert_eq!(Pattern::new(Syntax::Glob, "geo").only_name(), Some("geo"));
        assert_eq!(Pattern::new(Syntax::Glob, "geo*").only_name(), None);
        assert_eq!(Pattern::new(Syntax::Exact, "geo*").only_name(), Some("geo*"));
        assert_eq!(Pattern::new(Syntax::Contains, "geo").only_name(), None);
    }

    /// Brackets and braces stand for themselves, and a `?` for a letter, not for a byte.
    #[test]
    fn names_are_not_taken_for_patterns() {
        let glob = |text, name: &[u8]| Pattern::new(Syntax::Glob, text).matches(name);
        assert!(glob("[vvar]", b"[vvar]") && glob("{a,b}*", b"{a,b}c"));
        assert!(glob("caf?", "café".as_bytes()) && !glob("caf??", "café".as_bytes()));
        assert!(glob("a?b", b"a\xffb") && glob("/a/*", b"/a/b\nc/d"));
    }
}
