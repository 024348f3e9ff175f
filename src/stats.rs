//! What there is at the moment, in one structure.

use crate::job;
use crate::stack;

/// What siding has and does at the moment: see [`stats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Jobs of this thread.
    pub jobs: Jobs,
    /// Stacks of this thread and of the process.
    pub stacks: stack::Stats,
    /// What has happened on this thread so far.
    #[cfg(feature = "trace")]
    pub events: job::Events,
}

/// The jobs of a thread, by state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Jobs {
    /// The current one and those that wait for it, because it is nested in them.
    pub running: usize,
    /// Paused, or spawned and not begun; leaked ones too.
    pub paused: usize,
    /// Ended, and kept in the thread's pool for the next start.
    pub free: usize,
    /// Of all threads: jobs of C's whose thread has ended, or that were given up and have
    /// not ended. Without the feature `capi` there are none.
    pub orphaned: usize,
}

/// What there is at the moment. Costs some hundred nanoseconds, and nothing while nobody
/// asks; what has to be counted as it happens is there with the feature `trace`.
///
/// ```
/// use siding::job::{self, Progress};
///
/// let before = siding::stats().jobs;
/// let Progress::Paused(job) = job::start(|| job::pause().unwrap()).unwrap() else { panic!() };
/// assert_eq!(siding::stats().jobs.paused, before.paused + 1);
/// drop(job); // cancelled, and kept for the next
/// assert_eq!(siding::stats().jobs.free, 1);
/// ```
pub fn stats() -> Stats {
    let (total, free) = job::census();
    let running = job::depth();
    Stats {
        jobs: Jobs {
            running,
            paused: total.saturating_sub(free + running),
            free,
            orphaned: orphaned(),
        },
        stacks: stack::stats(),
        #[cfg(feature = "trace")]
        events: job::events(),
    }
}

#[cfg(feature = "capi")]
fn orphaned() -> usize {
    job::orphans::census().2 as usize
}

#[cfg(not(feature = "capi"))]
fn orphaned() -> usize {
    0
}
