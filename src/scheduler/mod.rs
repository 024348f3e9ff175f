//! Many jobs on one thread: a run queue, descriptors, deadlines and wakes.
//!
//! ```
//! use siding::scheduler::Scheduler;
//!
//! let scheduler = Scheduler::new().unwrap();
//! let answer = scheduler.spawn(|| 42).unwrap();
//! scheduler.run().unwrap();
//! assert_eq!(answer.join().unwrap(), 42);
//! ```
//!
//! Inside its jobs, use [`yield_now`], [`sleep`], [`park`], [`wait_fd`] and
//! [`offload`](crate::offload::offload), from any depth of the call stack. Nothing spins:
//! when no job can go on, the thread sleeps in the kernel.
//!
//! One scheduler a thread, and as many threads as there are cores: work crosses threads
//! as messages, never as half-run jobs.
//!
//! # Safety
//!
//! The scheduler owns its jobs from `spawn` to their end, enters each only while it is
//! armed or paused, and cancels those that are left when it is dropped.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use crate::job::{self, Inbox, NotStarted, Options, Queue, Raw, StartError, room};
use crate::sys;
#[cfg(all(feature = "capi", unix))]
use crate::sys::fd;
#[cfg(feature = "capi")]
use crate::sys::fd::AsyncFd;

mod error;
mod join;
mod poll;
mod room;
mod stats;
mod tasks;

pub use crate::job::{
    Interest, Wait, WaitError, Wake, park, park_until, sleep, wait_fd, wake_handle, yield_now,
};
pub use error::RunError;
pub use join::{JoinError, JoinHandle};
pub use room::Config;
pub use stats::Stats;

use join::{Ended, Shared, Tell};
use poll::Poll;
use room::Room;
use tasks::Tasks;

/// Runs many jobs on one thread. Dropping it cancels the jobs it still has.
///
/// It stays on its thread; to run jobs from another thread, send that thread a message.
pub struct Scheduler(Rc<Core>);

/// Spawns jobs on a [`Scheduler`] from inside its jobs.
#[derive(Clone)]
pub struct Spawner(Weak<Core>);

/// What a [`turn`](Scheduler::turn) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Turn {
    /// Jobs ran, and some can go on at once.
    Busy,
    /// All jobs wait.
    Waiting,
    /// There are no jobs.
    Idle,
}

struct Core {
    queue: Queue,
    tasks: RefCell<Tasks>,
    poll: Poll,
    inbox: &'static Inbox,
    room: Room,
    config: Config,
    running: Cell<bool>,
    forks: usize,
}

