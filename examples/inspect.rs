//! Jobs in every state, for a debugger to look at (the guide "Debugging").
//!
//! `cargo run --example inspect` says so when they are there, and waits for a line.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use siding::coroutine::Coroutine;
use siding::job::{self, Job, Progress};
use siding::scheduler::{Scheduler, park, wake_handle};

/// Pauses in the middle of something.
#[inline(never)]
fn read_key(name: &str) -> usize {
    job::pause().unwrap();
    name.len()
}

#[inline(never)]
fn sign() -> usize {
    read_key("private") + 1
}

fn paused(closure: fn() -> usize) -> Job<usize> {
    match job::start(closure).unwrap() {
        Progress::Paused(job) => job,
        Progress::Finished(_) => unreachable!("it pauses"),
    }
}

#[inline(never)]
fn wait_for_a_line() -> usize {
    println!("ready: process {}", std::process::id());
    io::stdin().read_line(&mut String::new()).unwrap()
}

/// A job that has started another, which runs.
fn nested() -> usize {
    let inner = job::start(wait_for_a_line).unwrap();
    let Progress::Finished(read) = inner else { unreachable!("it does not pause") };
    read
}

/// On a thread of its own: one job waits for a wake, one has not begun.
fn second_thread(ready: &mpsc::Sender<()>, done: &mpsc::Receiver<()>) {
    let scheduler = Scheduler::new().unwrap();
    let parked = scheduler.spawn(|| (wake_handle(), park())).unwrap();
    scheduler.turn(Some(Duration::ZERO)).unwrap();
    let _fresh = scheduler.spawn(sign).unwrap();
    ready.send(()).unwrap();
    done.recv().unwrap();
    drop(parked);
}

fn main() {
    let (ready, is_ready) = mpsc::channel();
    let (done, is_done) = mpsc::channel();
    let other = thread::spawn(move || second_thread(&ready, &is_done));
    is_ready.recv().unwrap();

    let signing = paused(sign);
    let reading = paused(|| read_key("public"));
    let ended = [(); 3].map(|()| paused(sign));
    let free = ended.map(|job| matches!(job.resume(), Progress::Finished(8)));
    assert_eq!(free, [true; 3]);
    let mut numbers = Coroutine::<(), u32, ()>::new(|yielder, ()| yielder.suspend(1));
    numbers.resume(());

    assert!(matches!(job::start(nested).unwrap(), Progress::Finished(_)));
    assert!(matches!(signing.resume(), Progress::Finished(8)));
    assert!(matches!(reading.resume(), Progress::Finished(6)));
    done.send(()).unwrap();
    other.join().unwrap();
}
