//! Offloading where it is likely to break: cancelled, unwound, refused, shared, and with
//! destructors and callbacks that panic on a worker.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::{Duration, Instant};
use std::{panic, thread};

use siding::coroutine::{Coroutine, CoroutineState};
use siding::job::{self, Callback, CancelMode, Job, Options, Progress, WaitCtx, WaitError};
use siding::offload::{OffloadError, Workers, offload};
use siding::scheduler::{JoinHandle, Scheduler};

/// Long enough for anything but a hang.
const LONG: Duration = Duration::from_secs(30);

const RETURN: Options = Options::new().cancel_mode(CancelMode::Return);

fn scheduler() -> Scheduler {
    Scheduler::new().expect("a scheduler")
}

fn turn(scheduler: &Scheduler) {
    scheduler.turn(Some(Duration::ZERO)).unwrap();
}

/// Runs `body` as the only job of a scheduler.
fn in_a_job<T: 'static>(body: impl FnOnce() -> T + 'static) -> T {
    let scheduler = scheduler();
    // Compiled for each type of result, not for each closure.
    let body: Box<dyn FnOnce() -> T> = Box::new(body);
    let job = scheduler.spawn(body).unwrap();
    scheduler.run().unwrap();
    job.join().unwrap()
}

/// One worker, so that what it is given runs in order.
fn one_worker() -> Arc<Workers> {
    Arc::new(Workers::new(1).unwrap())
}

/// That the only worker still works.
fn serves(workers: &Arc<Workers>) {
    let (workers, scheduler) = (Arc::clone(workers), scheduler());
    let job = scheduler.spawn(move || workers.offload(|| 5).unwrap()).unwrap();
    let start = Instant::now();
    while !job.is_finished() {
        assert!(start.elapsed() < LONG, "the worker is gone");
        scheduler.turn(Some(Duration::from_secs(1))).unwrap();
    }
    assert_eq!(job.join().unwrap(), 5);
}

fn paused<T>(progress: Progress<T>) -> Job<T> {
    let Progress::Paused(job) = progress else { panic!("it has finished") };
    job
}

/// Panics in its destructor.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a destructor on a worker");
    }
}

mod on_the_worker {
    use super::*;

    /// A job whose work has begun, and a way to let the work end.
    fn begun<T: Send + 'static>(
        workers: &Arc<Workers>,
        options: &Options,
        scheduler: &Scheduler,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> (JoinHandle<bool>, mpsc::Sender<()>) {
        let workers = Arc::clone(workers);
        let (go, wait) = mpsc::channel();
        let (begins, has_begun) = mpsc::channel();
        let work = move || {
            begins.send(()).unwrap();
            wait.recv().unwrap();
            work()
        };
        let body = move || workers.offload(work).is_ok();
        let job = scheduler.spawn_with(options, body).unwrap();
        turn(scheduler);
        has_begun.recv().unwrap();
        (job, go)
    }

    #[test]
    fn a_value_that_nobody_wants_may_panic_when_it_is_dropped() {
        let workers = one_worker();
        let scheduler = scheduler();
        let (job, go) = begun(&workers, &Options::new(), &scheduler, || Bomb);
        assert!(job.cancel());
        go.send(()).unwrap();
        serves(&workers);
    }

    #[test]
    fn so_may_what_that_panic_carries() {
        struct Outer;
        impl Drop for Outer {
            fn drop(&mut self) {
                panic::panic_any(Inner);
            }
        }
        struct Inner;
        impl Drop for Inner {
            fn drop(&mut self) {
                panic::panic_any(()); // without a size, as this is never freed
            }
        }
        let workers = one_worker();
        let scheduler = scheduler();
        let (job, go) = begun(&workers, &Options::new(), &scheduler, || Outer);
        assert!(job.cancel());
        go.send(()).unwrap();
        serves(&workers);
    }

    #[test]
    fn a_panic_that_nobody_wants_goes_nowhere() {
        let workers = one_worker();
        let scheduler = scheduler();
        let (job, go) = begun(&workers, &RETURN, &scheduler, || panic!("on purpose"));
        assert!(job.cancel());
        assert!(!job.join().unwrap());
        go.send(()).unwrap();
        serves(&workers);
    }

