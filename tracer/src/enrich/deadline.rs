//! Asks what may hang without waiting for it. A process can put its arguments on a FUSE mapping whose
//! server never answers, and a mount can be dead: whoever asks sleeps in the kernel. So threads ask, and
//! who does not answer in time is answered for.
use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, sleep_until},
};

use crate::enrich::{
    target::Target,
    worker::{Ask, Worker},
};

/// How long an answer may take once a thread asks, while that thread sleeps in the kernel.
const DEADLINE: Duration = Duration::from_millis(100);
/// How long a question may wait for a thread, and then its thread for the CPU: on a busy host there are many, and the
/// answer is still there.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Who has been asked for longer than this holds up nobody: another thread asks what waits behind it.
const SLOW: Duration = Duration::from_millis(5);
/// Threads at most. If all of them hang, nobody is asked any more.
const THREADS: usize = 8;
/// Of these, so many may hang on files of programs.
const CODE: usize = 2;
/// Questions that wait for a thread at most.
const QUEUE: usize = 4_096;
/// Of these stacks, which have 20 KiB and more each.
const STACKS: usize = 32;
/// Targets remembered to hang whoever asks about them.
const HUNG: usize = 1_024;

struct Question<T> {
    target: Target,
    /// Until when it waits for a thread.
    deadline: Instant,
    ask: Ask<T>,
    /// Given instead of an answer.
    otherwise: T,
}

/// A question that a thread is asking.
struct Running<T> {
    target: Target,
    since: Instant,
    deadline: Instant,
    /// How often its thread had gone to sleep when it was last looked at, if it slept then.
    asleep: Option<u64>,
    otherwise: T,
    worker: Worker<T>,
}

impl<T> Running<T> {
    /// Whether its thread gets on: it waits for the CPU alone, or reads many files of a slow disk and has slept for another
    /// of them since it was looked at before. Whoever serves files to hold us up could give them a byte at a time: only
    /// the host's own are waited for like that.
    fn gets_on(&mut self) -> bool {
        if self.worker.is_runnable() {
            return true;
        }
        self.target.is_of_host() && {
            let sleeps = self.worker.sleeps();
            std::mem::replace(&mut self.asleep, sleeps) != sleeps
        }
    }
}

/// Threads that ask.
pub struct DeadlineExecutor<T> {
    /// Urgent questions, and the others.
    waiting: [VecDeque<Question<T>>; 2],
    running: HashMap<u64, Running<T>>,
    /// What can be given at once.
    ready: VecDeque<T>,
    idle: Option<Worker<T>>,
    /// Jobs given up on, whose threads still hang, and on whom.
    hanging: HashMap<u64, (Target, Worker<T>)>,
    hung: HashSet<Target>,
    jobs: u64,
    /// [`DEADLINE`] and [`TIMEOUT`], but for tests.
    deadline: Duration,
    timeout: Duration,
    /// Jobs that are done.
    done: UnboundedReceiver<(u64, T)>,
    report: UnboundedSender<(u64, T)>,
}

impl<T: Send + 'static> Default for DeadlineExecutor<T> {
    fn default() -> Self {
        let (report, done) = unbounded_channel();
        Self {
            waiting: [VecDeque::new(), VecDeque::new()],
            running: HashMap::new(),
            ready: VecDeque::new(),
            idle: None,
            hanging: HashMap::new(),
            hung: HashSet::new(),
            jobs: 0,
            deadline: DEADLINE,
            timeout: TIMEOUT,
            done,
            report,
        }
    }
}

