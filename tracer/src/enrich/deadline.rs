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

use crate::{
    enrich::{
        shares::{Subject, THREADS, taken},
        target::Target,
        worker::{Ask, Worker},
    },
    model::fact::Unasked,
};

/// How long an answer may take once a thread asks, while that thread sleeps in the kernel.
const DEADLINE: Duration = Duration::from_millis(100);
/// How long a question may wait for a thread, and then its thread for the CPU: on a busy host there are many, and the
/// answer is still there.
const TIMEOUT: Duration = Duration::from_secs(1);
/// A stack that others wait for: so much of its time.
const SHARED: u32 = 2;
/// Deadlines between two looks whether a stack gets on: a slow disk may take one for a read.
const READS: u32 = 3;
/// Who has been asked for longer than this holds up nobody: another thread asks what waits behind it.
const SLOW: Duration = Duration::from_millis(5);
/// Questions that wait for a thread at most.
const QUEUE: usize = 4_096;
/// Of these stacks, which have 20 KiB and more each.
const STACKS: usize = 32;
/// Targets remembered to hang whoever asks about them.
const HUNG: usize = 1_024;

struct Question<T> {
    subject: Subject,
    /// Until when it waits for a thread.
    deadline: Instant,
    ask: Ask<T>,
    /// Given instead of an answer.
    otherwise: T,
}

/// A question that a thread is asking.
struct Running<T> {
    subject: Subject,
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
    /// the host's own are waited for like that, and those of a stack.
    fn gets_on(&mut self) -> bool {
        if self.worker.is_runnable() {
            return true;
        }
        let target = self.subject.target;
        (target.is_of_host() || target.is_stack()) && {
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
    hanging: HashMap<u64, (Subject, Worker<T>)>,
    hung: HashSet<Target>,
    jobs: u64,
    /// Makes of what is given instead of an answer that nobody was asked.
    unasked: fn(T, Unasked) -> T,
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
            unasked: |otherwise, _| otherwise,
            deadline: DEADLINE,
            timeout: TIMEOUT,
            done,
            report,
        }
    }
}

impl<T: Send + 'static> DeadlineExecutor<T> {
    /// One that says by `unasked` that it did not ask, and why.
    pub fn new(unasked: fn(T, Unasked) -> T) -> Self {
        Self { unasked, ..Self::default() }
    }

    /// Asks; the answer, or `otherwise` if there is none in time, comes by [`Self::next`]. What is `urgent`,
    /// because it is about to go away, is asked before what is not. A target that makes a thread hang is not
    /// asked about again until that thread comes back, and nothing is where as many as may hang do.
    pub fn request(
        &mut self,
        subject: impl Into<Subject>,
        urgent: bool,
        ask: impl FnOnce() -> T + Send + 'static,
        otherwise: T,
    ) {
        let subject = subject.into();
        let target = subject.target;
        let deadline = Instant::now() + self.timeout * target.timeouts();
        let full = target.is_stack() && self.stacks_waiting() >= STACKS;
        let full = full || self.waiting[usize::from(!urgent)].len() == QUEUE;
        let question = Question { subject, deadline, ask: Box::new(ask), otherwise };
        match self.admit(question) {
            Some(question) if full => self.ready.push_back(question.otherwise),
            Some(question) => {
                self.waiting[usize::from(!urgent)].push_back(question);
                self.dispatch();
            }
            None => {}
        }
    }

    /// Gives a question back, or answers it if it is not to be asked now.
    fn admit(&mut self, question: Question<T>) -> Option<Question<T>> {
        if self.hung.contains(&question.subject.target) {
            self.ready.push_back(question.otherwise);
            return None;
        }
        let hanging = self.hanging.values().map(|(subject, _)| subject);
        let Some(unasked) = taken(&question.subject, hanging) else { return Some(question) };
        self.ready.push_back((self.unasked)(question.otherwise, unasked));
        None
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
            None => self.hanging.remove(&job).map(|(subject, worker)| {
                self.hung.remove(&subject.target);
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
        let shared = self.stacks_waiting() != 0;
        for running in self.running.values_mut().filter(|running| running.deadline <= now) {
            let target = running.subject.target;
            let (parts, looks) = match target.is_stack() {
                true => (if shared { SHARED } else { 1 }, READS),
                false => (1, 1),
            };
            let last = running.since + timeout * target.timeouts() / parts;
            if last > now && running.gets_on() {
                running.deadline = last.min(now + deadline * looks);
            }
        }
        let late = self.running.extract_if(|_, running| running.deadline <= now);
        let late: Vec<_> = late.collect();
        let hangs = !late.is_empty();
        for (job, Running { subject, otherwise, worker, .. }) in late {
            self.hanging.insert(job, (subject, worker));
            if self.hung.len() == HUNG {
                self.hung.clear();
            }
            self.hung.insert(subject.target);
            self.ready.push_back(otherwise);
        }
        for queue in [0, 1].into_iter().filter(|_| hangs) {
            let waiting = std::mem::take(&mut self.waiting[queue]);
            self.waiting[queue] =
                waiting.into_iter().filter_map(|question| self.admit(question)).collect();
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
        loop {
            let slow = self.running.values().all(|running| running.since + SLOW <= now);
            let room = self.running.len() + self.hanging.len() < THREADS;
            if self.idle.is_none() && !(slow && room) {
                return;
            }
            let Some((queue, question)) = self.next_question() else { return };
            let worker = self.idle.take().or_else(|| Worker::start(&self.report));
            let Some(worker) = worker else {
                self.waiting[queue].push_front(question);
                return;
            };
            let Question { subject, ask, otherwise, .. } = question;
            self.jobs += 1;
            if !worker.ask(self.jobs, ask) {
                self.ready.push_back(otherwise);
                continue;
            }
            let deadline = now + self.deadline * subject.target.deadlines();
            let running =
                Running { subject, since: now, deadline, asleep: None, otherwise, worker };
            self.running.insert(self.jobs, running);
        }
    }

    /// The question to ask next, and which queue it is from. One waits while as many threads are at others of its share
    /// as may hang: once they do hang it is not asked.
    fn next_question(&mut self) -> Option<(usize, Question<T>)> {
        let running = self.running.values().map(|running| &running.subject);
        let at_work: Vec<Subject> =
            running.chain(self.hanging.values().map(|(subject, _)| subject)).copied().collect();
        // Stacks are many where something crashes all the time: where others' faults happened is asked beside them.
        let unwinding = self.running.values().any(|running| running.subject.target.is_stack());
        // Thousands may wait, and be of one user.
        let mut wait: Vec<(Option<u32>, bool)> = Vec::new();
        let mut waits = |subject: &Subject| {
            let of = (subject.uid, subject.target.is_code());
            if wait.contains(&of) || unwinding && subject.target.is_stack() {
                return true;
            }
            let waits = taken(subject, at_work.iter()).is_some();
            wait.extend(waits.then_some(of));
            waits
        };
        let mut queues = self.waiting.iter_mut().enumerate();
        queues.find_map(|(queue, waiting)| {
            let at = waiting.iter().position(|question| !waits(&question.subject))?;
            Some((queue, waiting.remove(at)?))
        })
    }

    fn stacks_waiting(&self) -> usize {
        self.waiting.iter().flatten().filter(|question| question.subject.target.is_stack()).count()
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