    #[test]
    fn a_callback_may_panic() {
        let workers = one_worker();
        let ctx = WaitCtx::new();
        let calls = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&calls);
        ctx.set_callback(Some(Callback::new(move || {
            counts.fetch_add(1, Ordering::Relaxed);
            panic!("in a callback");
        })));
        let ours = Arc::clone(&workers);
        let body = move || ours.offload(|| 3).unwrap();
        let mut progress = Options::new().wait_ctx(ctx).start(body).unwrap();
        let start = Instant::now();
        while let Progress::Paused(job) = progress {
            assert!(start.elapsed() < LONG);
            thread::sleep(Duration::from_millis(1));
            progress = job.resume();
        }
        assert!(matches!(progress, Progress::Finished(3)));
        serves(&workers);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn abandoned_work_runs_to_its_end_though_its_workers_are_dropped() {
        let workers = one_worker();
        let scheduler = scheduler();
        let (done, has_done) = mpsc::channel();
        let work = move || done.send(()).unwrap();
        let (job, go) = begun(&workers, &Options::new(), &scheduler, work);
        assert!(job.cancel());
        drop(workers);
        go.send(()).unwrap();
        has_done.recv_timeout(LONG).unwrap();
    }

    #[test]
    fn workers_run_side_by_side() {
        let workers = Arc::new(Workers::new(3).unwrap());
        let barrier = Arc::new(Barrier::new(3));
        let scheduler = scheduler();
        for _ in 0..3 {
            let (workers, barrier) = (Arc::clone(&workers), Arc::clone(&barrier));
            let meet = move || workers.offload(move || _ = barrier.wait()).unwrap();
            scheduler.spawn(meet).unwrap();
        }
        scheduler.run().unwrap();
    }
}

mod refused {
    use super::*;

    #[test]
    fn in_a_plain_job_inside_a_driven_one_with_the_closure_back() {
        let text = in_a_job(|| {
            let text = String::from("mine");
            let nested = || offload(|| text).unwrap_err();
            let Ok(Progress::Finished(refused)) = job::start(nested) else {
                panic!("it does not pause")
            };
            assert!(matches!(refused.error, OffloadError::Wait(WaitError::NotDriven)));
            refused.closure.unwrap()()
        });
        assert_eq!(text, "mine");
    }

    #[test]
    fn in_a_coroutine_inside_a_job() {
        let not_driven = in_a_job(|| {
            let mut coroutine = Coroutine::<(), (), bool>::new(|_, ()| {
                let error = offload(|| ()).unwrap_err().error;
                matches!(error, OffloadError::Wait(WaitError::NotDriven))
            });
            coroutine.resume(())
        });
        assert_eq!(not_driven, CoroutineState::Complete(true));
    }

    #[test]
    fn in_a_cancelled_job_with_the_closure_back() {
        let scheduler = scheduler();
        let body = || {
            let _ = job::park();
            let refused = offload(|| 8).unwrap_err();
            assert!(matches!(refused.error, OffloadError::Wait(WaitError::Cancelled)));
            refused.closure.unwrap()()
        };
        let job = scheduler.spawn_with(&RETURN, body).unwrap();
        turn(&scheduler);
        assert!(job.cancel());
        assert_eq!(job.join().unwrap(), 8);
    }
}

mod cancelled_in_return_mode {
    use super::*;

    #[test]
    fn work_that_has_not_begun_gives_its_closure_back() {
        let workers = one_worker();
        let scheduler = scheduler();
        let (go, wait) = mpsc::channel::<()>();
        let first = Arc::clone(&workers);
        let _busy = scheduler.spawn(move || first.offload(move || wait.recv()).is_ok()).unwrap();
        let body = move || workers.offload(|| 8).unwrap_err().closure.map(|closure| closure());
        let queued = scheduler.spawn_with(&RETURN, body).unwrap();
        turn(&scheduler);
        assert!(queued.cancel());
        assert_eq!(queued.join().unwrap(), Some(8));
        go.send(()).unwrap();
    }

    #[test]
    fn work_that_has_begun_keeps_it() {
        let scheduler = scheduler();
        let (go, wait) = mpsc::channel::<()>();
        let (begins, has_begun) = mpsc::channel();
        let work = move || {
            begins.send(()).unwrap();
            wait.recv()
        };
        let body = || offload(work).unwrap_err().closure.is_none();
        let job = scheduler.spawn_with(&RETURN, body).unwrap();
        turn(&scheduler);
        has_begun.recv().unwrap();
        assert!(job.cancel());
        assert!(job.join().unwrap());
        go.send(()).unwrap();
    }
}

