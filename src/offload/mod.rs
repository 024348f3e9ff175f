//! A blocking closure on a worker thread while the job that needs it is paused.
//!
//! ```
//! use siding::offload::offload;
//! use siding::scheduler::Scheduler;
//!
//! let scheduler = Scheduler::new().unwrap();
//! let sum = scheduler.spawn(|| offload(|| (1..=10).sum::<u32>()).unwrap()).unwrap();
//! scheduler.run().unwrap();
//! assert_eq!(sum.join().unwrap(), 55);
//! ```
//!
//! It works under any driver: it waits as [`park`](crate::job::park) does. In a job that
//! nobody drives but that has a [`WaitCtx`](crate::job::WaitCtx), it pauses as an engine
//! would: it calls the context's callback when the work is done, or else makes a
//! descriptor of the context readable.

use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use crate::job::WaitError;
use crate::sys;

mod signal;
mod workers;

pub use workers::Workers;

use signal::Signal;
use workers::Work;

/// Runs `closure` on a worker thread while the current job is paused, and returns what it
/// returned. The workers are shared by the whole process, one for each core; for closures
/// that mostly wait, have [`Workers`] of your own.
///
/// If the job is cancelled meanwhile, a closure that has begun runs to its end and its
/// value is dropped; it borrows nothing, so nothing of the job is touched. One that has
/// not begun never does.
///
/// # Errors
///
/// See [`OffloadError`]; the closure comes back if it was not run.
///
/// # Panics
///
/// With the closure's own panic, in the job.
pub fn offload<T, F>(closure: F) -> Result<T, NotOffloaded<F>>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    match Workers::shared() {
        Ok(workers) => workers.offload(closure),
        Err(error) => Err(NotOffloaded { error, closure: Some(closure) }),
    }
}

/// Why there is no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum OffloadError {
    /// The job cannot wait: see [`WaitError`].
    Wait(WaitError),
    /// No worker thread could be started.
    Threads(io::Error),
    /// These [`Workers`] belong to the process that this one was forked from.
    Forked,
}

/// Work that gave no result, with the closure if it was not handed to a worker.
pub struct NotOffloaded<F> {
    /// Why.
    pub error: OffloadError,
    /// The closure, untouched; `None` if a worker has it.
    pub closure: Option<F>,
}

impl Workers {
    /// As [`offload`], on these workers.
    ///
    /// # Errors
    ///
    /// As [`offload`].
    ///
    /// # Panics
    ///
    /// As [`offload`].
    pub fn offload<T, F>(&self, closure: F) -> Result<T, NotOffloaded<F>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let signal = match self.signal() {
            Ok(signal) => signal,
            Err(error) => return Err(NotOffloaded { error, closure: Some(closure) }),
        };
        let stage = Mutex::new(Stage::Waiting(closure));
        let packet = Arc::new(Packet { stage, signal, forks: self.forks() });
        self.push(Arc::clone(&packet) as Arc<dyn Work>);
        let waiting = Waiting(&packet);
        loop {
            let waited = packet.signal.wait();
            if let Some(result) = packet.take_result() {
                drop(waiting);
                return Ok(result.unwrap_or_else(|payload| panic::resume_unwind(payload)));
            }
            let error = match waited {
                Err(error) => OffloadError::Wait(error),
                Ok(()) if packet.is_parents() => OffloadError::Forked,
                Ok(()) => continue,
            };
            return Err(NotOffloaded { error, closure: packet.withdraw() });
        }
    }

    /// How a worker will tell this job that it is done.
    fn signal(&self) -> Result<Signal, OffloadError> {
        if self.forks() != sys::fork_generation() {
            return Err(OffloadError::Forked);
        }
        Signal::of_this_job().map_err(OffloadError::Wait)
    }
}

/// One piece of work, shared by the job and a worker.
struct Packet<F, T> {
    stage: Mutex<Stage<F, T>>,
    signal: Signal,
    forks: usize,
}

/// A job waits for this packet. Afterwards, also when the job is unwound, a worker that has
/// not begun finds nothing to do, and one that has begun finds nobody.
struct Waiting<'a, F, T>(&'a Packet<F, T>);

impl<F, T> Drop for Waiting<'_, F, T> {
    fn drop(&mut self) {
        self.0.signal.done();
        drop(self.0.withdraw());
    }
}

enum Stage<F, T> {
    Waiting(F),
    Running,
    Done(thread::Result<T>),
    Gone,
}

impl<F, T> Packet<F, T> {
    fn stage(&self) -> MutexGuard<'_, Stage<F, T>> {
        // Nothing that can panic runs under the lock.
        self.stage.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// Whether the worker that might have it was left behind by a fork.
    fn is_parents(&self) -> bool {
        self.forks != sys::fork_generation()
    }

    /// The stage, unless it is the parent's and a worker was changing it at the fork: nobody
    /// is there to finish that.
    fn stage_for_job(&self) -> Option<MutexGuard<'_, Stage<F, T>>> {
        if self.is_parents() { self.stage.try_lock().ok() } else { Some(self.stage()) }
    }

    fn take_result(&self) -> Option<thread::Result<T>> {
        let mut stage = self.stage_for_job()?;
        match std::mem::replace(&mut *stage, Stage::Gone) {
            Stage::Done(result) => Some(result),
            other => {
                *stage = other;
                None
            }
        }
    }

    /// The closure, if no worker has it yet. Afterwards none will run it.
    fn withdraw(&self) -> Option<F> {
        let mut stage = self.stage_for_job()?;
        let before = std::mem::replace(&mut *stage, Stage::Gone);
        // Before a result is dropped, which may run anything.
        drop(stage);
        match before {
            Stage::Waiting(closure) => Some(closure),
            _ => None,
        }
    }
}

impl<F, T> Work for Packet<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn run(&self) {
        let closure = {
            let mut stage = self.stage();
            match std::mem::replace(&mut *stage, Stage::Running) {
                Stage::Waiting(closure) => closure,
                _ => {
                    *stage = Stage::Gone;
                    return;
                }
            }
        };
        let result = panic::catch_unwind(AssertUnwindSafe(closure));
        let mut stage = self.stage();
        if let Stage::Running = *stage {
            *stage = Stage::Done(result);
            drop(stage);
            self.signal.raise();
        } else {
            // Withdrawn: the value is dropped here, and not under the lock.
            drop(stage);
            drop(result);
        }
    }
}

impl<F> fmt::Debug for NotOffloaded<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotOffloaded").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<F> fmt::Display for NotOffloaded<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<F> std::error::Error for NotOffloaded<F> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl fmt::Display for OffloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(error) => error.fmt(f),
            Self::Threads(error) => write!(f, "cannot start a worker thread: {error}"),
            Self::Forked => f.write_str("the workers belong to the parent process"),
        }
    }
}

impl std::error::Error for OffloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Wait(error) => Some(error),
            Self::Threads(error) => Some(error),
            Self::Forked => None,
        }
    }
}
