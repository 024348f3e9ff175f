//! Waiting inside a job: pausing with a reason, for whoever resumes it to act on.

use std::alloc::{self, Layout};
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::Cancelled;
use super::core::{self, Raw};
use super::queue::Queue;
use super::wake::{Slot, Ticket, Wake};
use crate::sys::fd::{self, AsFd, RawFd};

/// What a paused job waits for. A driver acts on it: a scheduler, a future, or a loop of
/// your own around a job started with [`Options::driven`](super::Options::driven).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// [`pause`](super::pause): its wait context tells when it is worth resuming.
    Resume,
    /// [`yield_now`]: nothing, it can be resumed at once.
    Yield,
    /// [`park`]: a [`Wake`], or the instant given.
    Wake {
        /// Resume it at this instant at the latest.
        until: Option<Instant>,
    },
    /// [`wait_fd`]: a file descriptor, or the instant given.
    Fd {
        /// The descriptor; it stays open as long as the job waits.
        fd: RawFd,
        /// What to wait for.
        interest: Interest,
        /// Resume it at this instant at the latest.
        until: Option<Instant>,
    },
}

/// What a descriptor should become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interest {
    /// Readable: data, end of file or an error.
    Readable,
    /// Writable: room, or an error.
    Writable,
}

/// How a driver ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// What it waited for is there.
    Ready,
    /// The instant has come first.
    TimedOut,
    /// The descriptor cannot be waited for; the error's raw OS code.
    Failed(i32),
    /// The driver can wait for no descriptors or instants at all.
    NoReactor,
}

/// Why a wait did not end as wished.
#[derive(Debug)]
#[non_exhaustive]
pub enum WaitError {
    /// The job has been cancelled: return from it.
    Cancelled,
    /// The instant given has come first.
    TimedOut,
    /// Nobody would act on the wait: outside a job, in a coroutine inside one, or in a
    /// job that was started without a driver.
    NotDriven,
    /// The job must not pause at present: see [`block_pause`](super::block_pause).
    Blocked,
    /// The descriptor cannot be waited for, or there is no memory for a wake.
    Io(io::Error),
    /// The job's driver waits neither for descriptors nor for instants: a future made by
    /// `future::run`. Make it by `future::run_with` and a reactor.
    NoReactor,
}

/// Lets other jobs of the same driver run. Outside a job, and where the job cannot pause,
/// it does nothing.
///
/// # Errors
///
/// [`WaitError::Cancelled`] in a cancelled job.
#[inline(always)]
pub fn yield_now() -> Result<(), WaitError> {
    let Some(job) = core::here() else { return Ok(()) };
    match Queue::next_after(job) {
        // SAFETY: `here` found this code on the job's own stack.
        Some(next) => unsafe { job.hand_over(next) }.map_err(|Cancelled| WaitError::Cancelled),
        None => yield_to_driver(),
    }
}

/// Out of line: few turns take this way, and what is inlined into all callers stays short.
#[cold]
#[inline(never)]
fn yield_to_driver() -> Result<(), WaitError> {
    match wait(Wait::Yield) {
        Err(WaitError::NotDriven | WaitError::Blocked) => Ok(()),
        result => result,
    }
}

/// Waits until a [`Wake`] of this job is used. Returns at once if one has been since the
/// last wait.
///
/// # Errors
///
/// See [`WaitError`].
pub fn park() -> Result<(), WaitError> {
    wait(Wait::Wake { until: None })
}

/// Waits until a [`Wake`] of this job is used, but no longer than to `deadline`.
///
/// # Errors
///
/// See [`WaitError`].
pub fn park_until(deadline: Instant) -> Result<(), WaitError> {
    wait(Wait::Wake { until: Some(deadline) })
}

/// Waits for `duration`.
///
/// # Errors
///
/// See [`WaitError`]; never `TimedOut`.
pub fn sleep(duration: Duration) -> Result<(), WaitError> {
    // Beyond what the clock can say is for ever.
    let deadline = Instant::now().checked_add(duration);
    loop {
        match wait(Wait::Wake { until: deadline }) {
            Err(WaitError::TimedOut) => return Ok(()),
            Ok(()) => continue, // a wake; not what we wait for
            other => return other,
        }
    }
}

