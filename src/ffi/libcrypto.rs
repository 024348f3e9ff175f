//! What siding needs of a libcrypto, if one is there: its error queue and its default
//! library context. Looked up by name, so the same library also works without. (On Windows:
//! one that is a DLL. Nothing stands in front of that, so default contexts always follow jobs.)
//!
//! A libcrypto may come later, with a plugin. So the search is repeated where it costs
//! little: when a wait context or a job is made, or an error is to be reported, and only
//! if an object has been loaded meanwhile.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::sys::{self, try_box};

/// Errors by OpenSSL's numbers; those from 0x40000 on are not the ASYNC library's own and
/// carry its flag bits.
#[derive(Clone, Copy)]
pub(super) enum Reason {
    InvalidPoolSize = 103,
    InvalidArgument = 0x80106,
    Cancelled = 0x80109,
    Unsupported = 0x8010C,
    MallocFailure = 0xC0100,
    PassedNull = 0xC0102,
    Internal = 0xC0103,
}

/// ERR_LIB_ASYNC.
const LIBRARY: c_int = 51;

/// The functions we call, with the types they have had since OpenSSL 3.0.
pub(super) struct Functions {
    err_new: Act,
    err_set_debug: SetDebug,
    err_set_error: SetError,
    err_set_mark: Mark,
    err_pop_to_mark: Mark,
    err_clear_error: Act,
    #[cfg(not(windows))]
    set0_default: SetDefault,
    get0_global_default: GetDefault,
    #[cfg(not(windows))]
    thread_stop: Act,
}

type Act = unsafe extern "C" fn();
type Mark = unsafe extern "C" fn() -> c_int;
type SetDebug = unsafe extern "C" fn(*const c_char, c_int, *const c_char);
type SetError = unsafe extern "C" fn(c_int, c_int, *const c_char, ...);
type GetDefault = unsafe extern "C" fn() -> *mut c_void;
type SetDefault = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

const SET0_DEFAULT: &CStr = c"OSSL_LIB_CTX_set0_default";

/// Set once, and never freed.
static FUNCTIONS: AtomicPtr<Functions> = AtomicPtr::new(ptr::null_mut());

/// `OSSL_LIB_CTX_set0_default`, if default contexts have to follow the jobs: when somebody
/// has set one, or when it could be set without our noticing. Null otherwise.
static FOLLOW: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    /// The last error of this thread, in OpenSSL's packing.
    static LAST_ERROR: Cell<u32> = const { Cell::new(0) };
}

/// libcrypto's functions, as far as it has been found.
fn functions() -> Option<&'static Functions> {
    // SAFETY: null, or leaked for ever by `look`.
    unsafe { FUNCTIONS.load(Ordering::Acquire).as_ref() }
}

/// Looks for a libcrypto, unless there is one, or nothing was loaded since the last look.
pub(super) fn look() -> Option<&'static Functions> {
    static LOADS: AtomicU64 = AtomicU64::new(0);
    if let Some(known) = functions() {
        return Some(known);
    }
    let loads = sys::loads();
    // Never zero where there is a loader; a static program may ask as often as it likes.
    if loads != 0 && LOADS.load(Ordering::Relaxed) == loads {
        return None;
    }
    let Some((found, follow)) = find() else {
        LOADS.store(loads, Ordering::Relaxed);
        return None;
    };
    // Without memory the next call looks again.
    let found = Box::into_raw(try_box(found).ok()?);
    if let Some(set) = follow {
        FOLLOW.store(set, Ordering::Relaxed);
    }
    let (first, order) = (ptr::null_mut(), Ordering::AcqRel);
    if FUNCTIONS.compare_exchange(first, found, order, Ordering::Acquire).is_err() {
        // SAFETY: a box of just now: another thread has found it, too.
        drop(unsafe { Box::from_raw(found) });
    }
    functions()
}

/// libcrypto's functions, and what [`FOLLOW`] is to be from the start.
fn find() -> Option<(Functions, Option<*mut c_void>)> {
    let set0_default = sys::symbol(SET0_DEFAULT)?;
    let noticed = sys::is_bound_to_us(SET0_DEFAULT)
        && set0_default.global
        && !sys::is_symbolic(set0_default.address);
    macro_rules! function {
        ($name:literal as $type:ty) => {{
            let address = sys::symbol($name)?.address;
            // SAFETY: it has had this type since OpenSSL 3.0.
            unsafe { mem::transmute::<*mut c_void, $type>(address) }
        }};
    }
    let found = Functions {
        err_new: function!(c"ERR_new" as Act),
        err_set_debug: function!(c"ERR_set_debug" as SetDebug),
        err_set_error: function!(c"ERR_set_error" as SetError),
        err_set_mark: function!(c"ERR_set_mark" as Mark),
        err_pop_to_mark: function!(c"ERR_pop_to_mark" as Mark),
        err_clear_error: function!(c"ERR_clear_error" as Act),
        #[cfg(not(windows))]
        set0_default: function!(c"OSSL_LIB_CTX_set0_default" as SetDefault),
        get0_global_default: function!(c"OSSL_LIB_CTX_get0_global_default" as GetDefault),
        #[cfg(not(windows))]
        thread_stop: function!(c"OPENSSL_thread_stop" as Act),
    };
    Some((found, (!noticed).then_some(set0_default.address)))
}

