//! Who was asked about and has not been answered for: what concerns them is not judged yet.
use std::collections::HashMap;

use crate::model::task::ProcessId;

/// Processes with an open question at most; others are judged by what is known.
const PROCESSES: usize = 4_096;

/// Open questions by process.
#[derive(Default)]
pub struct OpenQuestions {
    open: HashMap<ProcessId, u32>,
}

impl OpenQuestions {
    /// Something was asked about `id`.
    pub fn asked(&mut self, id: ProcessId) {
        if self.open.len() < PROCESSES || self.open.contains_key(&id) {
            *self.open.entry(id).or_default() += 1;
        }
    }

    /// One question about `id` was answered, or never will be.
    pub fn answered(&mut self, id: ProcessId) {
        if let Some(count) = self.open.get_mut(&id) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.open.remove(&id);
            }
        }
    }

    /// Nobody will answer any more.
    pub fn give_up(&mut self) {
        self.open.clear();
    }

    pub fn is_open(&self, id: ProcessId) -> bool {
        self.open.contains_key(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_questions_take_two_answers() {
        let id = ProcessId { tgid: 1, start: 2 };
        let mut questions = OpenQuestions::default();
        questions.asked(id);
        questions.asked(id);
        questions.answered(id);
        assert!(questions.is_open(id));
        questions.answered(id);
        questions.answered(id);
        assert!(!questions.is_open(id));
    }

    #[test]
    fn a_foreign_stream_cannot_fill_memory() {
        let mut questions = OpenQuestions::default();
        for tgid in 0..2 * PROCESSES as u32 {
            questions.asked(ProcessId { tgid, start: 0 });
        }
        assert_eq!(questions.open.len(), PROCESSES);
    }
}
