//! The wait context of a job: OpenSSL's ASYNC_WAIT_CTX.
//!
//! # Locking
//!
//! The owner resumes the job while poller threads look up fds and the callback and set the
//! status. So a mutex guards everything; it is held for a walk over a few entries,
//! and nothing foreign runs under it: cleanups, the callback, and destructors of closures
//! all run after it is released, on values taken out, and may call back into the context.
//! Since nothing under it panics it is never poisoned half-way, and poison is ignored.
//!
//! The mutex is one of a few that all contexts share. So a `fork` can hold them all: the
//! child finds every context whole and unlocked.
//!
//! Flags stand beside it. `changed` is written under the lock and read without it by
//! [`WaitCtx::reset`], so that a resume with nothing to reset, the usual one, takes no
//! lock. A change that it misses was made by another thread, in no order to the reset, and
//! counts as made after it. `shut` only ever becomes true, and orders nothing.
//!
//! # Safety
//!
//! C's functions and pointers are stored and handed back, never looked into. Calling a
//! function is what its setter's `# Safety` section allowed; pointers to the context itself
//! come from, and go back to, its handles.
#![allow(unsafe_code)]

use std::alloc::{self, Layout};
use std::collections::TryReserveError;
use std::ffi::c_void;
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::fork;
use crate::sys::fd::AsyncFd;
use crate::sys::{FirstPanic, try_box};

#[cfg_attr(not(feature = "capi"), allow(dead_code, reason = "it is for the C ABI"))]
mod c_form;
mod callback;
mod locks;
use c_form::Keepers;
#[cfg(feature = "capi")]
pub(crate) use callback::CallbackFn;
#[cfg(test)]
mod tests;

pub use callback::Callback;
pub(super) use locks::hold;
use locks::{Guarded, Locked};

/// How the code inside a job tells the code that runs it what to wait for: fds to poll, a
/// callback, or both. (OpenSSL's `ASYNC_WAIT_CTX`.)
///
/// The code inside, typically an engine that gave an operation to a device, adds the fd
/// that will become readable, or takes the callback that is to be called, and pauses. The
/// code outside polls the fds, or waits for its callback, and resumes the job. Nothing here
/// ever polls, calls the callback, or closes an fd.
///
/// A handle: clones are the same context, from any thread. When the last one goes, the
/// cleanups of the fds still in it run.
///
/// ```
/// use siding::job::{Key, WaitCtx};
/// use std::os::fd::AsRawFd;
///
/// static ENGINE: u8 = 0;
/// let key = Key::of(&ENGINE);
///
/// let (reader, writer) = std::io::pipe()?;
/// let fd = reader.as_raw_fd();
/// let ctx = WaitCtx::new();
/// ctx.set_wait_fd_with(key, fd, move |_, _, _| drop((reader, writer)))?;
/// assert_eq!(ctx.fd(key), Some(fd));
/// assert_eq!(ctx.changed_fds(), (vec![fd], vec![]));
/// drop(ctx); // closes the pipe
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # In terms of ASYNC_WAIT_CTX_new(3)
///
/// | here | there, `ASYNC_WAIT_CTX_...` |
/// |---|---|
/// | [`new`](Self::new) | `new` |
/// | dropping the last handle | `free` |
/// | [`set_wait_fd`](Self::set_wait_fd), [`set_wait_fd_with`](Self::set_wait_fd_with) | `set_wait_fd`, without and with a `cleanup`; what the closure captures is the `custom_data` |
/// | [`fd`](Self::fd) | `get_fd` |
/// | [`all_fds`](Self::all_fds) | `get_all_fds`, both calls of it |
/// | [`changed_fds`](Self::changed_fds) | `get_changed_fds`, both calls of it |
/// | [`clear_fd`](Self::clear_fd) | `clear_fd` |
/// | [`set_callback`](Self::set_callback), [`callback`](Self::callback) | `set_callback`, `get_callback` |
/// | [`set_status`](Self::set_status), [`status`](Self::status) | `set_status`, `get_status` |
///
/// # What counts as changed
///
/// An fd is *added* from [`set_wait_fd`](Self::set_wait_fd), and *deleted* from
/// [`clear_fd`](Self::clear_fd), until the reset: the moment when a job with this context,
/// having been resumed, goes on. That is not quite "since the last pause", as the manual
/// has it: what changes before the first start of a job, or after its last pause, stays
/// changed until the next job with this context is resumed for the first time.
pub struct WaitCtx(NonNull<Shared>);

