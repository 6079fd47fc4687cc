use std::{
    sync::{Arc, mpsc},
    thread,
};

use super::*;
use crate::{
    enrich::shares::{CODE, OF_USER},
    model::task::ProcessId,
};

fn process(tgid: u32) -> Target {
    Target::Process(ProcessId { tgid, start: 0 })
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(test)
}

fn of(uid: u32, tgid: u32) -> Subject {
    Subject { target: process(tgid), uid: Some(uid) }
}

/// As many questions as there are threads, none of which is answered before what this gives is dropped.
fn hang<S: Into<Subject>>(
    executor: &mut DeadlineExecutor<i32>,
    subject: impl Fn(u32) -> S,
) -> mpsc::Sender<()> {
    let (hold, gate) = mpsc::channel::<()>();
    let gate = Arc::new(std::sync::Mutex::new(gate));
    for tgid in 0..THREADS as u32 {
        let gate = Arc::clone(&gate);
        let wait = move || gate.lock().map_or(0, |gate| gate.recv().map_or(0, |()| 0));
        executor.request(subject(tgid), true, wait, 1);
    }
    hold
}

/// As it is, but for a machine on which a thread may not be run for a long time.
fn patient<T: Send + 'static>() -> DeadlineExecutor<T> {
    let (deadline, timeout) = (Duration::from_secs(2), Duration::from_secs(60));
    DeadlineExecutor { deadline, timeout, ..DeadlineExecutor::default() }
}

#[test]
fn who_hangs_holds_up_nobody_and_is_not_asked_again() {
    run(async {
        let mut executor = patient();
        let (hold, hanging) = mpsc::channel::<()>();
        executor.request(process(1), true, move || hanging.recv().map_or(-1, |()| -1), 1);
        executor.request(process(2), true, || 20, 2);
        executor.request(process(3), true, || 30, 3);
        let mut others = [executor.next().await, executor.next().await];
        others.sort_unstable();
        assert_eq!(others, [20, 30]);
        assert_eq!(executor.next().await, 1);
        executor.request(process(1), true, || 10, 11);
        assert_eq!(executor.next().await, 11);
        assert_eq!(executor.hanging.len(), 1);
        assert!(!executor.is_busy());
        drop(hold);
        while !executor.hanging.is_empty() {
            executor.request(process(4), true, || 40, 4);
            executor.next().await;
        }
    });
}

/// A thread that only waits for the CPU may be of a host on which everybody does.
#[test]
fn who_is_busy_does_not_hang() {
    run(async {
        let mut executor = DeadlineExecutor {
            deadline: Duration::from_millis(5),
            timeout: Duration::from_secs(60),
            ..DeadlineExecutor::default()
        };
        let spin = || {
            let until = Instant::now() + Duration::from_millis(200);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
            10
        };
        executor.request(process(1), true, spin, 1);
        assert_eq!(executor.next().await, 10);
        executor.timeout = Duration::from_millis(20);
        executor.request(process(2), true, spin, 2);
        assert_eq!(executor.next().await, 2, "not for ever");
    });
}

/// Each of many files may have to come from the disk.
#[test]
fn who_reads_many_files_of_the_host_does_not_hang() {
    run(async {
        let deadline = Duration::from_millis(10);
        let mut executor = DeadlineExecutor { deadline, ..patient() };
        let read = || {
            for _ in 0..100 {
                thread::sleep(Duration::from_millis(2));
            }
            10
        };
        executor.request(Target::Origins, true, read, 1);
        assert_eq!(executor.next().await, 10);
        executor.request(process(1), true, read, 2);
        assert_eq!(executor.next().await, 2, "whose files may be anybody's");
        let stack = |tgid| Target::Stack(ProcessId { tgid, start: 0 });
        executor.request(stack(3), true, read, 3);
        executor.request(stack(4), true, || 40, 4);
        assert_eq!(executor.next().await, 10, "the files of a stack");
        assert_eq!(executor.next().await, 40);
        let (hold, hanging) = mpsc::channel::<()>();
        executor.request(Target::Origins, true, move || hanging.recv().map_or(-1, |()| -1), 3);
        assert_eq!(executor.next().await, 3, "which sleeps for ever");
        drop(hold);
    });
}

