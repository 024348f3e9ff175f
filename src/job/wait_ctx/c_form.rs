//! What the C ABI has in another form: custom data and a cleanup function instead of a
//! closure, a bare pointer instead of a handle, and a `free` that does not wait for jobs.

use std::collections::TryReserveError;
use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::callback::{Callback, CallbackFn, Closure, Form};
use super::{AsyncFd, CleanupFn, Key, Payload, WaitCtx};
use crate::job::Wake;

impl WaitCtx {
    /// [`set_wait_fd_with`](Self::set_wait_fd_with) for C.
    ///
    /// # Safety
    ///
    /// `cleanup` may be called once with this context, `key`, `fd` and `data`, on any
    /// thread, at any time until the context has ended.
    pub(crate) unsafe fn set_wait_fd_c(
        &self,
        key: Key,
        fd: AsyncFd,
        data: *mut c_void,
        cleanup: Option<CleanupFn>,
    ) -> Result<(), TryReserveError> {
        self.add(key, fd, Payload::C { data: data.expose_provenance(), cleanup })
    }

    /// ASYNC_WAIT_CTX_free while a paused job still has a handle: the cleanups run, and the
    /// context is empty, at once; its memory goes with the last handle.
    pub(crate) fn shut(&self) {
        self.shared().shut.store(true, Ordering::Relaxed);
        self.end();
    }

    /// The job of this handle was given up and still waits for what is in here: until the answer
    /// is dropped, or [`let_go`](Self::let_go) called for the job, the context ends with its last
    /// handle, whatever is freed before. If it is by a callback that the job waits, who asks for
    /// that is given another one.
    pub(crate) fn keep(&self, job: usize, calls_back: bool) -> Kept {
        let keepers = &mut self.lock().keepers;
        keepers.last += 1;
        let number = keepers.last;
        keepers.all.push(Keeper { job, number, calls_back, called: false, wake: None });
        Kept { ctx: self.clone(), number }
    }

    /// The job has an owner again.
    pub(crate) fn let_go(&self, job: usize) {
        self.take_keeper(|keeper| keeper.job == job);
    }

    fn take_keeper(&self, is_it: impl Fn(&Keeper) -> bool) {
        let mut state = self.lock();
        let place = state.keepers.all.iter().position(is_it);
        let keeper = place.map(|place| state.keepers.all.remove(place));
        drop(state);
        drop(keeper);
    }

    /// Whether there are other handles: jobs that were started with it have some.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared().handles.load(Ordering::Relaxed) > 1
    }

    /// Whether somebody has asked to [keep](Self::keep) it.
    pub(crate) fn is_kept(&self) -> bool {
        !self.lock().keepers.all.is_empty()
    }

    /// [`callback`](Self::callback) for C, which calls it no later than the job needs that.
    pub(crate) fn callback_c(&self) -> Option<(CallbackFn, *mut c_void)> {
        let state = self.lock();
        if state.keepers.want_calls() {
            return Some((wake_keepers, self.as_ptr()));
        }
        // Whoever has set it keeps it.
        state.callback.as_ref().map(Callback::to_c)
    }

    /// Wakes every job that was given up and waits for the callback.
    pub(super) fn wake_keepers(&self) {
        for keeper in self.lock().keepers.all.iter_mut().filter(|keeper| keeper.calls_back) {
            match &keeper.wake {
                // Under the lock: it is for a scheduler of ours.
                Some(wake) => wake.wake(),
                None => keeper.called = true,
            }
        }
    }

    /// Whether there is anything to wait for: an fd or a callback.
    pub(crate) fn can_wake(&self) -> bool {
        let state = self.lock();
        let stands = |entry: &super::Entry| entry.standing != super::Standing::Deleted;
        state.callback.is_some() || state.entries.iter().any(stands)
    }

    /// Whether it was [shut](Self::shut), so that a job no longer shows it.
    pub(crate) fn is_shut(&self) -> bool {
        self.shared().shut.load(Ordering::Relaxed)
    }

    /// The handle that was forgotten after [`as_ptr`](Self::as_ptr); or, in a
    /// `ManuallyDrop`, a borrow of a handle that is still there.
    ///
    /// # Safety
    ///
    /// `ptr` is from `as_ptr`, and the handle it stands for is not dropped elsewhere too.
    pub(crate) unsafe fn from_ptr(ptr: *mut c_void) -> Self {
        // SAFETY: `as_ptr` is that of a handle which, by the caller's word, is still there.
        WaitCtx(unsafe { NonNull::new_unchecked(ptr.cast()) })
    }
}

/// Who has asked to [keep](WaitCtx::keep) a context.
#[derive(Default)]
pub(super) struct Keepers {
    all: Vec<Keeper>,
    /// Numbers them.
    last: usize,
}

struct Keeper {
    job: usize,
    number: usize,
    calls_back: bool,
    /// Before there was a wake.
    called: bool,
    wake: Option<Wake>,
}

impl Keepers {
    pub(super) fn want_calls(&self) -> bool {
        self.all.iter().any(|keeper| keeper.calls_back)
    }
}

/// See [`WaitCtx::keep`].
pub(crate) struct Kept {
    ctx: WaitCtx,
    number: usize,
}

impl Kept {
    /// What the callback is to do.
    pub(crate) fn wake_by(&self, wake: Wake) {
        let mut state = self.ctx.lock();
        let mine = state.keepers.all.iter_mut().find(|keeper| keeper.number == self.number);
        let Some(mine) = mine else { return };
        if mine.called {
            wake.wake();
        }
        mine.wake = Some(wake);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.ctx.take_keeper(|keeper| keeper.number == self.number);
    }
}

unsafe extern "C" fn wake_keepers(ctx: *mut c_void) -> c_int {
    // SAFETY: from `callback_c`; the job that is waited for has a handle.
    ManuallyDrop::new(unsafe { WaitCtx::from_ptr(ctx) }).wake_keepers();
    1
}

impl Callback {
    /// A callback that calls `function(arg)`.
    ///
    /// # Safety
    ///
    /// That may be done on any thread, any number of times, as long as this callback or a
    /// clone of it is there.
    pub(crate) unsafe fn from_c(function: CallbackFn, arg: *mut c_void) -> Self {
        Callback(Form::C { function, arg: arg.expose_provenance() })
    }

    /// The function and argument by which C calls it: those it came with, or for a closure
    /// a pair that is good as long as this callback or a clone of it is there.
    pub(crate) fn to_c(&self) -> (CallbackFn, *mut c_void) {
        match &self.0 {
            Form::Closure(closure) => (call_closure, Arc::as_ptr(closure).cast_mut().cast()),
            Form::C { function, arg } => (*function, ptr::with_exposed_provenance_mut(*arg)),
        }
    }
}

unsafe extern "C" fn call_closure(arg: *mut c_void) -> c_int {
    // SAFETY: `to_c` made it from a closure that the callback keeps in place.
    let closure = unsafe { &*arg.cast_const().cast::<Closure>() };
    closure();
    1
}