// SAFETY: a counted reference to what is `Sync`; the last one, on any thread, drops it.
unsafe impl Send for WaitCtx {}
// SAFETY: as above.
unsafe impl Sync for WaitCtx {}

const _: fn() = || {
    fn is_shareable<T: Send + Sync>() {}
    is_shareable::<Shared>();
};

/// An fd's name in a [`WaitCtx`], by which those who set it find it again.
///
/// Usually the address of something only they have; it is compared, never followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(usize);

/// How an operation stands, for those who wait by [callback](Callback): an engine that can
/// use it sets [`OK`](Self::OK); one that was too busy to take the operation,
/// [`EAGAIN`](Self::EAGAIN).
///
/// Any int may be stored, as in OpenSSL; these have names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

struct Shared {
    /// How many [`WaitCtx`] there are. Not an `Arc`: what that counts is already out of reach
    /// when it gets to zero, and cleanups want the context.
    handles: AtomicUsize,
    changed: AtomicBool,
    shut: AtomicBool,
    state: Guarded<State>,
}

#[derive(Default)]
struct State {
    /// Oldest first, so that the newest, which comes first in every answer, is pushed.
    entries: Vec<Entry>,
    callback: Option<Callback>,
    status: Status,
    keepers: Keepers,
}

struct Entry {
    key: Key,
    fd: AsyncFd,
    standing: Standing,
    payload: Payload,
}

/// How an entry stands since the last reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// New since then.
    Added,
    /// There then, and still.
    Kept,
    /// There then, and cleared: only [`WaitCtx::changed_fds`] still knows it.
    Deleted,
}

/// What its setter left with an fd.
enum Payload {
    None,
    Closure(Closure),
    C { data: usize, cleanup: Option<CleanupFn> },
}

type Closure = Box<dyn FnOnce(&WaitCtx, Key, AsyncFd) + Send>;

/// C's cleanup: context, key, fd, custom data.
pub(crate) type CleanupFn = unsafe extern "C" fn(*mut c_void, *const c_void, AsyncFd, *mut c_void);

impl WaitCtx {
    /// An empty context.
    pub fn new() -> Self {
        Self::try_new().unwrap_or_else(|_| alloc::handle_alloc_error(Layout::new::<Shared>()))
    }

    /// The same, if there is memory for it.
    pub(crate) fn try_new() -> Result<Self, TryReserveError> {
        let shared = try_box(Shared {
            handles: AtomicUsize::new(1),
            changed: AtomicBool::new(false),
            shut: AtomicBool::new(false),
            state: Guarded::default(),
        })?;
        fork::prepare();
        Ok(WaitCtx(NonNull::from(Box::leak(shared))))
    }

    /// Adds `fd`, to be polled for reading. Neither `key` nor `fd` is looked at: a key that
    /// is there already gets a second entry, in front of the first.
    ///
    /// # Errors
    ///
    /// If there is no memory for the entry.
    pub fn set_wait_fd(&self, key: Key, fd: AsyncFd) -> Result<(), TryReserveError> {
        self.add(key, fd, Payload::None)
    }

    /// Adds `fd` like [`set_wait_fd`](Self::set_wait_fd), with a closure that runs if the
    /// fd is still there when the context ends.
    ///
    /// If it has been [cleared](Self::clear_fd) by then, the closure is dropped without
    /// being called, but not before [`changed_fds`](Self::changed_fds) has stopped showing
    /// the fd. So a closure that owns the fd closes it in time, either way. One that owns a
    /// clone of the context keeps it from ever ending; it is given a reference instead.
    ///
    /// # Errors
    ///
    /// If there is no memory for the entry. The closure is then dropped.
    pub fn set_wait_fd_with(
        &self,
        key: Key,
        fd: AsyncFd,
        cleanup: impl FnOnce(&WaitCtx, Key, AsyncFd) + Send + 'static,
    ) -> Result<(), TryReserveError> {
        self.add(key, fd, Payload::Closure(Box::new(cleanup)))
    }

    /// The newest fd with this key.
    pub fn fd(&self, key: Key) -> Option<AsyncFd> {
        self.fd_and_data(key).map(|(fd, _)| fd)
    }

