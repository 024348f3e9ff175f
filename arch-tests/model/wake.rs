//! The protocol of `src/job/wake.rs` between those who wake a job and the task that awaits
//! it, with loom's atomics in place of the real ones: loom runs every interleaving, and
//! every order that the memory model allows.
//!
//! It is the protocol that is checked here, step by step as `Ticket::wake`,
//! `Job::is_woken_or_wakes` and `Slot::end_job` take them; change both together.

use std::task::{Poll, Waker};

use loom::future::AtomicWaker;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use loom::thread;

const NOTIFIED: u64 = 1;
const GENERATION: u64 = 1 << 32;

#[derive(Default)]
struct Slot {
    state: AtomicU64,
    waker: AtomicWaker,
}

impl Slot {
    /// `Ticket::wake`, of a job that a future drives.
    fn wake(&self, generation: u64) {
        let note = |state: u64| (state / GENERATION == generation).then_some(state | NOTIFIED);
        if self.state.fetch_update(Ordering::SeqCst, Ordering::Acquire, note).is_ok() {
            self.waker.wake();
        }
    }

    /// `Job::is_woken_or_wakes`: registered first, looked at second.
    fn poll(&self, waker: &Waker) -> Poll<()> {
        self.waker.register_by_ref(waker);
        match self.state.load(Ordering::Acquire) & NOTIFIED {
            0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    /// The same the other way round, which loses wakes.
    fn poll_badly(&self, waker: &Waker) -> Poll<()> {
        let notified = self.state.load(Ordering::Acquire) & NOTIFIED;
        self.waker.register_by_ref(waker);
        if notified == 0 { Poll::Pending } else { Poll::Ready(()) }
    }

    /// `Slot::consume`.
    fn consume(&self) -> bool {
        self.state.fetch_and(!NOTIFIED, Ordering::Acquire) & NOTIFIED != 0
    }

    /// `Slot::end_job`: the job has ended, or was dropped with its future.
    fn end_job(&self) {
        let next = |state: u64| Some((state / GENERATION + 1) * GENERATION);
        self.state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next).unwrap();
        drop(self.waker.take_waker());
    }
}

/// A task that counts how often it is woken.
struct Task(AtomicUsize);

impl std::task::Wake for Task {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn task() -> (std::sync::Arc<Task>, Waker) {
    let task = std::sync::Arc::new(Task(AtomicUsize::new(0)));
    (std::sync::Arc::clone(&task), Waker::from(task))
}

/// Whether a wake during the first poll is either seen by it or wakes the task.
fn a_wake_meets_a_poll(poll: fn(&Slot, &Waker) -> Poll<()>) {
    loom::model(move || {
        let slot = Arc::new(Slot::default());
        let (task, waker) = task();
        let waking = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.wake(0))
        };
        let seen = poll(&slot, &waker).is_ready();
        waking.join().unwrap();
        assert!(seen || task.0.load(Ordering::SeqCst) == 1, "a lost wake");
    });
}

#[test]
fn a_wake_during_a_poll_is_seen_or_wakes_the_task() {
    a_wake_meets_a_poll(Slot::poll);
}

#[test]
#[should_panic = "a lost wake"]
fn the_model_would_find_a_lost_wake() {
    a_wake_meets_a_poll(Slot::poll_badly);
}

#[test]
fn two_wakers_and_a_task_that_moves_lose_nothing() {
    loom::model(|| {
        let slot = Arc::new(Slot::default());
        let (first, second) = (task(), task());
        assert!(slot.poll(&first.1).is_pending());
        let waking = [(); 2].map(|()| {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.wake(0))
        });
        let seen = slot.poll(&second.1).is_ready();
        waking.into_iter().for_each(|waking| waking.join().unwrap());
        assert!(seen || second.0.0.load(Ordering::SeqCst) >= 1);
    });
}

#[test]
fn a_wake_that_races_with_the_end_does_not_reach_the_next_job() {
    loom::model(|| {
        let slot = Arc::new(Slot::default());
        let (_, waker) = task();
        let _ = slot.poll(&waker);
        let waking = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.wake(0))
        };
        slot.end_job();
        // The next job in the same place, which a stale handle must not wake.
        let (_, next) = task();
        let woken = slot.poll(&next).is_ready();
        waking.join().unwrap();
        assert!(!woken && !slot.consume());
    });
}

#[test]
fn a_wake_is_consumed_once() {
    loom::model(|| {
        let slot = Arc::new(Slot::default());
        let waking = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.wake(0))
        };
        let early = slot.consume();
        waking.join().unwrap();
        assert!(early != slot.consume());
        assert!(!slot.consume());
    });
}