impl<T: Send + 'static> DeadlineExecutor<T> {
    /// Asks; the answer, or `otherwise` if there is none in time, comes by [`Self::next`]. What is `urgent`,
    /// because it is about to go away, is asked before what is not. A target that makes a thread hang is not
    /// asked about again until that thread comes back.
    pub fn request(
        &mut self,
        target: Target,
        urgent: bool,
        ask: impl FnOnce() -> T + Send + 'static,
        otherwise: T,
    ) {
        let refused = self.hanging.len() == THREADS || self.is_refused(&target);
        let refused = refused || target.is_stack() && self.stacks_waiting() >= STACKS;
        let waiting = &mut self.waiting[usize::from(!urgent)];
        if refused || waiting.len() == QUEUE {
            self.ready.push_back(otherwise);
            return;
        }
        let deadline = Instant::now() + self.timeout * target.timeouts();
        waiting.push_back(Question { target, deadline, ask: Box::new(ask), otherwise });
        self.dispatch();
    }

    /// Whether a target is not to be asked about now: it made a thread hang, or as many as may hang on the files of
    /// programs do. All workers of a service may have their program on the one mount that does not answer.
    fn is_refused(&self, target: &Target) -> bool {
        self.hung.contains(target) || target.is_code() && self.code_hanging() >= CODE
    }

    /// Threads that hang on files of programs.
    fn code_hanging(&self) -> usize {
        self.hanging.values().filter(|(target, _)| target.is_code()).count()
    }

    /// Whether any answer is still to come.
    pub fn is_busy(&self) -> bool {
        !(self.waiting.iter().all(VecDeque::is_empty)
            && self.running.is_empty()
            && self.ready.is_empty())
    }

    /// The next answer, in whatever order; never ends. May be dropped and called again.
    pub async fn next(&mut self) -> T {
        loop {
            if let Some(answer) = self.ready.pop_front() {
                return answer;
            }
            let check = wake(self.next_check());
            // An answer that is there counts, however late this is run.
            tokio::select! {
                biased;
                done = self.done.recv() => if let Some((job, answer)) = done {
                    self.finished(job, answer);
                },
                () = check => self.expire(Instant::now()),
            }
            self.dispatch();
        }
    }

    /// The next answer, if there is one already.
    pub fn try_next(&mut self) -> Option<T> {
        while let Ok((job, answer)) = self.done.try_recv() {
            self.finished(job, answer);
        }
        self.expire(Instant::now());
        self.dispatch();
        self.ready.pop_front()
    }

    /// When to look again, even if nobody answers.
    fn next_check(&self) -> Option<Instant> {
        let deadlines = self.running.values().map(|running| running.deadline);
        let deadlines =
            deadlines.chain(self.waiting.iter().filter_map(|queue| Some(queue.front()?.deadline)));
        let slow = self.running.values().map(|running| running.since + SLOW);
        let now = Instant::now();
        let slow =
            slow.filter(|at| *at > now && self.waiting.iter().any(|queue| !queue.is_empty()));
        deadlines.chain(slow).min()
    }

    fn finished(&mut self, job: u64, answer: T) {
        let worker = match self.running.remove(&job) {
            Some(running) => {
                self.ready.push_back(answer);
                Some(running.worker)
            }
            None => self.hanging.remove(&job).map(|(target, worker)| {
                self.hung.remove(&target);
                worker
            }),
        };
        // One thread waits for what comes next; the others end with their sender.
        if self.idle.is_none() {
            self.idle = worker;
        }
    }

    /// Answers for whoever did not answer in time.
    fn expire(&mut self, now: Instant) {
        let (deadline, timeout) = (self.deadline, self.timeout);
        for running in self.running.values_mut().filter(|running| running.deadline <= now) {
            let last = running.since + timeout * running.target.timeouts();
            if last > now && running.gets_on() {
                running.deadline = last.min(now + deadline);
            }
        }
        let late = self.running.extract_if(|_, running| running.deadline <= now);
        for (job, Running { target, otherwise, worker, .. }) in late {
            self.hanging.insert(job, (target, worker));
            if self.hung.len() == HUNG {
                self.hung.clear();
            }
            self.hung.insert(target);
            self.ready.push_back(otherwise);
        }
        for queue in &mut self.waiting {
            while let Some(question) = queue.pop_front_if(|first| first.deadline <= now) {
                self.ready.push_back(question.otherwise);
            }
        }
    }

    /// Hands questions to threads: to the one that is idle, or, where all others take long, to a new one.
    fn dispatch(&mut self) {
        let now = Instant::now();
        while let Some((queue, question)) = self.next_question() {
            if self.is_refused(&question.target) {
                self.ready.push_back(question.otherwise);
                continue;
            }
            let slow = self.running.values().all(|running| running.since + SLOW <= now);
            let room = self.running.len() + self.hanging.len() < THREADS;
            let worker = match self.idle.take() {
                Some(worker) => Some(worker),
                None if slow && room => Worker::start(&self.report),
                None => None,
            };
            let Some(worker) = worker else {
                self.waiting[queue].push_front(question);
                return;
            };
            let Question { target, ask, otherwise, .. } = question;
            self.jobs += 1;
            if !worker.ask(self.jobs, ask) {
                self.ready.push_back(otherwise);
                continue;
            }
            let deadline = now + self.deadline * target.deadlines();
            let running = Running { target, since: now, deadline, asleep: None, otherwise, worker };
            self.running.insert(self.jobs, running);
        }
    }

    /// The question to ask next, and which queue it is from. One about the files of a program waits while as many
    /// threads are at that as may hang.
    fn next_question(&mut self) -> Option<(usize, Question<T>)> {
        let running = self.running.values().filter(|running| running.target.is_code()).count();
        let hanging = self.code_hanging();
        // Once they do hang it is refused.
        let busy = hanging < CODE && running + hanging >= CODE;
        // Stacks are many where something crashes all the time: where others' faults happened is asked beside them.
        let unwinding = self.running.values().any(|running| running.target.is_stack());
        let waits = |target: &Target| busy && target.is_code() || unwinding && target.is_stack();
        let mut queues = self.waiting.iter_mut().enumerate();
        queues.find_map(|(queue, waiting)| {
            let at = waiting.iter().position(|question| !waits(&question.target))?;
            Some((queue, waiting.remove(at)?))
        })
    }

    fn stacks_waiting(&self) -> usize {
        self.waiting.iter().flatten().filter(|question| question.target.is_stack()).count()
    }
}

async fn wake(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