    /// All fds, newest first.
    pub fn all_fds(&self) -> Vec<AsyncFd> {
        let mut fds = Vec::new();
        self.visit(|standing, fd| {
            if standing != Standing::Deleted {
                fds.push(fd);
            }
        });
        fds
    }

    /// The fds added and the fds deleted [since the reset](Self#what-counts-as-changed),
    /// each newest first.
    pub fn changed_fds(&self) -> (Vec<AsyncFd>, Vec<AsyncFd>) {
        let (mut added, mut deleted) = (Vec::new(), Vec::new());
        self.visit(|standing, fd| match standing {
            Standing::Added => added.push(fd),
            Standing::Kept => {}
            Standing::Deleted => deleted.push(fd),
        });
        (added, deleted)
    }

    /// Removes the newest fd with this key, and says whether there was one. Its cleanup
    /// will not run: whoever clears an fd closes it.
    pub fn clear_fd(&self, key: Key) -> bool {
        let mut state = self.lock();
        let Some(at) = state.position(key) else { return false };
        let unlinked = if state.entries[at].standing == Standing::Added {
            Some(state.entries.remove(at)) // no net change
        } else {
            state.entries[at].standing = Standing::Deleted;
            self.shared().changed.store(true, Ordering::Relaxed);
            None
        };
        drop(state);
        drop(unlinked);
        true
    }

    /// Sets what an engine is to call when the job can go on, or unsets it; returns what
    /// was set before.
    ///
    /// An engine written in C holds the closure by its bare address while its operation is
    /// under way, so leave it set until then.
    pub fn set_callback(&self, callback: Option<Callback>) -> Option<Callback> {
        std::mem::replace(&mut self.lock().callback, callback)
    }

    /// The callback, if one is set. It is for the engine to call: best when the operation is
    /// done, since it may change until then.
    pub fn callback(&self) -> Option<Callback> {
        let state = self.lock();
        if state.keepers.want_calls() {
            let ctx = self.clone();
            return Some(Callback::new(move || ctx.wake_keepers()));
        }
        state.callback.clone()
    }

    /// Stores how the operation stands.
    pub fn set_status(&self, status: Status) {
        self.lock().status = status;
    }

    /// The status last set; [`Status::UNSUPPORTED`] at first.
    pub fn status(&self) -> Status {
        self.lock().status
    }

    /// The newest fd with this key, and C's custom data, which is null for one set from Rust.
    pub(crate) fn fd_and_data(&self, key: Key) -> Option<(AsyncFd, *mut c_void)> {
        let state = self.lock();
        let entry = &state.entries[state.position(key)?];
        let data = match entry.payload {
            Payload::C { data, .. } => ptr::with_exposed_provenance_mut(data),
            Payload::None | Payload::Closure(_) => ptr::null_mut(),
        };
        Some((entry.fd, data))
    }

    /// Shows each entry, newest first, under the lock: `see` must only take notes.
    pub(crate) fn visit(&self, mut see: impl FnMut(Standing, AsyncFd)) {
        for entry in self.lock().entries.iter().rev() {
            see(entry.standing, entry.fd);
        }
    }

    /// C's name for this context: the same for all its handles, good as long as one is left.
    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr().cast()
    }

    fn add(&self, key: Key, fd: AsyncFd, payload: Payload) -> Result<(), TryReserveError> {
        let mut state = self.lock();
        state.entries.try_reserve(1)?;
        state.entries.push(Entry { key, fd, standing: Standing::Added, payload });
        self.shared().changed.store(true, Ordering::Relaxed);
        Ok(())
    }

    #[inline(always)]
    fn shared(&self) -> &Shared {
        // SAFETY: there as long as a handle is, such as this one.
        unsafe { self.0.as_ref() }
    }

    fn lock(&self) -> Locked<'_, State> {
        self.shared().state.lock()
    }

    /// What changed so far is changed no longer: the last act of a pause that was resumed.
    #[inline]
    pub(crate) fn reset(&self) {
        if self.shared().changed.load(Ordering::Relaxed) {
            self.reset_changed();
        }
    }

    #[cold]
    fn reset_changed(&self) {
        let mut state = self.lock();
        self.shared().changed.store(false, Ordering::Relaxed);
        let uncalled: Vec<Closure> = state
            .entries
            .extract_if(.., |entry| entry.standing == Standing::Deleted)
            .filter_map(|entry| entry.payload.into_closure())
            .collect();
        for entry in &mut state.entries {
            entry.standing = Standing::Kept;
        }
        drop(state);
        drop(uncalled);
    }

    /// Empties the context, newest entry first, each detached before its cleanup runs. All
    /// of them run; then the first panic goes on, unless this is part of another one.
    fn end(&self) {
        let _dropped_last = self.set_callback(None);
        let mut first_panic = FirstPanic::default();
        while let Some(entry) = self.detach_newest() {
            first_panic.of(|| entry.clean_up(self));
        }
        first_panic.go_on();
    }

    fn detach_newest(&self) -> Option<Entry> {
        self.lock().entries.pop()
    }
}