impl Scheduler {
    /// A scheduler for this thread.
    ///
    /// # Errors
    ///
    /// If the kernel gives no poller: out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        Self::with_config(Config::new())
    }

    /// A scheduler with a limit on its jobs, or options for them.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_config(config: Config) -> io::Result<Self> {
        let forks = sys::fork_generation();
        let inbox = Inbox::take()?;
        match Poll::new(inbox.event()) {
            Ok(poll) => Ok(Scheduler(Rc::new(Core {
                queue: Queue::default(),
                tasks: RefCell::new(Tasks::default()),
                poll,
                inbox,
                room: Room::default(),
                config,
                running: Cell::new(false),
                forks,
            }))),
            Err(error) => {
                inbox.release();
                Err(error)
            }
        }
    }

    /// Adds a job, which first runs in the next turn.
    ///
    /// # Errors
    ///
    /// The closure comes back if there is no job to be had, or [`Config::max_jobs`] are
    /// there.
    pub fn spawn<T, F>(&self, closure: F) -> Result<JoinHandle<T>, NotStarted<F>>
    where
        T: 'static,
        F: FnOnce() -> T + 'static,
    {
        self.0.spawn(&self.0.config.options, closure)
    }

    /// Adds a job with options of its own.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    pub fn spawn_with<T, F>(
        &self,
        options: &Options,
        closure: F,
    ) -> Result<JoinHandle<T>, NotStarted<F>>
    where
        T: 'static,
        F: FnOnce() -> T + 'static,
    {
        self.0.spawn(options, closure)
    }

    /// For spawning from inside jobs.
    pub fn spawner(&self) -> Spawner {
        Spawner(Rc::downgrade(&self.0))
    }

    /// Runs until no job is left.
    ///
    /// # Errors
    ///
    /// See [`RunError`]; the jobs stay, and `run` may be called again.
    pub fn run(&self) -> Result<(), RunError> {
        while self.turn(None)? != Turn::Idle {}
        Ok(())
    }

    /// Gives each job that can go on a turn; if none can, waits for one, at most for
    /// `timeout` (`None`: as long as it takes; zero: not at all).
    ///
    /// For embedding in another loop: call it with a zero timeout once, and then whenever the
    /// scheduler's descriptor (`AsFd`; not on Windows) is readable,
    /// [`next_deadline`](Self::next_deadline) has come, or the answer was [`Turn::Busy`].
    /// After such a turn the descriptor becomes readable by a wake, by a descriptor that a job
    /// waits for, and by a job that is spawned; not after [`run`](Self::run), a turn without a
    /// timeout, or an error.
    ///
    /// # Errors
    ///
    /// See [`RunError`]. `Deadlock` only without a timeout.
    pub fn turn(&self, timeout: Option<Duration>) -> Result<Turn, RunError> {
        let core = &*self.0;
        if core.forks != sys::fork_generation() {
            return Err(RunError::Forked);
        }
        if core.running.replace(true) {
            return Err(RunError::Reentered);
        }
        let _running = Running(&core.running);
        core.collect(timeout)?;
        core.run_ready();
        if core.live() == 0 {
            // Without a timeout nobody watches the descriptor.
            while timeout.is_some() && !core.inbox.may_sleep() {
                core.take_woken();
            }
            Ok(Turn::Idle)
        } else if core.queue.len() == 0 && core.inbox.may_sleep() {
            // From here on a wake, or another job, makes the scheduler's descriptor readable.
            Ok(Turn::Waiting)
        } else {
            Ok(Turn::Busy)
        }
    }

    /// When the first job that waits for an instant must run.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.0.tasks.borrow().next_deadline()
    }

    /// Jobs that have not ended.
    pub fn live(&self) -> usize {
        self.0.live()
    }
}

impl Spawner {
    /// Adds a job, as [`Scheduler::spawn`].
    ///
    /// # Errors
    ///
    /// As [`Scheduler::spawn`]; and if the scheduler is gone, or on its way.
    pub fn spawn<T, F>(&self, closure: F) -> Result<JoinHandle<T>, NotStarted<F>>
    where
        T: 'static,
        F: FnOnce() -> T + 'static,
    {
        match self.0.upgrade() {
            Some(scheduler) => scheduler.spawn(&scheduler.config.options, closure),
            None => Err(NotStarted { error: StartError::NoScheduler, closure }),
        }
    }

    /// Adds a job with options of its own.
    ///
    /// # Errors
    ///
    /// As [`Scheduler::spawn`].
    pub fn spawn_with<T, F>(
        &self,
        options: &Options,
        closure: F,
    ) -> Result<JoinHandle<T>, NotStarted<F>>
    where
        T: 'static,
        F: FnOnce() -> T + 'static,
    {
        match self.0.upgrade() {
            Some(scheduler) => scheduler.spawn(options, closure),
            None => Err(NotStarted { error: StartError::NoScheduler, closure }),
        }
    }
}

impl Core {
    fn spawn<T, F>(
        self: &Rc<Self>,
        options: &Options,
        closure: F,
    ) -> Result<JoinHandle<T>, NotStarted<F>>
    where
        T: 'static,
        F: FnOnce() -> T + 'static,
    {
        let raw = match self.reserve(options, const { room::<(F, JoinHandle<T>), T>() }) {
            Ok(raw) => raw,
            Err(error) => return Err(NotStarted { error, closure }),
        };
        let shared = Shared::new(Rc::downgrade(self), raw);
        let result = Rc::clone(&shared);
        // SAFETY: reserved for this closure and one pointer more.
        unsafe { raw.arm(options, move || result.finish(closure())) };
        self.add(raw, Rc::clone(&shared) as _);
        Ok(JoinHandle::new(shared))
    }

