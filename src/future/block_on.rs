//! Awaiting inside a job.
//!
//! # Safety
//!
//! The waker that a future is polled with lies in this frame: nothing outlives the poll but
//! clones, and those are counted and on the heap.
#![allow(unsafe_code)]

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};

use crate::job::{self, Ticket, WaitError};

/// Drives `future` to its end; the current job pauses while there is nothing to do. From any
/// depth of the call stack. In a job of a scheduler, of a [`JobFuture`](super::JobFuture), or
/// one that is [driven](crate::job::Options::driven) otherwise.
///
/// The future is dropped before an error is returned.
///
/// # Errors
///
/// [`WaitError::NotDriven`] outside such a job, if the future is not ready at once;
/// [`WaitError::Blocked`] likewise where the job must not pause; [`WaitError::Cancelled`] in
/// a cancelled job.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, WaitError> {
    let ticket = job::wake_ticket();
    // A waker of its own costs an allocation; a future that is ready never asks for one.
    let here = ticket.as_ref().map(|ticket| {
        // SAFETY: a `Ticket`, as the functions of `BORROWED` demand, that outlives the waker.
        ManuallyDrop::new(unsafe { Waker::new(ptr::from_ref(ticket).cast(), &BORROWED) })
    });
    let mut cx = Context::from_waker(here.as_deref().unwrap_or(Waker::noop()));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return Ok(value);
        }
        job::park()?;
    }
}

/// A waker that is a borrowed [`Ticket`]; a real one when it is cloned.
static BORROWED: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, |_| ());

/// # Safety
/// `data` is a ticket.
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: by this function's contract.
    let ticket = unsafe { *data.cast::<Ticket>() };
    let waker = ManuallyDrop::new(Waker::from(Arc::new(JobWaker(ticket.counted()))));
    RawWaker::new(waker.data(), waker.vtable())
}

/// # Safety
/// `data` is a ticket.
unsafe fn wake(data: *const ()) {
    // SAFETY: by this function's contract.
    unsafe { *data.cast::<Ticket>() }.wake();
}

struct JobWaker(job::Wake);

impl Wake for JobWaker {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake();
    }
}
