//! How sure each class was told over all scenarios of every kernel, and that none was left out.
use std::{collections::BTreeMap, path::Path};

use anyhow::{Result, ensure};
use whybus::{
    contract::Record,
    model::cause::{CauseKind, Confidence},
};

use crate::{Job, Skipped, entries, record::records};

/// Where the scenarios leave their incidents: by job, and file. Restarts (`exited`, `aborted`) are
/// those of the history job.
const INCIDENTS: [(&str, &str); 6] = [
    ("matrix", "out.json"),
    ("matrix", "ends.json"),
    ("crashes", "out.json"),
    ("history", "export.json"),
    // The scenarios alone, where a kernel has not got the whole matrix.
    ("only", "out.json"),
    ("only", "ends.json"),
];
/// The jobs that tell every class between them, and the kernels that the gate has them on.
const WHOLE: [(&str, &str); 3] = [("newest", "matrix"), ("5.10", "crashes"), ("6.12", "history")];
/// The emulator raises nothing that gives the first, and no scenario is there to be `unknown`.
const NOT_FIRED: [CauseKind; 2] = [CauseKind::OtherKernel, CauseKind::Unknown];
/// x86 does what is not aligned.
const ON_ARM64: CauseKind = CauseKind::Misaligned;

/// Incidents that are proven, likely, unknown.
type Counts = BTreeMap<&'static str, BTreeMap<String, [u64; 3]>>;

/// Prints the table of docs/causes.md.
///
/// # Errors
/// Where a class was told on no kernel.
pub fn every_class_is_told(results: &Path) -> Result<()> {
    let mut counts = Counts::new();
    let kernels = entries(results);
    let left = |kernel: &str, job: &str| Job {
        kernel: kernel.to_owned(),
        dir: results.join(kernel).join(job),
    };
    let missing = |(kernel, job): &&(&str, &str)| left(kernel, job).text("DONE").is_err();
    if let Some((kernel, job)) = WHOLE.iter().find(missing) {
        return Err(Skipped(format!("there is no whole run of {job} on {kernel}")).into());
    }
    for kernel in &kernels {
        for (job, file) in INCIDENTS {
            let left = left(kernel, job);
            if left.text("DONE").is_ok() {
                count(&left.text(file)?, kernel, &mut counts)?;
            }
        }
    }
    println!("{}", table(&counts, &kernels));
    let arm64 = kernels.iter().any(|kernel| kernel.starts_with("arm64"));
    let fired = |kind: &&CauseKind| !NOT_FIRED.contains(kind) && (arm64 || **kind != ON_ARM64);
    for kind in CauseKind::ALL.iter().filter(fired) {
        ensure!(counts.contains_key(kind.name()), "no scenario is told as `{}`", kind.name());
    }
    Ok(())
}

fn count(text: &str, kernel: &str, counts: &mut Counts) -> Result<()> {
    for record in records(text)? {
        if let Record::Incident(incident) = record {
            let by_kernel = counts.entry(incident.cause.class.known().name()).or_default();
            let confidence = match incident.cause.confidence.known() {
                Confidence::Proven => 0,
                Confidence::Likely => 1,
                Confidence::Unknown => 2,
            };
            by_kernel.entry(kernel.to_owned()).or_default()[confidence] += 1;
        }
    }
    Ok(())
}

/// Proven, likely and unknown of each class and kernel, as `5 + 1 + 0`.
fn table(counts: &Counts, kernels: &[String]) -> String {
    let mut out =
        format!("| class | {} |\n|---|{}\n", kernels.join(" | "), "---|".repeat(kernels.len()));
    for kind in CauseKind::ALL {
        let cell = |kernel: &String| match counts.get(kind.name()).and_then(|of| of.get(kernel)) {
            Some([proven, likely, unknown]) => format!("{proven} + {likely} + {unknown}"),
            None => "–".to_owned(),
        };
        let cells: Vec<_> = kernels.iter().map(cell).collect();
        out.push_str(&format!("| `{}` | {} |\n", kind.name(), cells.join(" | ")));
    }
    out
}
