//! How a worker tells the job that its result is there.

use std::io;
use std::ptr;

use crate::job::{self, Key, WaitCtx, WaitError, Wake};
use crate::sys::Event;

/// By the job's driver, or as engines do it, by its wait context.
pub(super) enum Signal {
    Wake(Wake),
    /// Asked for its callback when that is wanted: it may have changed.
    Callback(WaitCtx),
    /// Boxed, because its address is its key: jobs may share a wait context.
    Event(WaitCtx, Box<Event>),
}

impl Signal {
    /// What suits the current job.
    pub(super) fn of_this_job() -> Result<Self, WaitError> {
        job::can_pause()?;
        if let Some(wake) = job::driven_wake_handle() {
            return Ok(Signal::Wake(wake));
        }
        let ctx = job::wait_ctx().ok_or(WaitError::NotDriven)?;
        if ctx.callback().is_some() {
            return Ok(Signal::Callback(ctx));
        }
        let event = Box::new(Event::new().map_err(WaitError::Io)?);
        ctx.set_wait_fd(key(&event), event.async_fd())
            .map_err(|_| WaitError::Io(io::ErrorKind::OutOfMemory.into()))?;
        Ok(Signal::Event(ctx, event))
    }

    /// Pauses the job until it may be worth looking for the result.
    pub(super) fn wait(&self) -> Result<(), WaitError> {
        match self {
            Signal::Wake(_) => job::park(),
            _ => job::pause().map_err(|job::Cancelled| WaitError::Cancelled),
        }
    }

    /// The result is there.
    pub(super) fn raise(&self) {
        match self {
            Signal::Wake(wake) => wake.wake(),
            Signal::Callback(ctx) => {
                if let Some(callback) = ctx.callback() {
                    callback.call();
                }
            }
            Signal::Event(_, event) => event.notify(),
        }
    }

    /// The job no longer waits.
    pub(super) fn done(&self) {
        if let Signal::Event(ctx, event) = self {
            ctx.clear_fd(key(event));
        }
    }
}

fn key(event: &Event) -> Key {
    Key::from(ptr::from_ref(event).addr())
}