/// A disk may be slow once.
#[test]
fn who_comes_back_is_asked_again() {
    run(async {
        let deadline = Duration::from_millis(5);
        let mut executor = DeadlineExecutor { deadline, ..patient() };
        let (hold, slow) = mpsc::channel::<()>();
        executor.request(process(1), true, move || slow.recv().map_or(10, |()| 10), 1);
        assert_eq!(executor.next().await, 1);
        drop(hold);
        while !executor.hanging.is_empty() {
            executor.request(process(2), true, || 20, 2);
            executor.next().await;
        }
        executor.deadline = Duration::from_secs(60);
        executor.request(process(1), true, || 10, 1);
        assert_eq!(executor.next().await, 10);
    });
}

/// All workers of a service have their program on the mount that does not answer.
#[test]
fn programs_on_a_dead_mount_leave_threads_for_all_else() {
    run(async {
        let mut executor = patient();
        let hold = hang(&mut executor, |tgid| Target::Code(ProcessId { tgid, start: 0 }));
        executor.request(process(9), true, || 90, 9);
        assert_eq!(executor.next().await, 90, "behind all of them");
        for _ in 0..THREADS {
            assert_eq!(executor.next().await, 1);
        }
        assert_eq!(executor.hanging.len(), CODE);
        drop(hold);
    });
}

/// As many as there are threads, more of which hung once, and nobody was asked any more.
#[test]
fn a_user_whose_processes_hang_costs_nobody_else_an_answer() {
    run(async {
        let mut executor =
            DeadlineExecutor { unasked: |otherwise, _| otherwise + 100, ..patient() };
        let hold = hang(&mut executor, |tgid| of(1_000, tgid));
        executor.request(of(0, 98), true, || 980, 98);
        executor.request(of(1_001, 99), true, || 990, 99);
        let mut answers = [executor.next().await, executor.next().await];
        answers.sort_unstable();
        assert_eq!(answers, [980, 990], "behind all of them");
        let mut answers = Vec::new();
        while executor.is_busy() {
            answers.push(executor.next().await);
        }
        answers.sort_unstable();
        assert_eq!(answers, [1, 1, 101, 101, 101, 101, 101, 101], "two hang, six are not asked");
        assert_eq!(executor.hanging.len(), OF_USER);
        executor.request(of(1_000, 99), true, || 990, 99);
        assert_eq!(executor.next().await, 199, "nor is who comes later");
        executor.request(process(1), true, || 10, 11);
        assert_eq!(executor.next().await, 11, "who hangs itself is said to hang");
        drop(hold);
        while !executor.hanging.is_empty() {
            executor.request(of(0, 4), true, || 40, 4);
            executor.next().await;
        }
        executor.request(of(1_000, 99), true, || 990, 99);
        assert_eq!(executor.next().await, 990, "one was let go");
    });
}

#[test]
fn when_all_threads_hang_nobody_is_asked() {
    run(async {
        let mut executor = patient();
        let hold = hang(&mut executor, process);
        for _ in 0..THREADS {
            assert_eq!(executor.next().await, 1);
        }
        // As many as were started, none more.
        let hanging = executor.hanging.len();
        assert!(hanging <= THREADS, "{hanging}");
        executor.request(process(99), true, || 990, 99);
        let answer = executor.next().await;
        assert_eq!(answer == 99, hanging == THREADS);
        drop(hold);
    });
}

#[test]
fn a_thread_is_used_again() {
    run(async {
        let mut executor = patient();
        let ask = || thread::current().id();
        executor.request(process(1), true, ask, thread::current().id());
        let first = executor.next().await;
        executor.request(process(2), true, ask, thread::current().id());
        assert_eq!(executor.next().await, first);
    });
}

#[test]
fn what_is_about_to_go_away_is_asked_first() {
    let mut executor = DeadlineExecutor::default();
    for i in 1..5 {
        let question = Question {
            subject: process(i).into(),
            deadline: Instant::now(),
            ask: Box::new(move || i),
            otherwise: 0,
        };
        executor.waiting[usize::from(i != 4)].push_back(question);
    }
    let order = std::iter::from_fn(|| executor.next_question());
    let order: Vec<u32> = order.map(|(_, question)| (question.ask)()).collect();
    assert_eq!(order, [4, 1, 2, 3]);
}

#[test]
fn a_queue_that_takes_long_loses_no_answer() {
    run(async {
        let mut executor = patient();
        for i in 0..30 {
            let ask = move || {
                thread::sleep(SLOW / 2);
                i
            };
            executor.request(process(i), true, ask, 99);
        }
        let mut answers = Vec::new();
        while executor.is_busy() {
            answers.push(executor.next().await);
        }
        answers.sort_unstable();
        assert_eq!(answers, (0..30).collect::<Vec<_>>());
    });
}
