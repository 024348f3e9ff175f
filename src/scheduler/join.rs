//! Waiting for a job to end, and taking what it returned.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};

use super::Core;
use super::room::Room;
use crate::job::{self, JobId, Raw, Ticket, WaitError};

/// The end of one job, as another waits for it. Dropping it lets the job run on alone.
pub struct JoinHandle<T>(Rc<Shared<T>>);

/// Why [`JoinHandle::join`] has no value.
pub enum JoinError {
    /// The job panicked, with this payload.
    Panicked(Box<dyn Any + Send>),
    /// The job was cancelled before it returned.
    Cancelled,
    /// The job has not ended, and the caller cannot wait for it.
    Wait(WaitError),
}

pub(super) struct Shared<T> {
    state: RefCell<State<T>>,
    /// Who waits in `join`.
    waiter: Cell<Option<Ticket>>,
    scheduler: Weak<Core>,
    job: Cell<Option<Raw>>,
    id: JobId,
}

enum State<T> {
    Running,
    Returned(T),
    Failed(JoinError),
    Taken,
}

/// What a panic carries.
type Payload = Box<dyn Any + Send>;

/// What the scheduler tells when a job has ended.
pub(super) trait Ended {
    /// It no longer has the job: from here on a handle must not reach what was the job's.
    fn lose_job(&self);

    /// With the panic's payload, if it panicked.
    fn ended(&self, panic: Option<Payload>);
}

impl<T> Shared<T> {
    pub(super) fn new(scheduler: Weak<Core>, job: Raw) -> Rc<Self> {
        Rc::new(Shared {
            state: RefCell::new(State::Running),
            waiter: Cell::new(None),
            scheduler,
            job: Cell::new(Some(job)),
            id: job.id(),
        })
    }

    /// The job's last act.
    pub(super) fn finish(&self, value: T) {
        *self.state.borrow_mut() = State::Returned(value);
    }
}

impl<T> Ended for Shared<T> {
    fn lose_job(&self) {
        self.job.set(None);
    }

    fn ended(&self, panic: Option<Payload>) {
        {
            let mut state = self.state.borrow_mut();
            if let State::Running = *state {
                *state = State::Failed(match panic {
                    Some(payload) => JoinError::Panicked(payload),
                    None => JoinError::Cancelled,
                });
            }
        }
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }
}

/// Tells that a job has ended, last of all: also when what it leaves behind (the cleanups of
/// its wait context, the payload of its panic) panics when it is dropped.
pub(super) struct Tell<'a> {
    room: &'a Room,
    ended: Rc<dyn Ended>,
    pub(super) panic: Option<Payload>,
}

impl<'a> Tell<'a> {
    pub(super) fn new(room: &'a Room, ended: Rc<dyn Ended>) -> Self {
        Tell { room, ended, panic: None }
    }
}

impl Drop for Tell<'_> {
    fn drop(&mut self) {
        self.room.wake_next();
        self.ended.ended(self.panic.take());
    }
}

impl<T> JoinHandle<T> {
    pub(super) fn new(shared: Rc<Shared<T>>) -> Self {
        JoinHandle(shared)
    }

    /// Waits until the job has ended and takes its value. Outside a job it does not wait:
    /// run the scheduler first.
    ///
    /// # Errors
    ///
    /// See [`JoinError`].
    pub fn join(self) -> Result<T, JoinError> {
        while !self.is_finished() {
            self.0.waiter.set(job::wake_ticket());
            let waited = job::park();
            self.0.waiter.set(None);
            waited.map_err(JoinError::Wait)?;
        }
        match self.0.state.replace(State::Taken) {
            State::Returned(value) => Ok(value),
            State::Failed(error) => Err(error),
            State::Running | State::Taken => unreachable!("finished, and taken once"),
        }
    }

    /// Whether the job has ended.
    pub fn is_finished(&self) -> bool {
        !matches!(*self.0.state.borrow(), State::Running)
    }

    /// Ends the job in the [`CancelMode`](crate::job::CancelMode) it was spawned with. A
    /// job that is running (this one, or one that waits for a nested one) is left alone;
    /// the answer tells.
    pub fn cancel(&self) -> bool {
        match (self.0.job.get(), self.0.scheduler.upgrade()) {
            (Some(job), Some(scheduler)) => scheduler.cancel(job),
            _ => false,
        }
    }

    /// Which job it is.
    pub fn id(&self) -> JobId {
        self.0.id
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id())
            .field("finished", &self.is_finished())
            .finish()
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(_) => f.write_str("Panicked(..)"),
            Self::Cancelled => f.write_str("Cancelled"),
            Self::Wait(error) => f.debug_tuple("Wait").field(error).finish(),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(payload) => {
                let text = payload.downcast_ref::<&str>().copied();
                let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
                write!(f, "the job panicked: {}", text.unwrap_or("(no message)"))
            }
            Self::Cancelled => f.write_str("the job was cancelled"),
            Self::Wait(error) => write!(f, "cannot wait for the job: {error}"),
        }
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Wait(error) => Some(error),
            _ => None,
        }
    }
}
