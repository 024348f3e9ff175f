//! What siding needs of a libcrypto, if one is there: its error queue and its default
//! library context. Looked up by name, so the same library also works without.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::sys;

/// Errors by OpenSSL's numbers; those from 0x40000 on are not the ASYNC library's own and
/// carry its flag bits.
#[derive(Clone, Copy)]
pub(super) enum Reason {
    InvalidPoolSize = 103,
    Cancelled = 0x80109,
    MallocFailure = 0xC0100,
    PassedNull = 0xC0102,
    Internal = 0xC0103,
}

/// ERR_LIB_ASYNC.
const LIBRARY: c_int = 51;

type New = unsafe extern "C" fn();
type SetDebug = unsafe extern "C" fn(*const i8, c_int, *const i8);
type SetError = unsafe extern "C" fn(c_int, c_int, *const i8, ...);
type SetDefault = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

/// A function of libcrypto's, looked for until it is found: libcrypto may come later.
struct Function {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Function {
    const fn new(name: &'static CStr) -> Self {
        Function { name, address: AtomicPtr::new(ptr::null_mut()) }
    }

    fn find(&self) -> Option<*mut c_void> {
        let known = self.address.load(Ordering::Relaxed);
        if !known.is_null() {
            return Some(known);
        }
        let found = sys::symbol(self.name)?;
        self.address.store(found, Ordering::Relaxed);
        Some(found)
    }
}

/// Puts an error on the thread's queue.
#[cold]
pub(super) fn raise(reason: Reason) {
    static NEW: Function = Function::new(c"ERR_new");
    static SET_DEBUG: Function = Function::new(c"ERR_set_debug");
    static SET_ERROR: Function = Function::new(c"ERR_set_error");
    let (Some(new), Some(debug), Some(error)) = (NEW.find(), SET_DEBUG.find(), SET_ERROR.find())
    else {
        return;
    };
    // SAFETY: the functions of these names have had these types since OpenSSL 3.0.
    let new: New = unsafe { std::mem::transmute(new) };
    // SAFETY: as above.
    let debug: SetDebug = unsafe { std::mem::transmute(debug) };
    // SAFETY: as above.
    let error: SetError = unsafe { std::mem::transmute(error) };
    // SAFETY: no preconditions.
    unsafe { new() };
    // SAFETY: NUL-terminated strings that live for ever.
    unsafe { debug(c"siding".as_ptr().cast(), 0, c"ASYNC".as_ptr().cast()) };
    // SAFETY: without a format no further arguments are read.
    unsafe { error(LIBRARY, reason as c_int, ptr::null()) };
}

/// The caller's default library context; null without a libcrypto.
pub(super) fn default_ctx() -> *mut c_void {
    swap_default_ctx(ptr::null_mut())
}

/// Makes `ctx` the default and returns the one before. Null changes nothing.
pub(super) fn swap_default_ctx(ctx: *mut c_void) -> *mut c_void {
    static SET: Function = Function::new(c"OSSL_LIB_CTX_set0_default");
    let Some(set) = SET.find() else { return ptr::null_mut() };
    // SAFETY: the function of this name has had this type since OpenSSL 3.0.
    let set: SetDefault = unsafe { std::mem::transmute(set) };
    // SAFETY: null, or a context that was the default before.
    unsafe { set(ctx) }
}

/// As [`swap_default_ctx`] at a resume, where failing is an error.
pub(super) fn enter_default_ctx(ctx: *mut c_void) -> Result<*mut c_void, ()> {
    let before = swap_default_ctx(ctx);
    if before.is_null() && !ctx.is_null() { Err(()) } else { Ok(before) }
}
