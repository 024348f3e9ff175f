//! Threads that take work off a queue.
//!
//! # Safety
//!
//! The workers of the whole process are reached by a pointer to what is never freed.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use super::OffloadError;
use crate::sys;

/// Worker threads for [`offload`](super::offload). Dropping them lets queued work be done
/// first, and does not wait for it.
pub struct Workers {
    shared: Arc<Shared>,
    forks: usize,
}

/// Something a worker runs.
pub(super) trait Work: Send + Sync {
    fn run(&self);
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<dyn Work>>,
    /// Workers that sleep and have not been called.
    idle: usize,
    /// Calls that no worker has answered yet. A worker that is called is soon awake, and
    /// looks at the queue until that is empty: to call it again would be a waste.
    calls: usize,
    closed: bool,
}

/// The workers of the whole process, never freed. Not under a lock, which the child of a
/// fork might find taken.
static SHARED: AtomicPtr<Workers> = AtomicPtr::new(ptr::null_mut());

impl Workers {
    /// Starts `threads` workers.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for none; otherwise as [`thread::Builder::spawn`]. The workers
    /// started before the failure end again.
    pub fn new(threads: usize) -> io::Result<Self> {
        if threads == 0 {
            let message = "at least one worker thread is needed";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let workers = Workers { shared: Arc::default(), forks: sys::fork_generation() };
        for n in 0..threads {
            let shared = Arc::clone(&workers.shared);
            let builder = thread::Builder::new().name(format!("siding-worker-{n}"));
            builder.spawn(move || shared.work())?;
        }
        Ok(workers)
    }

    /// Those of the whole process, one a core.
    pub(super) fn shared() -> Result<&'static Workers, OffloadError> {
        let present = SHARED.load(Ordering::Acquire);
        // In a forked child they may be the parent's.
        if let Some(workers) = leaked(present)
            && workers.forks == sys::fork_generation()
        {
            return Ok(workers);
        }
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let ours = Box::new(Workers::new(cores).map_err(OffloadError::Threads)?);
        let ours = Box::into_raw(ours);
        match SHARED.compare_exchange(present, ours, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(leaked(ours).expect("a box is somewhere")),
            Err(theirs) => {
                // Another thread was faster: these end again.
                // SAFETY: nobody else has seen it.
                drop(unsafe { Box::from_raw(ours) });
                Ok(leaked(theirs).expect("it never becomes null again"))
            }
        }
    }

    pub(super) fn forks(&self) -> usize {
        self.forks
    }

    pub(super) fn push(&self, work: Arc<dyn Work>) {
        let mut state = self.shared.lock();
        state.queue.push_back(work);
        // A worker that is awake looks at the queue before it sleeps.
        if state.idle > 0 {
            state.idle -= 1;
            state.calls += 1;
            drop(state);
            self.shared.changed.notify_one();
        }
    }
}

/// What [`SHARED`] points at.
fn leaked(workers: *mut Workers) -> Option<&'static Workers> {
    // SAFETY: null, or put there by `shared` for ever.
    unsafe { workers.as_ref() }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.queue.pop_front() {
                drop(state);
                // Foreign code may panic here: a callback, or destructors when the job does
                // not wait any more.
                sys::contain(|| {
                    work.run();
                    drop(work);
                });
                state = self.lock();
            } else if state.closed {
                return;
            } else {
                state.idle += 1;
                let uncalled = |state: &mut State| state.calls == 0 && !state.closed;
                let woken = self.changed.wait_while(state, uncalled);
                state = woken.unwrap_or_else(|poison| poison.into_inner());
                state.calls = state.calls.saturating_sub(1);
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if self.forks == sys::fork_generation() {
            self.shared.lock().closed = true;
            self.shared.changed.notify_all();
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").finish_non_exhaustive()
    }
}