mod with_a_wait_context {
    use super::*;

    /// A paused job that has offloaded work which waits to be let go.
    fn offloads(ctx: &WaitCtx) -> (Job<i32>, mpsc::Sender<i32>) {
        let (go, wait) = mpsc::channel();
        let workers = one_worker();
        let body = move || workers.offload(move || wait.recv().unwrap_or(0)).unwrap();
        (paused(Options::new().wait_ctx(ctx.clone()).start(body).unwrap()), go)
    }

    #[test]
    fn an_unwound_job_leaves_no_descriptor_in_it() {
        let ctx = WaitCtx::new();
        let (job, _go) = offloads(&ctx);
        assert_eq!(ctx.all_fds().len(), 1);
        drop(job);
        assert_eq!(ctx.all_fds(), []);
    }

    #[test]
    fn two_jobs_may_share_it() {
        let ctx = WaitCtx::new();
        let ((first, go_first), (second, go_second)) = (offloads(&ctx), offloads(&ctx));
        let fds = ctx.all_fds();
        assert_eq!(fds.len(), 2);
        go_first.send(1).unwrap();
        let value = resume_until_finished(first);
        assert_eq!(value, 1);
        // Newest first: that of the second job is left.
        assert_eq!(ctx.all_fds(), fds[..1]);
        go_second.send(2).unwrap();
        assert_eq!(resume_until_finished(second), 2);
        assert_eq!(ctx.all_fds(), []);
    }

    fn resume_until_finished(job: Job<i32>) -> i32 {
        let start = Instant::now();
        let mut job = job;
        loop {
            match job.resume() {
                Progress::Finished(value) => return value,
                Progress::Paused(again) => job = again,
            }
            assert!(start.elapsed() < LONG);
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn the_schedulers_own_way_is_preferred_where_there_is_one() {
        let ctx = WaitCtx::new();
        let seen = ctx.clone();
        let scheduler = scheduler();
        let body = || offload(|| 4).unwrap();
        let job = scheduler.spawn_with(&Options::new().wait_ctx(ctx), body).unwrap();
        turn(&scheduler);
        assert_eq!(seen.all_fds(), []);
        scheduler.run().unwrap();
        assert_eq!(job.join().unwrap(), 4);
    }
}

/// Wakes for other reasons arrive while the job waits for its work.
#[test]
fn a_wake_meanwhile_does_not_end_the_wait() {
    let value = in_a_job(|| {
        let wake = job::wake_handle().unwrap();
        let work = move || {
            (0..10).for_each(|_| {
                wake.wake();
                thread::sleep(Duration::from_micros(200));
            });
            6
        };
        offload(work).unwrap()
    });
    assert_eq!(value, 6);
}

#[cfg(feature = "future")]
mod in_a_loop_of_ones_own {
    use std::task::{Context, Wake, Waker};

    use siding::job::Wait;

    use super::*;

    #[test]
    fn a_wake_tells_that_the_work_is_done() {
        struct Call(thread::Thread);
        impl Wake for Call {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Call(thread::current())));
        let mut cx = Context::from_waker(&waker);
        let (go, wait) = mpsc::channel();
        let body = move || offload(move || wait.recv().unwrap()).unwrap();
        let job = paused(Options::new().driven(true).start(body).unwrap());
        assert_eq!(job.waiting(), Wait::Wake { until: None });
        assert!(job.poll_woken(&mut cx).is_pending());
        go.send(5).unwrap();
        while job.poll_woken(&mut cx).is_pending() {
            thread::park();
        }
        assert!(matches!(job.resume(), Progress::Finished(5)));
    }

    /// Kept, one wake would end all pauses to come.
    #[test]
    fn a_wake_ends_one_plain_pause() {
        let mut cx = Context::from_waker(Waker::noop());
        let body = || (job::pause(), job::pause());
        let job = paused(Options::new().driven(true).start(body).unwrap());
        job.wake_handle().wake();
        assert!(job.poll_woken(&mut cx).is_ready());
        let job = paused(job.resume());
        assert!(job.poll_woken(&mut cx).is_pending());
    }
}
