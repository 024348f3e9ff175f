//! Jobs as futures, and futures inside jobs.
//!
//! [`run`] makes a future of a job: code that blocks by pausing, a C library's too, becomes
//! something to `await`. [`block_on()`] is the way back: synchronous code deep in a job's call
//! stack awaits a future, and the job pauses meanwhile.
//!
//! ```
//! use siding::future;
//!
//! fn sum(numbers: &mut dyn Iterator<Item = u32>) -> u32 { numbers.sum() } // knows no async
//!
//! let task = future::run(|| {
//!     sum(&mut [1, 2, 3].into_iter().map(|n| future::block_on(async { n }).unwrap()))
//! });
//! assert_eq!(pollster::block_on(task).unwrap(), 6);
//! ```
//!
//! Any runtime will do: the job is woken through the task's `Waker`, and waits for
//! descriptors and instants through a [`Reactor`]. Neither side ever polls without a reason.
//! A job stays on the thread of its first poll; so the future is not `Send`, and wants
//! `LocalSet`, `LocalExecutor` or `block_on`. Dropping it unwinds the job; with C frames on the
//! job's stack use [`run_with`] and [`CancelMode::Return`](crate::job::CancelMode).

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::job::{
    Callback, Interest, Job, NotStarted, Options, Outcome, Place, Progress, StartError, Wait,
    of_async,
};

mod block_on;
mod reactor;

pub use block_on::block_on;
#[cfg(all(feature = "async-io", unix))]
pub use reactor::AsyncIo;
#[cfg(all(feature = "tokio", unix))]
pub use reactor::Tokio;
pub use reactor::{NoReactor, Reactor, Waiting};

/// A job as a future: see [`run`]. Dropping it cancels the job.
#[must_use = "a future does nothing unless it is polled"]
pub struct JobFuture<T, F, R = NoReactor> {
    /// What the job waits for beside its wakes. Dropped before the job, whose end closes
    /// descriptors.
    waiting: Vec<(Waiting, Outcome)>,
    state: State<T, F>,
    options: Options,
    reactor: R,
    /// While there is no job to be had.
    place: Option<Place>,
    result: PhantomData<fn() -> T>,
}

enum State<T, F> {
    /// Not yet polled, or not yet a job to be had.
    Fresh(F),
    Paused(Job<T>),
    Over,
}

/// Steps of a job in one poll, after which others get their turn.
const STEPS: usize = 64;

/// Runs `closure` as a job when it is polled first. The job may [`park`](crate::job::park),
/// [`offload`](crate::offload::offload), [`block_on()`] and pause; for descriptors and instants
/// ([`sleep`](crate::job::sleep) too: [`WaitError::NoReactor`](crate::job::WaitError) here) use
/// [`run_with`] and a reactor.
///
/// Dropping the future unwinds the job, which aborts at a C frame: see
/// [`CancelMode`](crate::job::CancelMode).
pub fn run<T: 'static, F: FnOnce() -> T + 'static>(closure: F) -> JobFuture<T, F> {
    run_with(Options::new(), NoReactor, closure)
}

/// Runs `closure` as a job with options of its own, which waits for descriptors and instants
/// through `reactor`.
///
/// If the options name a wait context, its callback becomes one that wakes the job; a plain
/// [`pause`](crate::job::pause) waits for that callback and for the descriptors in the
/// context. A pause without either waits for a [`Wake`](crate::job::Wake) of the job. With
/// [`NoReactor`] descriptors are not looked at, since an engine that offers both may yet call:
/// there only the callback and a wake end a pause.
///
/// While the thread has as many jobs as [`init_thread`](crate::job::init_thread) allows,
/// futures wait for one to end, in the order in which they were polled. So under a limit of
/// one, a job that awaits another job waits for itself.
pub fn run_with<T, F, R>(options: Options, reactor: R, closure: F) -> JobFuture<T, F, R>
where
    T: 'static,
    F: FnOnce() -> T + 'static,
    R: Reactor,
{
    let options = options.driven(true);
    let state = State::Fresh(closure);
    JobFuture { state, options, reactor, place: None, waiting: Vec::new(), result: PhantomData }
}

