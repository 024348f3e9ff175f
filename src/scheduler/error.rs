//! What can go wrong in a turn.

use std::fmt;
use std::io;

/// Why a scheduler cannot go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// This many jobs wait, and nothing is left that could wake any of them: no
    /// descriptor, no deadline, no offloaded work, no [`Wake`](super::Wake) outside. The waker
    /// of a `block_on` counts as such once it is cloned; one that another thread has borrowed,
    /// while the job waits inside the poll, does not.
    Deadlock(usize),
    /// Called from inside one of its own jobs.
    Reentered,
    /// The scheduler belongs to the process that this one was forked from, with its
    /// descriptors and worker threads. Make a new one.
    Forked,
    /// Polling failed.
    Io(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadlock(jobs) => {
                write!(f, "{jobs} jobs wait and nothing is left that could wake any of them")
            }
            Self::Reentered => f.write_str("a scheduler was run from inside one of its own jobs"),
            Self::Forked => f.write_str("the scheduler belongs to the parent process"),
            Self::Io(error) => write!(f, "cannot poll: {error}"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}