/// Waits until `fd` is as `interest` says, at most until `deadline`.
///
/// # Errors
///
/// See [`WaitError`].
pub fn wait_fd(
    fd: impl AsFd,
    interest: Interest,
    deadline: Option<Instant>,
) -> Result<(), WaitError> {
    // An `fd` that is owned stays open until the end.
    wait(Wait::Fd { fd: fd::number(&fd), interest, until: deadline })
}

/// A handle that wakes the current job, or `None` outside a job.
pub fn wake_handle() -> Option<Wake> {
    core::here().map(|job| job.slot().handle())
}

/// Whether this code could pause the current job.
pub(crate) fn can_pause() -> Result<(), WaitError> {
    let Some(job) = core::here() else { return Err(WaitError::NotDriven) };
    if job.core().cancelled.get() {
        job.cancelled();
        Err(WaitError::Cancelled)
    } else if job.core().blocked.get() != 0 {
        Err(WaitError::Blocked)
    } else {
        Ok(())
    }
}

/// Whether this code could wait in the current job.
#[cfg(feature = "future")]
pub(crate) fn can_wait() -> Result<(), WaitError> {
    can_pause()?;
    let driven = core::here().is_some_and(|job| job.core().driven.get());
    if driven { Ok(()) } else { Err(WaitError::NotDriven) }
}

/// As [`wake_handle`], if somebody acts on the job's waits.
pub(crate) fn driven_wake_handle() -> Option<Wake> {
    core::here().filter(|job| job.core().driven.get()).map(|job| job.slot().handle())
}

/// As [`wake_handle`], not counted.
pub(crate) fn wake_ticket() -> Option<Ticket> {
    core::here().map(|job| job.slot().ticket())
}

/// Pauses the current job until its driver says that `wait` is over.
///
/// # Errors
///
/// See [`WaitError`].
#[inline]
pub fn wait(wait: Wait) -> Result<(), WaitError> {
    let Some(job) = core::here() else { return Err(WaitError::NotDriven) };
    let core = job.core();
    if core.cancelled.get() {
        job.cancelled();
        return Err(WaitError::Cancelled);
    }
    if !core.driven.get() {
        return Err(WaitError::NotDriven);
    }
    if core.blocked.get() != 0 {
        return Err(WaitError::Blocked);
    }
    let wakeable = matches!(wait, Wait::Wake { .. });
    if wakeable {
        let Some(slot) = job.try_slot() else {
            return Err(WaitError::Io(io::ErrorKind::OutOfMemory.into()));
        };
        if slot.consume() {
            return Ok(());
        }
    }
    core.wait.set(wait);
    // A driver may have told a plain pause, too, how it ended: nobody has looked at that.
    core.outcome.set(Outcome::Ready);
    // SAFETY: `here` found this code on the job's own stack.
    let left = unsafe { job.leave() };
    core.wait.set(Wait::Resume);
    left.map_err(|Cancelled| WaitError::Cancelled)?;
    match core.outcome.replace(Outcome::Ready) {
        Outcome::Ready => {
            if wakeable {
                job.slot().consume();
            }
            Ok(())
        }
        Outcome::TimedOut => Err(WaitError::TimedOut),
        Outcome::Failed(code) => Err(WaitError::Io(io::Error::from_raw_os_error(code))),
        Outcome::NoReactor => Err(WaitError::NoReactor),
    }
}

impl Raw {
    /// The job's wake slot, which it has from the first time one is needed.
    pub(crate) fn slot(self) -> &'static Slot {
        let no_memory = || alloc::handle_alloc_error(Layout::new::<Slot>());
        self.try_slot().unwrap_or_else(no_memory)
    }

    /// The same, if there is memory for it.
    pub(super) fn try_slot(self) -> Option<&'static Slot> {
        let core = self.core();
        core.slot.get().or_else(|| {
            let slot = Slot::take()?;
            core.slot.set(Some(slot));
            slot.connect(core.driver.get(), core.token.get());
            Some(slot)
        })
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the job has been cancelled"),
            Self::TimedOut => f.write_str("the deadline has passed"),
            Self::NotDriven => f.write_str("not inside a job that somebody drives"),
            Self::Blocked => f.write_str("the job must not pause: block_pause is in force"),
            Self::Io(error) => write!(f, "cannot wait for the descriptor: {error}"),
            Self::NoReactor => {
                f.write_str("the future has no reactor to wait with: make it by future::run_with")
            }
        }
    }
}

impl std::error::Error for WaitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}