impl<T, F, R> Future for JobFuture<T, F, R>
where
    T: 'static,
    F: FnOnce() -> T + 'static,
    R: Reactor,
{
    type Output = Result<T, StartError>;

    /// # Panics
    ///
    /// With the job's panic, if it panics; and after it has returned `Ready` or panicked.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut job = match std::mem::replace(&mut this.state, State::Over) {
            State::Paused(job) => job,
            State::Over => panic!("polled after its end"),
            State::Fresh(closure) => match this.start(closure, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(Progress::Finished(value))) => return Poll::Ready(Ok(value)),
                Poll::Ready(Ok(Progress::Paused(job))) => {
                    this.wait_for(&job);
                    if job.waiting() == Wait::Yield {
                        return this.later(job, cx);
                    }
                    job
                }
            },
        };
        for _ in 0..STEPS {
            let Some(outcome) = this.outcome(&job, cx) else {
                this.state = State::Paused(job);
                return Poll::Pending;
            };
            this.waiting.clear();
            job = match job.resume_with(outcome) {
                Progress::Finished(value) => return Poll::Ready(Ok(value)),
                Progress::Paused(job) => job,
            };
            this.wait_for(&job);
            if job.waiting() == Wait::Yield {
                break;
            }
        }
        this.later(job, cx)
    }
}

impl<T, F, R> JobFuture<T, F, R>
where
    T: 'static,
    F: FnOnce() -> T + 'static,
    R: Reactor,
{
    /// Starts the job, or has the task woken when one may be had.
    fn start(&mut self, closure: F, cx: &mut Context<'_>) -> Poll<Result<Progress<T>, StartError>> {
        match self.options.start_with(closure, |job| {
            if let Some(ctx) = &self.options.wait_ctx {
                let wake = job.slot().handle();
                ctx.set_callback(Some(Callback::new(move || wake.wake())));
            }
        }) {
            Ok(progress) => {
                self.place = None;
                Poll::Ready(Ok(progress))
            }
            Err(NotStarted { error: StartError::NoJobs, closure }) => {
                self.place.get_or_insert_with(Place::new).wait(cx.waker());
                self.state = State::Fresh(closure);
                Poll::Pending
            }
            Err(NotStarted { error, .. }) => Poll::Ready(Err(error)),
        }
    }

    /// Goes on at the next poll, which comes as soon as others had theirs.
    fn later(&mut self, job: Job<T>, cx: &mut Context<'_>) -> Poll<Result<T, StartError>> {
        cx.waker().wake_by_ref();
        self.state = State::Paused(job);
        Poll::Pending
    }

    /// Asks the reactor for what the job waits for now.
    fn wait_for(&mut self, job: &Job<T>) {
        let Self { reactor, waiting, .. } = self;
        match job.waiting() {
            Wait::Yield => {}
            Wait::Wake { until } => waiting.extend(alarm(reactor, until)),
            Wait::Fd { fd, interest, until } => {
                waiting.push((reactor.ready(fd, interest), Outcome::Ready));
                waiting.extend(alarm(reactor, until));
            }
            Wait::Resume => {
                let fds = job.wait_ctx().map(|ctx| ctx.all_fds()).unwrap_or_default();
                let ready = |fd| (reactor.ready(fd, Interest::Readable), Outcome::Ready);
                if R::IS_ONE {
                    waiting.extend(fds.into_iter().map(of_async).map(ready));
                }
            }
        }
    }

    /// How the job's wait has ended, if it has; otherwise the task is woken when it does.
    fn outcome(&mut self, job: &Job<T>, cx: &mut Context<'_>) -> Option<Outcome> {
        if job.waiting() == Wait::Yield {
            return Some(Outcome::Ready);
        }
        if !matches!(job.waiting(), Wait::Fd { .. }) && job.poll_woken(cx).is_ready() {
            return Some(Outcome::Ready);
        }
        self.waiting.iter_mut().find_map(|(waiting, outcome)| match waiting.as_mut().poll(cx) {
            Poll::Pending => None,
            Poll::Ready(Ok(())) => Some(*outcome),
            Poll::Ready(Err(error)) => Some(failed(&error)),
        })
    }
}

fn alarm(reactor: &impl Reactor, until: Option<Instant>) -> Option<(Waiting, Outcome)> {
    until.map(|instant| (reactor.at(instant), Outcome::TimedOut))
}

fn failed(error: &io::Error) -> Outcome {
    const EIO: i32 = 5;
    match error.kind() {
        io::ErrorKind::Unsupported => Outcome::NoReactor,
        _ => Outcome::Failed(error.raw_os_error().unwrap_or(EIO)),
    }
}

/// It holds nothing that is pinned: the job's frames lie on the job's own stack.
impl<T, F, R> Unpin for JobFuture<T, F, R> {}

impl<T, F, R> fmt::Debug for JobFuture<T, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Fresh(_) => "fresh",
            State::Paused(_) => "paused",
            State::Over => "over",
        };
        f.debug_struct("JobFuture").field("state", &state).finish_non_exhaustive()
    }
}
