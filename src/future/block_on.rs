//! Awaiting inside a job.
//!
//! # Safety
//!
//! The waker that a future is polled with first is a reference to this frame: nothing
//! outlives the poll but clones, which are on the heap.
#![allow(unsafe_code)]

use std::future::Future;
use std::mem::{self, ManuallyDrop};
use std::pin::pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::job::{self, Ticket, WaitError};

/// Drives `future` to its end; the current job pauses while there is nothing to do. From any
/// depth of the call stack. In a job of a scheduler, of a [`JobFuture`](super::JobFuture), or
/// one that is [driven](crate::job::Options::driven) otherwise.
///
/// It is polled when its waker was used, and for no other reason; after a wake that comes
/// from the poll itself, other jobs and tasks get their turn first. Inside the poll the job
/// may wait too, by another `block_on` for instance. The future is dropped before an error is
/// returned.
///
/// # Errors
///
/// [`WaitError::NotDriven`] outside such a job, if the future is not ready at once;
/// [`WaitError::Blocked`] likewise where the job must not pause; [`WaitError::Cancelled`] in
/// a cancelled job.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, WaitError> {
    let here = job::wake_ticket().map(|ticket| Here { ticket, call: OnceLock::new() });
    let mut future = pin!(future);
    loop {
        let waker = here.as_ref().map(Here::waker);
        let mut cx = Context::from_waker(waker.as_deref().unwrap_or(Waker::noop()));
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return Ok(value);
        }
        match &here {
            Some(here) => here.wait()?,
            None => job::park()?,
        }
    }
}

/// One `block_on` of a job.
struct Here {
    ticket: Ticket,
    /// From the first use of the waker: many futures are ready and need none.
    call: OnceLock<Arc<Call>>,
}

/// What wakers share.
struct Call {
    /// The future wants to be polled. The job's own note is not enough: a wait inside the
    /// poll may have used it up.
    called: AtomicBool,
    ticket: Ticket,
}

impl Here {
    /// To be used as long as this lives.
    fn waker(&self) -> ManuallyDrop<Waker> {
        let raw = match self.call.get() {
            // The same as its clones, so that futures see that they have it already.
            Some(call) => RawWaker::new(Arc::as_ptr(call).cast(), &COUNTED),
            None => RawWaker::new(ptr::from_ref(self).cast(), &BORROWED),
        };
        // SAFETY: data for the functions of its table, as long as `self` lives; the waker is
        // not dropped, so it need not be counted.
        ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
    }

    fn call(&self) -> &Arc<Call> {
        let Here { ticket, call } = self;
        call.get_or_init(|| Arc::new(Call { called: AtomicBool::new(false), ticket: *ticket }))
    }

    fn was_called(&self) -> bool {
        self.call.get().is_some_and(|call| call.called.swap(false, Ordering::AcqRel))
    }

    /// Pauses the job until the future wants to be polled.
    fn wait(&self) -> Result<(), WaitError> {
        if self.was_called() {
            // Which a yield would not say.
            job::can_wait()?;
            return job::yield_now();
        }
        loop {
            job::park()?;
            if self.was_called() {
                return Ok(());
            }
        }
    }
}

impl Call {
    fn wake(&self) {
        self.called.store(true, Ordering::Release);
        self.ticket.wake();
    }

    /// A waker, counted as a handle of the job.
    fn waker(self: Arc<Self>) -> RawWaker {
        mem::forget(self.ticket.counted());
        RawWaker::new(Arc::into_raw(self).cast(), &COUNTED)
    }
}

/// The data is a [`Here`].
static BORROWED: RawWakerVTable = {
    /// # Safety
    /// `data` is a `Here`.
    unsafe fn here<'a>(data: *const ()) -> &'a Here {
        // SAFETY: by this function's contract.
        unsafe { &*data.cast() }
    }
    RawWakerVTable::new(
        // SAFETY: the data of this table.
        |data| Arc::clone(unsafe { here(data) }.call()).waker(),
        // SAFETY: as above.
        |data| unsafe { here(data) }.call().wake(),
        // SAFETY: as above.
        |data| unsafe { here(data) }.call().wake(),
        |_| (),
    )
};

/// The data is an `Arc<Call>` with a count of its own among the job's handles.
static COUNTED: RawWakerVTable = {
    /// # Safety
    /// `data` is an `Arc<Call>` that the caller owns, or does not drop.
    unsafe fn call(data: *const ()) -> ManuallyDrop<Arc<Call>> {
        // SAFETY: by this function's contract.
        ManuallyDrop::new(unsafe { Arc::from_raw(data.cast()) })
    }
    fn drop_counted(call: ManuallyDrop<Arc<Call>>) {
        drop(call.ticket.again());
        drop(ManuallyDrop::into_inner(call));
    }
    RawWakerVTable::new(
        |data| {
            // SAFETY: the data of this table, not dropped.
            let call = unsafe { call(data) };
            Arc::clone(&call).waker()
        },
        |data| {
            // SAFETY: the data of this table, owned.
            let call = unsafe { call(data) };
            call.wake();
            drop_counted(call);
        },
        // SAFETY: the data of this table, not dropped.
        |data| unsafe { call(data) }.wake(),
        // SAFETY: the data of this table, owned.
        |data| drop_counted(unsafe { call(data) }),
    )
};
