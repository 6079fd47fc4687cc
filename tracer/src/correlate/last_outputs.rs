//! Where the output of processes leads that end, until their end is told: so much is known, whatever is looked up besides.
use crate::{
    correlate::bounded::BoundedMap,
    model::{
        fact::Process,
        output::{LastOutput, LastOutputs},
        process::Exit,
        task::ProcessId,
    },
};

/// Processes whose end is still to be told: it follows at once.
const ENDING: usize = 256;

pub struct EndingOutputs(BoundedMap<ProcessId, LastOutputs>);

impl Default for EndingOutputs {
    fn default() -> Self {
        Self(BoundedMap::new(ENDING))
    }
}

impl EndingOutputs {
    pub fn told(&mut self, output: LastOutput) {
        match self.0.get_mut(&output.id) {
            Some(known) => known.add(output),
            None => {
                let (id, mut first) = (output.id, LastOutputs::default());
                first.add(output);
                self.0.insert(id, first);
            }
        }
    }

    /// What is known of a process that has ended so.
    pub fn ended(&mut self, exit: Exit) -> Option<Process> {
        let outputs = self.0.get_mut(&exit.id)?.outputs(exit.code);
        self.0.remove(&exit.id);
        let outputs = Some(Box::new(outputs)).filter(|outputs| outputs.is_known());
        outputs.is_some().then(|| Process { outputs, ..Process::unknown(exit.id) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::output::Output;

    #[test]
    fn only_what_is_known_is_told_and_once() {
        let id = ProcessId { tgid: 7, start: 1 };
        let mut ending = EndingOutputs::default();
        let closed = || LastOutput { id, stdout: false, stderr: true, file: None };
        ending.told(closed());
        let exit = |code| Exit { id, time: 9, code };
        let outputs = ending.ended(exit(11)).and_then(|process| process.outputs);
        assert_eq!(outputs.and_then(|outputs| outputs.stderr), Some(Output::Closed));
        assert_eq!(ending.ended(exit(11)), None);
        ending.told(closed());
        assert_eq!(ending.ended(exit(1 << 8)), None, "programs close it as they exit");
    }
}
