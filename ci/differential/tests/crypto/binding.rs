//! Who gets the calls.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;

use crate::api::{ASYNC_pause_job, ASYNC_start_job};

unsafe extern "C" {
    safe fn OpenSSL_version(what: c_int) -> *const c_char;
}

/// The functions there are since OpenSSL 3.0.
const NAMES: [&CStr; 20] = [
    c"ASYNC_is_capable",
    c"ASYNC_init_thread",
    c"ASYNC_cleanup_thread",
    c"ASYNC_start_job",
    c"ASYNC_pause_job",
    c"ASYNC_get_current_job",
    c"ASYNC_get_wait_ctx",
    c"ASYNC_block_pause",
    c"ASYNC_unblock_pause",
    c"ASYNC_WAIT_CTX_new",
    c"ASYNC_WAIT_CTX_free",
    c"ASYNC_WAIT_CTX_set_wait_fd",
    c"ASYNC_WAIT_CTX_get_fd",
    c"ASYNC_WAIT_CTX_get_all_fds",
    c"ASYNC_WAIT_CTX_get_changed_fds",
    c"ASYNC_WAIT_CTX_clear_fd",
    c"ASYNC_WAIT_CTX_set_callback",
    c"ASYNC_WAIT_CTX_get_callback",
    c"ASYNC_WAIT_CTX_set_status",
    c"ASYNC_WAIT_CTX_get_status",
];

/// The file in which a function lies.
fn library_of(address: *const c_void) -> String {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: an address, and a place to write to.
    let found: c_int = unsafe { libc::dladdr(address, info.as_mut_ptr()) };
    assert_ne!(found, 0);
    // SAFETY: it was found.
    let info = unsafe { info.assume_init() };
    // SAFETY: the name of a library that is loaded.
    unsafe { CStr::from_ptr(info.dli_fname) }.to_str().unwrap().to_owned()
}

#[test]
fn the_calls_go_where_they_should() {
    // SAFETY: a text of libcrypto's.
    println!("{}", unsafe { CStr::from_ptr(OpenSSL_version(0)) }.to_str().unwrap());
    let expected = std::env::var("EXPECT_LIBRARY").expect("run by ci/differential.sh");
    for name in NAMES {
        // SAFETY: a NUL-terminated name.
        let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        assert!(library_of(address).contains(&expected), "{name:?}: {}", library_of(address));
    }
    // And as this program is bound, not only as it would look them up.
    for address in [ASYNC_start_job as *const c_void, ASYNC_pause_job as *const c_void] {
        assert!(library_of(address).contains(&expected), "{}", library_of(address));
    }
}