    /// A job to arm.
    fn reserve(&self, options: &Options, room: usize) -> Result<Raw, StartError> {
        if self.forks != sys::fork_generation() {
            // The parent's: nothing would ever run it.
            return Err(StartError::NoScheduler);
        }
        if !self.has_room() {
            return Err(StartError::Full);
        }
        options.reserve(room)
    }

    /// From here on an armed job is this scheduler's.
    fn add(&self, job: Raw, ended: Rc<dyn Ended>) {
        let token = self.tasks.borrow_mut().insert(job, ended);
        // SAFETY: the queue lies in `self`, whose drop cancels the job.
        unsafe { job.attach(self.inbox, token, &self.queue) };
        self.queue.push(job);
        self.inbox.has_work();
    }

    /// Puts every job whose wait is over into the queue, after waiting for one if need be.
    fn collect(&self, timeout: Option<Duration>) -> Result<(), RunError> {
        let signalled = self.inbox.awake();
        self.take_woken();
        let deadline = self.tasks.borrow().next_deadline();
        let timeout = self.patience(timeout, deadline);
        let busy = timeout == Some(Duration::ZERO);
        if self.queue.len() > 0 && !signalled && !self.poll.has_waiters() {
            // Nothing to learn from the kernel. With nothing else to do, look all the same:
            // a late event or an old timer would keep our descriptor readable.
        } else if busy || self.inbox.may_sleep() {
            if timeout.is_none() && !self.can_wake() {
                // The last handle may have been used before it was dropped, after the look above.
                self.inbox.awake();
                self.take_woken();
                return match self.queue.len() {
                    0 => Err(RunError::Deadlock(self.live())),
                    _ => Ok(()),
                };
            }
            self.poll.wait(timeout, self.inbox).map_err(RunError::Io)?;
            let mut tasks = self.tasks.borrow_mut();
            self.poll.ready(|token| tasks.fd_ready(token, &self.poll, &self.queue));
            drop(tasks);
            self.inbox.awake();
            self.take_woken();
        }
        if deadline.is_some() {
            self.tasks.borrow_mut().expire(Instant::now(), &self.poll, &self.queue);
        }
        Ok(())
    }

    /// How long to wait at most: not at all when a job can go on or none is left.
    fn patience(&self, timeout: Option<Duration>, deadline: Option<Instant>) -> Option<Duration> {
        if self.queue.len() > 0 || self.live() == 0 {
            return Some(Duration::ZERO);
        }
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match (timeout, left) {
            (Some(timeout), Some(left)) => Some(timeout.min(left)),
            (timeout, left) => timeout.or(left),
        }
    }

    fn live(&self) -> usize {
        self.tasks.borrow().len()
    }

    fn has_room(&self) -> bool {
        self.live() < self.config.max_jobs
    }

    /// Whether anything could still end a wait.
    fn can_wake(&self) -> bool {
        self.poll.has_waiters() || self.tasks.borrow_mut().has_outside_handle()
    }

    fn take_woken(&self) {
        self.inbox.drain(|token| self.tasks.borrow_mut().woken(token, &self.poll, &self.queue));
    }

    /// One turn for each job that is in the queue now.
    fn run_ready(&self) {
        for job in self.queue.round() {
            // SAFETY: a job in the queue is armed or paused, and belongs to this thread.
            let back = unsafe { job.go() };
            if back.is_paused() {
                self.tasks.borrow_mut().paused(back.job, &self.poll, &self.queue);
            } else {
                let ended = self.tasks.borrow_mut().remove(back.job);
                let mut tell = Tell::new(&self.room, ended);
                // SAFETY: it has ended; the body of `spawn` returns ().
                tell.panic = unsafe { back.end::<()>() }.err();
            }
        }
    }

