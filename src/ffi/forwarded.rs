//! Functions of libcrypto's that siding exports in front of it, and passes on. Not on Windows,
//! where nothing comes between a DLL and its functions, and nothing can be weak: a program that
//! contains a libcrypto would lose its own.

use std::ffi::c_void;

use super::{guarded, libcrypto};
use crate::job;

/// To notice the first default context that is not the global one.
///
/// # Safety
/// As OSSL_LIB_CTX_set0_default(3): NULL or a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn OSSL_LIB_CTX_set0_default(ctx: *mut c_void) -> *mut c_void {
    // SAFETY: by this function's contract.
    unsafe { libcrypto::set0_default(ctx) }
}

/// What a thread that calls it gives up at once includes its jobs' pool, as in OpenSSL.
#[unsafe(no_mangle)]
pub extern "C" fn OPENSSL_thread_stop() {
    guarded((), || {
        job::cleanup_thread();
        libcrypto::thread_stop();
    });
}
