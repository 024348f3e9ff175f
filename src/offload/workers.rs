//! Threads that take work off a queue.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
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

/// The workers of the whole process, and the process they belong to.
static SHARED: Mutex<Option<Arc<Workers>>> = Mutex::new(None);

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
    pub(super) fn shared() -> Result<Arc<Workers>, OffloadError> {
        let mut shared = SHARED.lock().unwrap_or_else(|poison| poison.into_inner());
        if let Some(workers) = &*shared
            && workers.forks == sys::fork_generation()
        {
            return Ok(Arc::clone(workers));
        }
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let workers = Arc::new(Workers::new(cores).map_err(OffloadError::Threads)?);
        // The parent's, in a forked child: its threads and locks are not there to be closed.
        std::mem::forget(shared.replace(Arc::clone(&workers)));
        Ok(workers)
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
                // not wait any more. The panic hook has reported it.
                let _ = panic::catch_unwind(AssertUnwindSafe(|| {
                    work.run();
                    drop(work);
                }));
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
