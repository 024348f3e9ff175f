//! Closures on worker threads while the job that needs them is paused.
#![allow(unsafe_code, reason = "forks")]

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use siding::job::{self, Callback, Options, Progress, WaitCtx, WaitError};
use siding::offload::{NotOffloaded, OffloadError, Workers, offload};
use siding::scheduler::{JoinError, Scheduler};

use crate::common;

/// Runs `body` as the only job of a scheduler.
fn in_a_job<T: 'static>(body: impl FnOnce() -> T + 'static) -> Result<T, JoinError> {
    let scheduler = Scheduler::new().expect("a scheduler");
    // Compiled for each type of result, not for each closure.
    let body: Box<dyn FnOnce() -> T> = Box::new(body);
    let job = scheduler.spawn(body).unwrap();
    scheduler.run().unwrap();
    job.join()
}

#[test]
fn a_job_gets_the_value() {
    assert_eq!(in_a_job(|| offload(|| 6 * 7).unwrap()).unwrap(), 42);
}

#[test]
fn the_closure_runs_on_another_thread() {
    let other = in_a_job(|| offload(|| thread::current().id()).unwrap()).unwrap();
    assert_ne!(other, thread::current().id());
}

#[test]
fn other_jobs_run_meanwhile() {
    let scheduler = Scheduler::new().expect("a scheduler");
    let (send, receive) = mpsc::channel();
    let waits = scheduler.spawn(|| offload(move || receive.recv().unwrap()).unwrap()).unwrap();
    scheduler.spawn(move || send.send("from the same thread").unwrap()).unwrap();
    scheduler.run().unwrap();
    assert_eq!(waits.join().unwrap(), "from the same thread");
}

#[test]
fn its_panic_goes_on_in_the_job() {
    let error = in_a_job(|| offload(|| panic!("on purpose")).unwrap_or(())).unwrap_err();
    let JoinError::Panicked(payload) = error else { panic!("it panicked: {error}") };
    assert_eq!(payload.downcast_ref(), Some(&"on purpose"));
}

#[test]
fn a_worker_survives_a_panic() {
    let workers = Arc::new(Workers::new(1).unwrap());
    let ours = Arc::clone(&workers);
    let _ = in_a_job(move || ours.offload(|| panic!("on purpose")).unwrap_or(()));
    assert_eq!(in_a_job(move || workers.offload(|| 1).unwrap()).unwrap(), 1);
}

#[test]
fn two_thousand_are_in_flight_at_once() {
    let scheduler = Scheduler::new().expect("a scheduler");
    let jobs: Vec<_> =
        (0..2000).map(|i| scheduler.spawn(move || offload(move || i).unwrap()).unwrap()).collect();
    scheduler.run().unwrap();
    assert_eq!(jobs.into_iter().map(|job| job.join().unwrap()).sum::<i32>(), 1_999_000);
}

mod refused {
    use super::*;

    fn error_and_closure<T, F: FnOnce() -> T>(
        result: Result<T, NotOffloaded<F>>,
    ) -> (OffloadError, bool) {
        let NotOffloaded { error, closure } = result.err().expect("refused");
        (error, closure.is_some())
    }

    #[test]
    fn outside_a_job() {
        let (error, closure) = error_and_closure(offload(|| ()));
        assert!(matches!(error, OffloadError::Wait(WaitError::NotDriven)));
        assert!(closure, "the closure comes back");
    }

    #[test]
    fn in_a_job_that_nobody_drives() {
        let Ok(Progress::Finished((error, closure))) =
            job::start(|| error_and_closure(offload(|| ())))
        else {
            panic!("it does not pause")
        };
        assert!(matches!(error, OffloadError::Wait(WaitError::NotDriven)));
        assert!(closure, "the closure comes back");
    }

    #[test]
    fn in_a_job_that_must_not_pause() {
        let (error, _) = in_a_job(|| {
            let _blocked = job::block_pause();
            error_and_closure(offload(|| ()))
        })
        .unwrap();
        assert!(matches!(error, OffloadError::Wait(WaitError::Blocked)));
    }

