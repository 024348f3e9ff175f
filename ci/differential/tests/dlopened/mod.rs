//! An implementation loaded for itself: this program is linked to none, so each finds its
//! own functions.

use std::ffi::{CStr, CString, c_int, c_void};
use std::mem;

pub type Function = unsafe extern "C" fn(*mut c_void) -> c_int;
pub type Cleanup = unsafe extern "C" fn(*mut c_void, *const c_void, c_int, *mut c_void);

macro_rules! functions {
    ($($name:ident = $symbol:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions. Not unsafe, for the sake of readable tests: those promise to
        /// pass what the functions expect.
        #[allow(dead_code, reason = "each program uses its own part")]
        pub struct Api {
            $(pub $name: extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Api {
            pub fn load(library: &str) -> Api {
                let library = open(library);
                $(
                    // SAFETY: it has had this type since OpenSSL 3.0, for arguments as promised.
                    let $name = unsafe {
                        mem::transmute::<
                            *mut c_void,
                            extern "C" fn($($argument),*) $(-> $result)?,
                        >(find(library, $symbol))
                    };
                )*
                Api { $($name,)* }
            }
        }
    };
}

functions! {
    start_job = c"ASYNC_start_job": fn(*mut *mut c_void, *mut c_void, *mut c_int, Function, *const c_void, usize) -> c_int;
    pause_job = c"ASYNC_pause_job": fn() -> c_int;
    get_current_job = c"ASYNC_get_current_job": fn() -> *mut c_void;
    get_wait_ctx = c"ASYNC_get_wait_ctx": fn(*mut c_void) -> *mut c_void;
    block_pause = c"ASYNC_block_pause": fn();
    unblock_pause = c"ASYNC_unblock_pause": fn();
    wait_ctx_new = c"ASYNC_WAIT_CTX_new": fn() -> *mut c_void;
    wait_ctx_free = c"ASYNC_WAIT_CTX_free": fn(*mut c_void);
    wait_ctx_set_wait_fd = c"ASYNC_WAIT_CTX_set_wait_fd": fn(*mut c_void, usize, c_int, usize, Option<Cleanup>) -> c_int;
    wait_ctx_get_fd = c"ASYNC_WAIT_CTX_get_fd": fn(*mut c_void, usize, *mut c_int, *mut usize) -> c_int;
    wait_ctx_get_all_fds = c"ASYNC_WAIT_CTX_get_all_fds": fn(*mut c_void, *mut c_int, *mut usize) -> c_int;
    wait_ctx_get_changed_fds = c"ASYNC_WAIT_CTX_get_changed_fds": fn(*mut c_void, *mut c_int, *mut usize, *mut c_int, *mut usize) -> c_int;
    wait_ctx_clear_fd = c"ASYNC_WAIT_CTX_clear_fd": fn(*mut c_void, usize) -> c_int;
    wait_ctx_set_callback = c"ASYNC_WAIT_CTX_set_callback": fn(*mut c_void, Option<Function>, usize) -> c_int;
    wait_ctx_get_callback = c"ASYNC_WAIT_CTX_get_callback": fn(*mut c_void, *mut Option<Function>, *mut usize) -> c_int;
    wait_ctx_set_status = c"ASYNC_WAIT_CTX_set_status": fn(*mut c_void, c_int) -> c_int;
    wait_ctx_get_status = c"ASYNC_WAIT_CTX_get_status": fn(*mut c_void) -> c_int;
}

/// The path of libsiding.so.
pub fn siding() -> String {
    std::env::var("SIDING_LIBRARY").expect("run by ci/differential.sh")
}

pub fn open(library: &str) -> *mut c_void {
    let name = CString::new(library).unwrap();
    // SAFETY: a NUL-terminated name of a library that may be loaded.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    assert!(!handle.is_null(), "cannot load {library}");
    handle
}

pub fn find(library: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: a library that is loaded, and a NUL-terminated name.
    let address = unsafe { libc::dlsym(library, name.as_ptr()) };
    assert!(!address.is_null(), "no {name:?}");
    address
}