impl State {
    /// Where the newest entry with this key is that is not deleted.
    fn position(&self, key: Key) -> Option<usize> {
        let wanted = |entry: &Entry| entry.key == key && entry.standing != Standing::Deleted;
        self.entries.iter().rposition(wanted)
    }
}

impl Entry {
    fn clean_up(self, ctx: &WaitCtx) {
        if self.standing == Standing::Deleted {
            return;
        }
        match self.payload {
            Payload::Closure(cleanup) => cleanup(ctx, self.key, self.fd),
            Payload::C { data, cleanup: Some(cleanup) } => {
                let data = ptr::with_exposed_provenance_mut(data);
                // SAFETY: `set_wait_fd_c` was promised that it may be called like this; the
                // entry is detached, so it is once.
                unsafe { cleanup(ctx.as_ptr(), self.key.to_ptr(), self.fd, data) }
            }
            Payload::C { cleanup: None, .. } | Payload::None => {}
        }
    }
}

impl Payload {
    fn into_closure(self) -> Option<Closure> {
        if let Payload::Closure(closure) = self { Some(closure) } else { None }
    }
}

impl Clone for WaitCtx {
    fn clone(&self) -> Self {
        // A new handle comes from one that is there, so there is nothing to order.
        self.shared().handles.fetch_add(1, Ordering::Relaxed);
        WaitCtx(self.0)
    }
}

impl Drop for WaitCtx {
    #[inline]
    fn drop(&mut self) {
        // The last handle sees what was done through all others.
        if self.shared().handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.drop_last();
        }
    }
}

impl WaitCtx {
    /// The last handle goes.
    #[cold]
    fn drop_last(&mut self) {
        /// Frees the context, also when a cleanup panics; unless one has cloned it: then
        /// there is another last handle.
        struct Free(NonNull<Shared>);
        impl Drop for Free {
            fn drop(&mut self) {
                // SAFETY: the count of before, taken up again below, keeps it there.
                let handles = unsafe { &(*self.0.as_ptr()).handles };
                if handles.fetch_sub(1, Ordering::AcqRel) == 1 {
                    // SAFETY: from `new`, and no handle is left.
                    drop(unsafe { Box::from_raw(self.0.as_ptr()) });
                }
            }
        }
        self.shared().handles.store(1, Ordering::Relaxed);
        let _free = Free(self.0);
        self.end();
    }
}

impl Key {
    /// The address of `anchor`, which nobody else has.
    pub fn of<T>(anchor: &'static T) -> Self {
        const { assert!(size_of::<T>() != 0, "values without a size may share an address") };
        Self::from_ptr(ptr::from_ref(anchor))
    }

    pub(crate) fn from_ptr<T>(ptr: *const T) -> Self {
        Key(ptr.expose_provenance())
    }

    fn to_ptr(self) -> *const c_void {
        ptr::with_exposed_provenance(self.0)
    }
}

impl Status {
    /// Callbacks are not supported, or no status was set.
    pub const UNSUPPORTED: Self = Status(0);
    /// The operation failed.
    pub const ERR: Self = Status(1);
    /// The operation was accepted, and the callback will be called.
    pub const OK: Self = Status(2);
    /// The engine is busy: try again later.
    pub const EAGAIN: Self = Status(3);
}

impl From<usize> for Key {
    fn from(value: usize) -> Self {
        Key(value)
    }
}

impl Default for WaitCtx {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitCtx")
            .field("fds", &self.all_fds())
            .field("callback", &self.callback())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:#x})", self.0)
    }
}
