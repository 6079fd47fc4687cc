//: rs-dynamic main -O -g
//: rs-lines thread -O -Cdebuginfo=line-tables-only -Cpanic=abort
//: rs-static main -O -g -Ctarget-feature=+crt-static
//: rs-no-tables thread -O -g -Cpanic=abort -Cforce-unwind-tables=no -Cforce-frame-pointers=yes -Ctarget-feature=+crt-static
//: rs-lto main -O -g -Clto=fat -Ccodegen-units=1 -Cpanic=abort
//: rs-symbols main -O
//: rs-debug thread separate -O -g
//: rs-elsewhere main elsewhere -O -g
// PROGRAM read FILE OFFSET HOW, PROGRAM cut FILE: as reader.c, with traits, closures and generic functions. Rust's runtime
// handles SIGBUS on a stack of its own: it takes back what the signal does, and returns to the fault.
use std::{env, fs, hint::black_box, os::fd::AsRawFd as _, thread, time::Duration};

unsafe extern "C" {
    fn mmap(at: *mut u8, size: usize, protect: i32, flags: i32, fd: i32, offset: i64) -> *const u8;
}

trait Database: Sync {
    fn look_up(&self, offset: usize) -> u64;
}

struct Mapped {
    bytes: &'static [u8],
}

impl Mapped {
    fn rows(&self, offset: usize) -> impl Iterator<Item = u32> + '_ {
        self.bytes[offset..offset + 4096].chunks(16).map(|row| network(row))
    }

    #[inline(never)]
    fn walk(&self, offset: usize, bit: u32) -> u64 {
        if bit < 8 {
            return black_box(self.walk(offset, bit + 1)) + u64::from(bit);
        }
        let mut copy = [0; 1024];
        copy.copy_from_slice(&self.bytes[offset..offset + black_box(1024)]);
        u64::from(black_box(&copy)[7])
    }
}

#[inline(always)]
fn network(row: &[u8]) -> u32 {
    u32::from_le_bytes([row[0], row[1], row[2], row[3]])
}

impl Database for Mapped {
    #[inline(never)]
    fn look_up(&self, offset: usize) -> u64 {
        match offset % 32 {
            0 => black_box(self.walk(offset, 5)),
            _ => black_box(self.rows(offset).map(u64::from).sum()),
        }
    }
}

#[inline(never)]
fn serve<D: Database + ?Sized>(database: &D, offset: usize, how: &str) -> u64 {
    match how {
        "thread" => thread::scope(|scope| {
            let worker = scope.spawn(|| black_box(database.look_up(offset + 16)));
            black_box(worker.join().unwrap_or(0))
        }),
        _ => black_box(database.look_up(offset)),
    }
}

#[inline(never)]
fn cut_short(path: &str) -> std::io::Result<()> {
    let file = fs::OpenOptions::new().write(true).open(path)?;
    black_box(file.set_len(4096))
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let [_, _, path] = &arguments[..] {
        return cut_short(path).expect("it is cut short");
    }
    let [_, _, path, offset, how] = &arguments[..] else { panic!("usage") };
    let file = fs::File::open(path).expect("a file");
    let size = usize::try_from(file.metadata().expect("a size").len()).expect("it fits");
    // SAFETY: it is none, which is what this is about: somebody cuts the file short.
    let bytes = unsafe { std::slice::from_raw_parts(mmap(std::ptr::null_mut(), size, 1, 1, file.as_raw_fd(), 0), size) };
    let database: Box<dyn Database> = Box::new(Mapped { bytes });
    let offset = offset.parse().expect("a number");
    fs::write(format!("{path}.ready"), "").expect("room");
    loop {
        black_box(serve(&*database, offset, how));
        thread::sleep(Duration::from_millis(1));
    }
}
