//! Wakes against polls, ends and drops, on two threads at once.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;

use siding::future::{self, block_on};
use siding::job;

const ROUNDS: usize = 5000;

/// Each wake comes while the job is about to wait, or a task is about to be polled. One that
/// is lost leaves the executor asleep for ever.
#[test]
fn no_wake_is_lost_while_the_job_goes_to_wait() {
    let (asked, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (ask, answer) = (Arc::clone(&asked), Arc::clone(&answered));
    let (send, receive) = mpsc::channel::<job::Wake>();
    let waker = thread::spawn(move || {
        let wake = receive.recv().unwrap();
        for n in 1..=ROUNDS {
            spin_until(|| ask.load(SeqCst) == n);
            // Sooner or later, to meet each step of the other side.
            (0..n % 300).for_each(|_| std::hint::spin_loop());
            answer.store(n, SeqCst);
            wake.wake();
        }
    });
    let task = future::run(move || {
        send.send(job::wake_handle().unwrap()).unwrap();
        for n in 1..=ROUNDS {
            asked.store(n, SeqCst);
            while answered.load(SeqCst) != n {
                job::park().unwrap();
            }
        }
    });
    pollster::block_on(task).unwrap();
    waker.join().unwrap();
}

/// For some time, then by turns: there may be one processor only.
fn spin_until(condition: impl Fn() -> bool) {
    while !(0..1000).any(|_| condition()) {
        thread::yield_now();
    }
}

#[test]
fn no_wake_is_lost_while_a_future_inside_is_polled() {
    let (send, receive) = mpsc::channel::<(Waker, Arc<AtomicUsize>, usize)>();
    let waker = thread::spawn(move || {
        for (waker, turn, n) in receive {
            turn.store(n, SeqCst);
            waker.wake();
        }
    });
    let turns = Arc::new(AtomicUsize::new(0));
    let task = future::run(move || {
        for n in 1..=ROUNDS {
            let mut sent = false;
            block_on(poll_fn(|cx| {
                if turns.load(SeqCst) == n {
                    return Poll::Ready(());
                }
                // Once: later polls have nothing but the first waker to rely on.
                if !std::mem::replace(&mut sent, true) {
                    send.send((cx.waker().clone(), Arc::clone(&turns), n)).unwrap();
                }
                Poll::Pending
            }))
            .unwrap();
        }
    });
    pollster::block_on(task).unwrap();
    waker.join().unwrap();
}

/// Slots are used again at once: a late wake finds another job's, and must not end its wait.
#[test]
fn wakes_race_with_the_end_of_jobs_whose_slots_are_used_again() {
    let (send, receive) = mpsc::channel::<job::Wake>();
    let waker = thread::spawn(move || receive.into_iter().for_each(|wake| wake.wake()));
    for n in 0..ROUNDS {
        let send = send.clone();
        let mut task = super::Hand::new(future::run(move || {
            let wake = job::wake_handle().unwrap();
            let _ = send.send(wake.clone());
            job::yield_now().unwrap();
            let _ = send.send(wake);
            let _ = job::park();
        }));
        let _ = task.poll();
        if n % 2 == 0 {
            let _ = task.poll();
        }
        drop(task); // cancelled in a yield, in a park, or woken already
        let mut next = super::Hand::new(future::run(|| job::park().is_ok()));
        assert!(next.poll().is_pending());
        thread::yield_now();
        assert!(next.poll().is_pending(), "a wake of another job ended this one's wait");
    }
    drop(send);
    waker.join().unwrap();
}