    /// Cancels one job, wherever it is; false if it is running.
    fn cancel(&self, job: Raw) -> bool {
        if job.is_running() {
            return false;
        }
        let mut tasks = self.tasks.borrow_mut();
        if !tasks.forget_wait(job, &self.poll) {
            self.queue.remove(job);
        }
        let ended = tasks.remove(job);
        drop(tasks);
        let _tell = Tell::new(&self.room, ended);
        // SAFETY: it is out of all lists; the body of `spawn` returns ().
        unsafe { job.cancel::<()>() };
        true
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let mut first_panic = sys::FirstPanic::default();
        // Nobody adds to them: no spawner reaches a scheduler that is going away.
        for job in self.tasks.get_mut().jobs() {
            first_panic.of(|| _ = self.cancel(job));
        }
        if self.running.get() {
            // A job has ended the process, and thread-locals are destroyed on its stack. It
            // must not come back: neither to the frame that runs this scheduler, nor, by way
            // of the jobs it is nested in, to any other.
            job::hold_running();
        }
        // The parent's is the parent's to reuse.
        if self.forks == sys::fork_generation() {
            self.inbox.release();
        }
        first_panic.go_on();
    }
}

/// Clears the flag also when a panic passes.
struct Running<'a>(&'a Cell<bool>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[cfg(unix)]
impl AsFd for Scheduler {
    /// Readable when a job may be able to go on: see [`turn`](Self::turn).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.poll.as_fd()
    }
}

#[cfg(all(feature = "capi", unix))]
impl Scheduler {
    /// [`AsFd`] for C.
    pub(crate) fn async_fd(&self) -> AsyncFd {
        fd::number(self)
    }
}

#[cfg(all(feature = "capi", windows))]
impl Scheduler {
    /// Set when a job of the scheduler's was woken. What descriptors do it does not tell.
    pub(crate) fn async_fd(&self) -> AsyncFd {
        self.0.inbox.async_fd()
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").field("live", &self.live()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_scheduler_ends_jobs_that_wait_and_jobs_that_never_ran() {
        struct CountDrop(Rc<Cell<u32>>);
        impl Drop for CountDrop {
            fn drop(&mut self) {
                self.0.update(|ended| ended + 1);
            }
        }
        let ended = Rc::new(Cell::new(0));
        let scheduler = Scheduler::new().unwrap();
        let spawn = |n| {
            for _ in 0..n {
                let held = CountDrop(Rc::clone(&ended));
                scheduler.spawn(move || (job::park(), held)).unwrap();
            }
        };
        spawn(3);
        scheduler.turn(Some(Duration::ZERO)).unwrap();
        spawn(2);
        assert_eq!((scheduler.live(), ended.get()), (5, 0));
        drop(scheduler);
        assert_eq!(ended.get(), 5);
    }

    #[test]
    fn a_cancelled_job_gets_no_turn_whether_it_was_queued_or_waiting() {
        let scheduler = Scheduler::new().unwrap();
        let turns = Rc::new(Cell::new(0));
        let spawn = || {
            let turns = Rc::clone(&turns);
            scheduler.spawn(move || (turns.update(|n| n + 1), job::park())).unwrap()
        };
        let waiting = spawn();
        scheduler.turn(Some(Duration::ZERO)).unwrap();
        let queued = spawn();
        assert!(waiting.cancel() && queued.cancel());
        assert!(waiting.is_finished() && queued.is_finished());
        scheduler.run().unwrap();
        assert_eq!(turns.get(), 1);
    }

    #[test]
    fn jobs_with_wake_handles_leave_nothing_behind_where_nobody_asks_for_a_deadlock() {
        let scheduler = Scheduler::new().unwrap();
        for _ in 0..100 {
            let body = || {
                let wake = wake_handle().unwrap();
                wake.wake();
                job::pause()
            };
            scheduler.spawn(body).unwrap();
            while scheduler.turn(Some(Duration::ZERO)).unwrap() != Turn::Idle {}
        }
        assert!(scheduler.0.tasks.borrow().holders() <= 1);
    }
}
