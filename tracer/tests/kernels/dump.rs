//! Writes what a kernel image says of itself, as text that people can review: types, prototypes,
//! helpers. Reads BTF on its own, so that the two readers check each other.
//! Format: Documentation/bpf/btf.rst; the image: Documentation/arch/x86/boot.rst.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use object::{Object as _, ObjectSection as _};
use tracer_common::offsets::Offsets;
use whybus::probe::{
    btf::{Btf, Types as _},
    kernel::{CONTROLLERS, MAPS},
    offsets, options,
};

const HELPERS: [&str; 5] = [
    "bpf_find_vma",
    "bpf_get_current_task_btf",
    "bpf_probe_read_kernel",
    "bpf_snprintf",
    "bpf_task_pt_regs",
];

const HEAD: &str = "\
# Made by `cargo xtask kernels` from Debian's packages: what this kernel's BTF says, as far as whybus asks.
# Members: path, offset, size, in bytes (a bit field: `bits`). Anonymous structs and unions are looked through.
";

/// One kernel, as `cargo xtask kernels` lists it.
pub struct Source {
    pub name: String,
    image: PathBuf,
    modules: Vec<(String, PathBuf)>,
    built_in: Vec<String>,
}

impl Source {
    /// Lines of `kernel NAME IMAGE`, each followed by its modules: `module NAME FILE`, `built-in NAME`.
    pub fn all(list: &str) -> Vec<Self> {
        let mut sources: Vec<Self> = Vec::new();
        for line in list.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match (words.as_slice(), sources.last_mut()) {
                (["kernel", name, image], _) => sources.push(Self {
                    name: (*name).to_owned(),
                    image: image.into(),
                    modules: Vec::new(),
                    built_in: Vec::new(),
                }),
                (["module", name, file], Some(source)) => {
                    source.modules.push(((*name).to_owned(), file.into()));
                }
                (["built-in", name], Some(source)) => source.built_in.push((*name).to_owned()),
                _ => panic!("{line}"),
            }
        }
        sources
    }
}

/// The whole file.
pub fn facts(source: &Source, functions: &[&'static str], modules: &[&'static str]) -> String {
    let image = fs::read(&source.image).unwrap();
    let version = version(&image);
    let vmlinux = section(&vmlinux(&image), ".BTF").expect("a kernel without BTF");
    let base = Reader::new(vmlinux.clone(), None);
    let mut out = HEAD.to_owned();
    let (release, rest) = version.split_once(' ').unwrap();
    writeln!(out, "release {release}\nversion {}\n", &rest[rest.find('#').unwrap()..]).unwrap();
    for helper in HELPERS {
        let has = base.has_helper(helper);
        writeln!(out, "helper {helper} {}", if has { "yes" } else { "no" }).unwrap();
    }
    out.push('\n');
    let mut of_modules = Vec::new();
    for module in modules {
        let file = source.modules.iter().find(|(name, _)| name == module).map(|(_, file)| file);
        let state = match file {
            Some(_) => "module",
            None if source.built_in.iter().any(|name| name == module) => "built-in",
            None => "absent",
        };
        writeln!(out, "module {module} {state}").unwrap();
        let btf = file.and_then(|file| section(&fs::read(file).unwrap(), ".BTF"));
        of_modules.extend(btf.map(|btf| (*module, Reader::new(btf, Some(&base)))));
    }
    out.push('\n');
    for name in functions {
        let of_module = of_modules
            .iter()
            .find_map(|(module, btf)| Some(format!("{name} of {module}{}", btf.prototype(name)?)));
        let line = base.prototype(name).map(|shown| format!("{name}{shown}")).or(of_module);
        writeln!(out, "function {}", line.unwrap_or_else(|| format!("{name} absent"))).unwrap();
    }
    for name in [CONTROLLERS, MAPS] {
        if let Some(words) = base.words(name) {
            writeln!(out, "\nenum {name} {words}").unwrap();
        }
    }
    let roots: BTreeSet<&str> = offsets::wanted().chain(options::wanted()).collect();
    for root in roots {
        let members = base.members(root, &opened(root));
        let size = base.named(root, STRUCT).first().map(|id| base.size(*id, 0));
        match size {
            Some(size) => writeln!(out, "\nstruct {root} {size}").unwrap(),
            None => writeln!(out, "\nstruct {root} absent").unwrap(),
        }
        for (path, shown) in members {
            writeln!(out, "  {path} {shown}").unwrap();
        }
    }
    check(&out, vmlinux, functions);
    out
}

