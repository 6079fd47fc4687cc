//! Two compilers that run beside the guests, as on a machine where somebody works: what depends on
//! time shows then.
use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, ensure};

const COMPILERS: usize = 2;
/// Functions in what is compiled: some seconds each time.
const FUNCTIONS: usize = 3_000;

/// Compiles until it is dropped.
pub struct Load {
    stop: Arc<AtomicBool>,
    compilers: Vec<JoinHandle<()>>,
}

impl Load {
    /// # Errors
    /// Where the compiler does not work: the load would be none.
    pub fn start() -> Result<Self> {
        let source: String = (0..FUNCTIONS).map(function).collect();
        compile(&source[..function(0).len()])?;
        let stop = Arc::new(AtomicBool::new(false));
        let compiler = |_| {
            let (stop, source) = (stop.clone(), source.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if let Err(error) = compile(&source) {
                        eprintln!("xtask: the load: {error:#}");
                        break;
                    }
                }
            })
        };
        let compilers = (0..COMPILERS).map(compiler).collect();
        Ok(Self { stop, compilers })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for compiler in self.compilers.drain(..) {
            let _ = compiler.join();
        }
    }
}

/// Something that takes a compiler a while.
fn function(i: usize) -> String {
    format!(
        "unsigned f{i}(unsigned *a, unsigned n) {{ unsigned s = {i}; for (unsigned j = 0; j < n; j++) \
         for (unsigned k = 0; k < n; k += 3) s = s * 31 + (a[j] ^ a[k]) / (k + {i} + 1); return s; }}\n"
    )
}

fn compile(source: &str) -> Result<()> {
    let mut gcc = Command::new("gcc");
    gcc.args(["-O3", "-x", "c", "-c", "-", "-o", "/dev/null"]).stdin(Stdio::piped());
    let mut child = gcc.spawn().context("starting gcc")?;
    child.stdin.take().context("no standard input")?.write_all(source.as_bytes())?;
    let status = child.wait()?;
    ensure!(status.success(), "gcc ended with {status}");
    Ok(())
}
