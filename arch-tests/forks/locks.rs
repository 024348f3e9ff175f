//! A fork while another thread is in the middle of something.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;

use siding::job::{Callback, Options, WaitCtx};
use siding::offload::{OffloadError, Workers, offload};

use super::*;

/// Runs `test` in one child after the other, while `meanwhile` runs again and again in a
/// thread of this process.
fn in_children(meanwhile: impl Fn() + Sync, test: impl Fn()) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                meanwhile();
                // Whoever forks wants the lock, too.
                thread::yield_now();
            }
        });
        for _ in 0..20 {
            common::passes(&test);
        }
        done.store(true, Relaxed);
    });
}

/// Large, so that the other thread is nearly always under its lock.
#[test]
fn a_wait_context_that_another_thread_is_using_is_whole_and_free_in_the_child() {
    const FDS: usize = 50_000;
    let ctx = WaitCtx::new();
    for fd in 0..FDS {
        ctx.set_wait_fd(fd.into(), fd as i32).unwrap();
    }
    let use_it = || {
        ctx.set_wait_fd(0.into(), 0).unwrap();
        assert_eq!(ctx.all_fds().len(), FDS + 1);
        assert!(ctx.clear_fd(0.into()));
    };
    in_children(use_it, || {
        assert!((FDS..=FDS + 1).contains(&ctx.all_fds().len()));
        ctx.set_wait_fd(0.into(), 0).unwrap();
        let options = Options::new().wait_ctx(ctx.clone());
        assert!(matches!(options.start(job::pause).unwrap(), Progress::Paused(_)));
    });
}

#[test]
fn jobs_wakes_and_schedulers_can_be_had_in_the_child() {
    let use_them = || {
        let scheduler = scheduler();
        let park = || wake_handle().unwrap().wake();
        scheduler.spawn(park).unwrap();
        scheduler.run().unwrap();
    };
    in_children(use_them, use_them);
}

/// A paused job whose work a thread of `workers` does when told.
fn offloaded(workers: &Arc<Workers>) -> (Job<Result<i32, String>>, mpsc::Sender<i32>) {
    let (sender, receiver) = mpsc::channel();
    let ctx = WaitCtx::new();
    ctx.set_callback(Some(Callback::new(|| ())));
    let workers = Arc::clone(workers);
    let body = move || {
        let offloaded = workers.offload(move || receiver.recv().unwrap());
        offloaded.map_err(|refused| {
            assert!(matches!(refused.error, OffloadError::Forked), "{refused}");
            refused.to_string()
        })
    };
    match Options::new().wait_ctx(ctx).start(body).unwrap() {
        Progress::Paused(job) => (job, sender),
        Progress::Finished(_) => panic!("it pauses"),
    }
}

/// In the child: the drop takes a lock of the channel's, which the worker may have had at the fork.
fn leave(sender: mpsc::Sender<i32>) {
    std::mem::forget(sender);
}

/// Nobody in the child does the work.
#[test]
fn a_job_that_waits_for_the_parents_workers_gets_an_error_in_the_child() {
    let workers = Arc::new(Workers::new(1).unwrap());
    // One that has begun, perhaps, and one that has not.
    let jobs = [offloaded(&workers), offloaded(&workers)];
    let mut jobs = Some(jobs);
    common::passes(|| {
        for (job, sender) in jobs.take().unwrap() {
            leave(sender);
            let Progress::Finished(Err(said)) = job.resume() else { panic!("no error") };
            assert!(said.contains("parent"), "{said}");
        }
    });
    for (mut job, sender) in jobs.take().unwrap() {
        sender.send(3).unwrap();
        loop {
            job = match job.resume() {
                Progress::Paused(job) => job,
                Progress::Finished(value) => {
                    assert_eq!(value, Ok(3));
                    break;
                }
            };
            thread::yield_now();
        }
    }
}

#[test]
fn a_job_that_waits_for_the_parents_workers_can_be_cancelled_in_the_child() {
    let workers = Arc::new(Workers::new(1).unwrap());
    let mut jobs = Some([offloaded(&workers), offloaded(&workers)]);
    common::passes(|| {
        for (job, sender) in jobs.take().unwrap() {
            leave(sender);
            job.cancel();
        }
    });
}

#[test]
fn work_is_offloaded_in_a_child_born_while_another_thread_offloads() {
    let use_them = || {
        let scheduler = scheduler();
        let job = scheduler.spawn(|| offload(|| 3).unwrap()).unwrap();
        scheduler.run().unwrap();
        assert_eq!(job.join().unwrap(), 3);
    };
    in_children(use_them, use_them);
}