/// What is stored must be what whybus reads of the same bytes.
fn check(text: &str, vmlinux: Vec<u8>, functions: &[&'static str]) {
    let stored = crate::stored::Stored::parse(text);
    let mut asked: Vec<&str> = offsets::wanted().collect();
    asked.extend(functions);
    asked.extend(options::wanted());
    asked.extend([CONTROLLERS, MAPS]);
    let btf = Btf::parse(vmlinux, &asked).unwrap();
    for field in Offsets::FIELDS {
        for path in field.paths {
            let (read, stored) = (btf.offset(field.root, path), stored.offset(field.root, path));
            assert_eq!(read, stored, "{}.{path}", field.root);
        }
    }
    for (of, word) in [
        (CONTROLLERS, "pids_cgrp_id"),
        (CONTROLLERS, "memory_cgrp_id"),
        (MAPS, "BPF_MAP_TYPE_RINGBUF"),
    ] {
        assert_eq!(btf.enumerator(of, word), stored.enumerator(of, word), "{word}");
    }
    for name in options::wanted() {
        assert_eq!(btf.is_hollow(name), stored.is_hollow(name), "{name}");
    }
    for name in functions {
        assert_eq!(btf.params(name), stored.params(name), "{name}");
    }
}

/// The embedded structs of `root` that any path leads through.
fn opened(root: &str) -> BTreeSet<&'static str> {
    let fields = Offsets::FIELDS.iter().filter(|field| field.root == root);
    let paths = fields.flat_map(|field| field.paths);
    paths.flat_map(|path| path.match_indices('.').map(|(dot, _)| &path[..dot])).collect()
}

fn word(data: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(data[at..at + 4].try_into().unwrap())
}

/// `6.1.0-56-cloud-amd64 (builder) #1 SMP …`
fn version(image: &[u8]) -> String {
    let at = word(image, 0x20e) as usize & 0xffff;
    let text = image[0x200 + at..].split(|byte| *byte == 0).next().unwrap();
    String::from_utf8(text.to_vec()).unwrap()
}

