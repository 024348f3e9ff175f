//! No job keeps another from its turns.

use super::*;
use siding::offload::offload;

/// Long enough for anything but a hang.
const LONG: Duration = Duration::from_secs(60);

/// Runs `other` beside jobs that yield in a loop, and jobs that wait in a loop for a
/// descriptor that is always ready. They give up when it has ended.
fn runs_beside_greedy_ones(other: impl Fn() + 'static) {
    let scheduler = scheduler();
    let done = Rc::new(Cell::new(false));
    let (writable, _peer) = pair().unwrap();
    let writable = Rc::new(writable);
    let start = Instant::now();
    for yields in [true, false, true, false] {
        let (done, writable) = (Rc::clone(&done), Rc::clone(&writable));
        let body = move || {
            while !done.get() && start.elapsed() < LONG {
                let turn = || wait_fd(&*writable, Interest::Writable, None);
                if yields { yield_now() } else { turn() }.unwrap();
            }
        };
        scheduler.spawn(body).unwrap();
    }
    let body = move || {
        other();
        done.set(true);
    };
    let other = scheduler.spawn(body).unwrap();
    scheduler.run().unwrap();
    assert!(other.join().is_ok());
    assert!(start.elapsed() < LONG, "starved");
}

#[test]
fn one_that_yields_is_not_starved() {
    runs_beside_greedy_ones(|| (0..1000).for_each(|_| yield_now().unwrap()));
}

#[test]
fn one_that_sleeps_is_not_starved() {
    runs_beside_greedy_ones(|| sleep(Duration::from_millis(2)).unwrap());
}

#[test]
fn one_that_waits_for_a_descriptor_is_not_starved() {
    runs_beside_greedy_ones(|| {
        let (mut ours, mut theirs) = pair().unwrap();
        for _ in 0..100 {
            theirs.write_all(b"x").unwrap();
            wait_fd(&ours, Interest::Readable, None).unwrap();
            ours.read_exact(&mut [0]).unwrap();
        }
    });
}

#[test]
fn one_that_offloads_is_not_starved() {
    runs_beside_greedy_ones(|| (0..20).for_each(|n| assert_eq!(offload(move || n).unwrap(), n)));
}

#[test]
fn one_that_is_woken_by_another_thread_is_not_starved() {
    runs_beside_greedy_ones(|| {
        for _ in 0..20 {
            let wake = wake_handle().unwrap();
            let thread = thread::spawn(move || wake.wake());
            park().unwrap();
            thread.join().unwrap();
        }
    });
}

/// Round by round: no kind of waiting is a better seat than another.
#[test]
fn who_can_always_go_on_gets_as_many_turns_as_the_others() {
    let scheduler = scheduler();
    let (writable, _peer) = pair().unwrap();
    let yields = Rc::new(Cell::new(0_u32));
    let waits = Rc::new(Cell::new(0_u32));
    let (yielded, waited) = (Rc::clone(&yields), Rc::clone(&waits));
    let yielder = scheduler.spawn(move || {
        loop {
            yielded.set(yielded.get() + 1);
            yield_now().unwrap();
        }
    });
    let waiter = scheduler.spawn(move || {
        loop {
            waited.set(waited.get() + 1);
            wait_fd(&writable, Interest::Writable, None).unwrap();
        }
    });
    let _jobs: (JoinHandle<()>, JoinHandle<()>) = (yielder.unwrap(), waiter.unwrap());
    (0..100).for_each(|_| assert_eq!(turn(&scheduler), Turn::Busy));
    assert!(yields.get().abs_diff(waits.get()) <= 1, "{yields:?} {waits:?}");
}