/// Puts an error on the thread's queue, and remembers it.
#[cold]
pub(super) fn raise(reason: Reason) {
    let _ = LAST_ERROR.try_with(|last| last.set((LIBRARY as u32) << 23 | reason as u32));
    let Some(crypto) = look() else { return };
    // SAFETY: no preconditions.
    unsafe { (crypto.err_new)() };
    // SAFETY: NUL-terminated strings that live for ever.
    unsafe { (crypto.err_set_debug)(c"siding".as_ptr(), 0, c"ASYNC".as_ptr()) };
    let says = match reason {
        Reason::Unsupported => {
            c"a hardware shadow stack, no C++ runtime, or not on this system".as_ptr()
        }
        _ => ptr::null(),
    };
    // SAFETY: no format, or one that reads no further arguments.
    unsafe { (crypto.err_set_error)(LIBRARY, reason as c_int, says) };
}

/// The last error raised on this thread, 0 if there was none; clears it.
pub(super) fn take_last_error() -> u32 {
    LAST_ERROR.try_with(Cell::take).unwrap_or(0)
}

/// Runs `f` and takes what it has added to the error queue off again.
pub(super) fn without_errors<T>(f: impl FnOnce() -> T) -> T {
    let last = take_last_error();
    let value = without_queued(f);
    let _ = LAST_ERROR.try_with(|error| error.set(last));
    value
}

fn without_queued<T>(f: impl FnOnce() -> T) -> T {
    let Some(crypto) = look() else { return f() };
    // A mark is set on the newest entry: on an empty queue it fails.
    // SAFETY: no preconditions.
    let marked = unsafe { (crypto.err_set_mark)() } == 1;
    let value = f();
    if marked {
        // SAFETY: no preconditions.
        unsafe { (crypto.err_pop_to_mark)() };
    } else {
        // SAFETY: no preconditions.
        unsafe { (crypto.err_clear_error)() };
    }
    value
}

/// The thread's default library context; null while contexts do not follow jobs.
#[inline(always)]
pub(super) fn default_ctx() -> *mut c_void {
    match following() {
        None => ptr::null_mut(),
        // SAFETY: NULL only asks.
        Some(set) => unsafe { set(ptr::null_mut()) },
    }
}

/// Makes `ctx`, or if it is null the global one, the thread's default; returns the one
/// before. Does nothing while contexts do not follow jobs.
#[inline(always)]
pub(super) fn swap_default_ctx(ctx: *mut c_void) -> *mut c_void {
    match following() {
        None => ptr::null_mut(),
        Some(set) => swap(set, ctx),
    }
}

fn swap(set: SetDefault, ctx: *mut c_void) -> *mut c_void {
    // SAFETY: a context that was the default before, or the global one.
    unsafe { set(if ctx.is_null() { global_ctx() } else { ctx }) }
}

/// As [`swap_default_ctx`] at a resume, where failing is an error.
#[inline(always)]
pub(super) fn enter_default_ctx(ctx: *mut c_void) -> Result<*mut c_void, ()> {
    let Some(set) = following() else { return Ok(ptr::null_mut()) };
    let before = swap(set, ctx);
    if before.is_null() { Err(()) } else { Ok(before) }
}

/// Whether default contexts follow the jobs. Once they do they always do; so a job that
/// carries none was packed before, by a caller with the global one.
#[inline(always)]
pub(super) fn follows() -> bool {
    following().is_some()
}

#[inline(always)]
fn following() -> Option<SetDefault> {
    // SAFETY: null is `None`; otherwise the function, whose type this is.
    unsafe { mem::transmute::<*mut c_void, Option<SetDefault>>(FOLLOW.load(Ordering::Relaxed)) }
}

fn global_ctx() -> *mut c_void {
    // SAFETY: no preconditions.
    functions().map_or(ptr::null_mut(), |crypto| unsafe { (crypto.get0_global_default)() })
}

/// libcrypto's own `OSSL_LIB_CTX_set0_default`; notices the first default context that is not
/// the global one: until then jobs need not carry any.
///
/// # Safety
/// As OSSL_LIB_CTX_set0_default(3): NULL or a context.
#[cfg(not(windows))]
pub(super) unsafe fn set0_default(ctx: *mut c_void) -> *mut c_void {
    let Some(crypto) = look() else { return ptr::null_mut() };
    if !ctx.is_null() && ctx != global_ctx() {
        FOLLOW.store(crypto.set0_default as *mut c_void, Ordering::Relaxed);
    }
    // SAFETY: by this function's contract.
    unsafe { (crypto.set0_default)(ctx) }
}

/// libcrypto's own `OPENSSL_thread_stop`.
#[cfg(not(windows))]
pub(super) fn thread_stop() {
    if let Some(crypto) = look() {
        // SAFETY: no preconditions.
        unsafe { (crypto.thread_stop)() };
    }
}

/// A caller inside a libcrypto means that library's own jobs: its function of this name.
pub(super) fn callers_own(caller: *const c_void, name: &CStr) -> Option<*mut c_void> {
    let file = sys::file_of(caller)?;
    let base = file.to_bytes().rsplit(|byte| *byte == b'/').next()?;
    if base.starts_with(b"libcrypto.so") { sys::symbol_of(file, name) } else { None }
}