/// The kernel inside a bzImage.
fn vmlinux(image: &[u8]) -> Vec<u8> {
    let setup = (usize::from(image[0x1f1]) + 1) * 512;
    let (offset, length) = (word(image, 0x248) as usize, word(image, 0x24c) as usize);
    let payload = &image[setup + offset..setup + offset + length];
    match payload {
        // The legacy frame of lz4: blocks of 8 MiB, each behind its length; the length of all follows.
        [0x02, 0x21, 0x4c, 0x18, ..] => {
            let mut out = Vec::new();
            let mut at = 4;
            while at + 8 <= payload.len() {
                let length = word(payload, at) as usize;
                let block = &payload[at + 4..at + 4 + length];
                out.extend(lz4_flex::block::decompress(block, 8 << 20).unwrap());
                at += 4 + length;
            }
            out
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => piped("zstd", payload),
        [0xfd, b'7', b'z', b'X', ..] => piped("xz", payload),
        [0x1f, 0x8b, ..] => piped("gzip", payload),
        _ => panic!("a kernel compressed in a way we do not know: {:x?}", &payload[..4]),
    }
}

/// The payload ends with its own length, which is no part of the compressed data.
fn piped(tool: &str, payload: &[u8]) -> Vec<u8> {
    let data = payload[..payload.len() - 4].to_vec();
    let mut command = Command::new(tool);
    command.args(["-d", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{tool}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&data));
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(out.status.success(), "{tool} could not read the kernel");
    out.stdout
}

fn section(elf: &[u8], name: &str) -> Option<Vec<u8>> {
    let file = object::File::parse(elf).unwrap();
    Some(file.section_by_name(name)?.data().unwrap().to_vec())
}

const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FWD: u32 = 7;
const TYPEDEF: u32 = 8;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const ENUM64: u32 = 19;

/// All of one BTF, a module's behind the kernel's.
struct Reader {
    data: Vec<u8>,
    strings: Vec<u8>,
    /// Where each type starts in `data`; 0 is void.
    types: Vec<usize>,
}

impl Reader {
    fn new(btf: Vec<u8>, base: Option<&Self>) -> Self {
        assert_eq!(btf[..2], [0x9f, 0xeb]);
        let header = word(&btf, 4) as usize;
        let at = |field: usize| word(&btf, field) as usize;
        let strings = &btf[header + at(16)..header + at(16) + at(20)];
        let records = &btf[header + at(8)..header + at(8) + at(12)];
        // Offset 0 must stand for no type.
        let (mut data, mut names, mut types) = match base {
            Some(base) => (base.data.clone(), base.strings.clone(), base.types.clone()),
            None => (vec![0; 4], Vec::new(), vec![0]),
        };
        let mut at = data.len();
        data.extend_from_slice(records);
        names.extend_from_slice(strings);
        while at < data.len() {
            types.push(at);
            let info = word(&data, at + 4);
            let count = (info & 0xffff) as usize;
            at += 12
                + match info >> 24 & 0x1f {
                    INT | 14 | 17 => 4,
                    ARRAY => 12,
                    STRUCT | UNION | 15 | ENUM64 => count * 12,
                    ENUM | FUNC_PROTO => count * 8,
                    _ => 0,
                };
        }
        Self { data, strings: names, types }
    }

    fn at(&self, id: u32, offset: usize) -> u32 {
        word(&self.data, self.types[id as usize] + offset)
    }

    fn kind(&self, id: u32) -> u32 {
        if id == 0 { 0 } else { self.at(id, 4) >> 24 & 0x1f }
    }

    fn count(&self, id: u32) -> usize {
        (self.at(id, 4) & 0xffff) as usize
    }

    fn text(&self, offset: u32) -> String {
        let text = self.strings[offset as usize..].split(|byte| *byte == 0).next().unwrap();
        String::from_utf8_lossy(text).into_owned()
    }

    fn name(&self, id: u32) -> String {
        if id == 0 { "void".to_owned() } else { self.text(self.at(id, 0)) }
    }

    fn named(&self, name: &str, kind: u32) -> Vec<u32> {
        (1..self.types.len() as u32)
            .filter(|id| self.kind(*id) == kind && self.name(*id) == name)
            .collect()
    }

    /// Past typedefs, qualifiers and tags.
    fn resolve(&self, mut id: u32) -> u32 {
        while matches!(self.kind(id), TYPEDEF | 9..=11 | 18) {
            id = self.at(id, 8);
        }
        id
    }

    fn size(&self, id: u32, depth: u32) -> u32 {
        let id = self.resolve(id);
        match self.kind(id) {
            PTR => 8,
            ARRAY if depth < 8 => self.at(id, 20) * self.size(self.at(id, 12), depth + 1),
            0 | FWD | FUNC_PROTO => 0,
            _ => self.at(id, 8),
        }
    }

    /// `enum bpf_func_id` has an entry for every helper there is.
    fn has_helper(&self, helper: &str) -> bool {
        let entry = helper.replacen("bpf_", "BPF_FUNC_", 1);
        self.named("bpf_func_id", ENUM)
            .into_iter()
            .any(|id| (0..self.count(id)).any(|i| self.text(self.at(id, 12 + i * 8)) == entry))
    }

    /// The words of an enum with their values: `a=0 b=1`.
    fn words(&self, name: &str) -> Option<String> {
        let id = *self.named(name, ENUM).first()?;
        let words = (0..self.count(id))
            .map(|i| format!("{}={}", self.text(self.at(id, 12 + i * 8)), self.at(id, 16 + i * 8)));
        Some(words.collect::<Vec<_>>().join(" "))
    }

    /// Every member, and those of the embedded structs `opened`: offset and size by path. Of several
    /// structs of one name, the first that has a path.
    fn members(&self, root: &str, opened: &BTreeSet<&str>) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        for id in self.named(root, STRUCT) {
            self.collect(id, "", 0, opened, &mut out);
        }
        out
    }

    fn collect(
        &self,
        id: u32,
        prefix: &str,
        base: u32,
        opened: &BTreeSet<&str>,
        out: &mut BTreeMap<String, String>,
    ) {
        let id = self.resolve(id);
        if !matches!(self.kind(id), STRUCT | UNION) {
            return;
        }
        for i in 0..self.count(id) {
            let (name, ty, raw) = (
                self.text(self.at(id, 12 + i * 12)),
                self.at(id, 16 + i * 12),
                self.at(id, 20 + i * 12),
            );
            let flagged = self.at(id, 4) >> 31 != 0;
            let (bits, at) = if flagged { (raw >> 24, raw & 0xff_ffff) } else { (0, raw) };
            let at = base + at;
            if name.is_empty() {
                self.collect(ty, prefix, at, opened, out);
                continue;
            }
            let path = format!("{prefix}{name}");
            let size = if bits != 0 { "bits".to_owned() } else { self.size(ty, 0).to_string() };
            out.entry(path.clone()).or_insert(format!("{} {size}", at / 8));
            if opened.contains(path.as_str()) {
                self.collect(ty, &format!("{path}."), at, opened, out);
            }
        }
    }

    /// A type as C has it; a pointer to a struct always by the struct's name.
    fn shown(&self, id: u32) -> String {
        let plain = self.resolve(id);
        match self.kind(plain) {
            PTR => {
                let target = self.at(plain, 8);
                let inner = self.resolve(target);
                match self.kind(inner) {
                    FUNC_PROTO => "function *".to_owned(),
                    PTR => format!("{}*", self.shown(target)),
                    STRUCT | UNION | ENUM | ENUM64 if !self.name(inner).is_empty() => {
                        format!("{} *", self.shown(inner))
                    }
                    _ => format!("{} *", self.shown(target)),
                }
            }
            // The name it goes by, where it has one.
            _ if self.kind(id) == TYPEDEF => self.name(id),
            STRUCT => format!("struct {}", self.name(plain)),
            UNION => format!("union {}", self.name(plain)),
            ENUM | ENUM64 => format!("enum {}", self.name(plain)),
            FWD => format!("fwd {}", self.name(plain)),
            ARRAY => format!("{}[]", self.shown(self.at(plain, 12))),
            _ => self.name(plain),
        }
    }

    /// `(struct vm_fault *vmf) -> vm_fault_t`
    fn prototype(&self, function: &str) -> Option<String> {
        let id = *self.named(function, FUNC).first()?;
        let proto = self.at(id, 8);
        let params = (0..self.count(proto)).map(|i| {
            let (name, ty) = (self.text(self.at(proto, 12 + i * 8)), self.at(proto, 16 + i * 8));
            let shown = self.shown(ty);
            if shown.ends_with('*') { format!("{shown}{name}") } else { format!("{shown} {name}") }
        });
        let params = params.collect::<Vec<_>>().join(", ");
        Some(format!("({params}) -> {}", self.shown(self.at(proto, 8))))
    }
}
