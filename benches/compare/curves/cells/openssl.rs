//! OpenSSL's own jobs, by the libcrypto of this system if it has one.
#![allow(unsafe_code)]

use std::error::Error;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use super::super::measure;
use super::{begin, report};

type StartJob = unsafe extern "C" fn(
    *mut *mut c_void,
    *mut c_void,
    *mut c_int,
    unsafe extern "C" fn(*mut c_void) -> c_int,
    *mut c_void,
    usize,
) -> c_int;
type PauseJob = unsafe extern "C" fn() -> c_int;
type NewContext = unsafe extern "C" fn() -> *mut c_void;

const ASYNC_PAUSE: c_int = 2;

/// The jobs' argument is a pointer to this function, copied by OpenSSL.
unsafe extern "C" fn pauses(pause: *mut c_void) -> c_int {
    // SAFETY: OpenSSL copies the argument below, and keeps it for the job.
    let pause = unsafe { pause.cast::<PauseJob>().read() };
    loop {
        // SAFETY: no preconditions.
        unsafe { pause() };
    }
}

fn symbol(library: *mut c_void, name: &CStr) -> Result<*mut c_void, Box<dyn Error>> {
    // SAFETY: a loaded library and a NUL-terminated name.
    let address = unsafe { libc::dlsym(library, name.as_ptr()) };
    if address.is_null() { Err(format!("{name:?} is missing").into()) } else { Ok(address) }
}

pub fn jobs(jobs: usize) -> Result<(), Box<dyn Error>> {
    // SAFETY: a NUL-terminated name of a library made for being loaded.
    let library = unsafe { libc::dlopen(c"libcrypto.so.3".as_ptr(), libc::RTLD_NOW) };
    if library.is_null() {
        return Err("there is no libcrypto.so.3".into());
    }
    // SAFETY: the type is that of <openssl/async.h>.
    let start: StartJob = unsafe { std::mem::transmute(symbol(library, c"ASYNC_start_job")?) };
    // SAFETY: as above.
    let pause: PauseJob = unsafe { std::mem::transmute(symbol(library, c"ASYNC_pause_job")?) };
    // SAFETY: as above.
    let new: NewContext = unsafe { std::mem::transmute(symbol(library, c"ASYNC_WAIT_CTX_new")?) };
    // SAFETY: no preconditions. One for all of them: they need none.
    let context = unsafe { new() };
    let go = |job: &mut *mut c_void| {
        let mut answer = 0;
        let argument = (&raw const pause).cast_mut().cast();
        // SAFETY: a job of its own, or null for a new one; the argument is copied.
        unsafe { start(job, context, &mut answer, pauses, argument, size_of::<PauseJob>()) }
    };
    go(&mut ptr::null_mut());
    let mut all = vec![ptr::null_mut(); jobs];
    begin();
    for job in &mut all {
        if go(job) != ASYNC_PAUSE {
            return Err("ASYNC_start_job fails".into());
        }
    }
    measure::shuffle(&mut all);
    report(jobs, || {
        for job in &mut all {
            go(job);
        }
    });
    Ok(())
}
