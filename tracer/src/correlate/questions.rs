//! Who was asked about and has not been answered for: what rests on that is not judged yet.
use std::collections::BTreeMap;

use crate::model::task::ProcessId;

/// Questions that are open at most; of others nobody waits for the answer.
const QUESTIONS: usize = 8_192;

/// Open questions, by process and by the time they belong to (ns since boot).
#[derive(Default)]
pub struct OpenQuestions {
    open: BTreeMap<(ProcessId, u64), u32>,
}

impl OpenQuestions {
    /// Something was asked about `id`, of an event at `time`.
    pub fn asked(&mut self, id: ProcessId, time: u64) {
        if self.open.len() < QUESTIONS || self.open.contains_key(&(id, time)) {
            *self.open.entry((id, time)).or_default() += 1;
        }
    }

    /// One question of that process and time was answered, or never will be.
    pub fn answered(&mut self, id: ProcessId, time: u64) {
        if let Some(count) = self.open.get_mut(&(id, time)) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(&(id, time));
            }
        }
    }

    /// Nobody will answer any more.
    pub fn give_up(&mut self) {
        self.open.clear();
    }

    /// Whether anything that was asked about `id` until `time` has not been answered. What was asked later is
    /// about something else.
    pub fn is_open(&self, id: ProcessId, time: u64) -> bool {
        self.open.range((id, 0)..=(id, time)).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_questions_take_two_answers() {
        let id = ProcessId { tgid: 1, start: 2 };
        let mut questions = OpenQuestions::default();
        questions.asked(id, 5);
        questions.asked(id, 5);
        questions.answered(id, 5);
        assert!(questions.is_open(id, 5));
        questions.answered(id, 5);
        questions.answered(id, 5);
        assert!(!questions.is_open(id, 5));
    }

    #[test]
    fn what_is_asked_later_is_about_something_else() {
        let (id, other) = (ProcessId { tgid: 1, start: 2 }, ProcessId { tgid: 1, start: 3 });
        let mut questions = OpenQuestions::default();
        questions.asked(id, 7);
        questions.asked(other, 5);
        assert!(!questions.is_open(id, 6) && questions.is_open(id, 7));
        questions.answered(id, 6);
        assert!(questions.is_open(id, 7), "that was the answer to another question");
    }

    #[test]
    fn a_foreign_stream_cannot_fill_memory() {
        let mut questions = OpenQuestions::default();
        for tgid in 0..2 * QUESTIONS as u32 {
            questions.asked(ProcessId { tgid, start: 0 }, 0);
        }
        assert_eq!(questions.open.len(), QUESTIONS);
    }
}