    #[test]
    fn without_a_worker() {
        assert_eq!(Workers::new(0).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn on_the_workers_of_a_parent_process() {
        let workers = Arc::new(Workers::new(1).unwrap());
        common::passes(move || {
            let (error, closure) =
                in_a_job(move || error_and_closure(workers.offload(|| ()))).unwrap();
            assert!(matches!(error, OffloadError::Forked));
            assert!(closure, "the closure comes back");
        });
    }
}

#[test]
fn a_forked_child_gets_workers_of_its_own() {
    in_a_job(|| offload(|| ()).unwrap()).unwrap();
    common::passes(|| assert_eq!(in_a_job(|| offload(|| 5).unwrap()).unwrap(), 5));
}

mod cancelled {
    use super::*;

    #[test]
    fn work_that_has_begun_runs_to_its_end() {
        let scheduler = Scheduler::new().expect("a scheduler");
        let done = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&done);
        let (go, wait) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let work = move || {
            begun.send(()).unwrap();
            wait.recv().unwrap();
            theirs.store(true, Ordering::Release);
        };
        let job = scheduler.spawn(move || offload(work).is_ok()).unwrap();
        scheduler.turn(Some(Duration::ZERO)).unwrap();
        has_begun.recv().unwrap();
        assert!(job.cancel());
        go.send(()).unwrap();
        while !done.load(Ordering::Acquire) {
            thread::yield_now();
        }
    }

    #[test]
    fn work_that_has_not_begun_never_runs() {
        let scheduler = Scheduler::new().expect("a scheduler");
        let workers = Arc::new(Workers::new(1).unwrap());
        let ran = Arc::new(AtomicUsize::new(0));
        let (go, wait) = mpsc::channel::<()>();
        let first = Arc::clone(&workers);
        let busy = scheduler.spawn(move || first.offload(move || wait.recv()).is_ok()).unwrap();
        let (second, theirs) = (Arc::clone(&workers), Arc::clone(&ran));
        let queued = scheduler
            .spawn(move || {
                let work = move || theirs.fetch_add(1, Ordering::Relaxed);
                second.offload(work).is_ok()
            })
            .unwrap();
        scheduler.turn(Some(Duration::ZERO)).unwrap();
        assert!(queued.cancel());
        go.send(()).unwrap();
        scheduler.run().unwrap();
        assert!(busy.join().unwrap());
        in_a_job(move || workers.offload(|| ()).unwrap()).unwrap();
        assert_eq!(ran.load(Ordering::Relaxed), 0);
    }
}

mod in_a_plain_loop {
    use super::*;
    use std::os::fd::RawFd;

    fn wait_readable(fd: RawFd) {
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd.
        assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 60_000) }, 1);
    }

    #[test]
    fn a_descriptor_of_the_wait_context_tells() {
        let ctx = WaitCtx::new();
        let options = Options::new().wait_ctx(ctx.clone());
        let work = || {
            thread::sleep(Duration::from_millis(3));
            9
        };
        let mut progress = options.start(move || offload(work).unwrap()).unwrap();
        let value = loop {
            match progress {
                Progress::Finished(value) => break value,
                Progress::Paused(job) => {
                    wait_readable(ctx.all_fds()[0]);
                    progress = job.resume();
                }
            }
        };
        assert_eq!(value, 9);
        assert!(ctx.all_fds().is_empty(), "it is cleared afterwards");
    }

    #[test]
    fn a_callback_of_the_wait_context_tells() {
        let ctx = WaitCtx::new();
        let (send, receive) = mpsc::channel();
        let send = std::sync::Mutex::new(send);
        ctx.set_callback(Some(Callback::new(move || send.lock().unwrap().send(()).unwrap())));
        let options = Options::new().wait_ctx(ctx.clone());
        let Ok(Progress::Paused(job)) = options.start(|| offload(|| 9).unwrap()) else {
            panic!("it pauses")
        };
        receive.recv().unwrap();
        assert!(matches!(job.resume(), Progress::Finished(9)));
        assert!(ctx.all_fds().is_empty(), "no descriptor was needed");
    }

    #[test]
    fn a_resume_that_comes_early_does_no_harm() {
        let options = Options::new().wait_ctx(WaitCtx::new());
        let (go, wait) = mpsc::channel();
        let started = options.start(|| offload(move || wait.recv().unwrap()).unwrap());
        let Ok(Progress::Paused(job)) = started else { panic!("it pauses") };
        let Progress::Paused(job) = job.resume() else { panic!("too early") };
        go.send(3).unwrap();
        let mut progress = job.resume();
        while let Progress::Paused(job) = progress {
            thread::sleep(Duration::from_millis(1));
            progress = job.resume();
        }
        assert!(matches!(progress, Progress::Finished(3)));
    }
}
