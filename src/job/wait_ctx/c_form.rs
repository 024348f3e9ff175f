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

    /// A job that was given up still waits for what is in here: until the answer is dropped the
    /// context ends with its last handle, whatever is freed before.
    pub(crate) fn keep(&self) -> Kept {
        let keepers = &mut self.lock().keepers;
        keepers.last += 1;
        keepers.all.push((keepers.last, None));
        Kept { ctx: self.clone(), number: keepers.last }
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
        if state.keepers.want_wakes() {
            return Some((wake_keepers, self.as_ptr()));
        }
        // Whoever has set it keeps it.
        state.callback.as_ref().map(Callback::to_c)
    }

    /// Wakes every job that was given up and waits for this context.
    pub(super) fn wake_keepers(&self) {
        // Under the lock: these wakes are for a scheduler of ours.
        self.lock().keepers.all.iter().filter_map(|(_, wake)| wake.as_ref()).for_each(Wake::wake);
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
    all: Vec<(usize, Option<Wake>)>,
    /// Numbers them.
    last: usize,
}

impl Keepers {
    pub(super) fn want_wakes(&self) -> bool {
        self.all.iter().any(|(_, wake)| wake.is_some())
    }
}

/// See [`WaitCtx::keep`].
pub(crate) struct Kept {
    ctx: WaitCtx,
    number: usize,
}

impl Kept {
    /// Who asks for the context's callback gets one that calls this, whatever is set: those who
    /// have set it have given the job up.
    pub(crate) fn wake_by(&self, wake: Wake) {
        let mut state = self.ctx.lock();
        let mine = state.keepers.all.iter_mut().find(|(number, _)| *number == self.number);
        let before = mine.and_then(|(_, place)| place.replace(wake));
        drop(state);
        drop(before);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut state = self.ctx.lock();
        let mine = state.keepers.all.iter().position(|(number, _)| *number == self.number);
        let mine = mine.map(|place| state.keepers.all.remove(place));
        drop(state);
        drop(mine);
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
