//! The modules of the process, as Windows tells of them.

use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExA,
};

use super::keep_errno;

/// Never zero: that is for programs without a loader.
static LOADS: AtomicU64 = AtomicU64::new(1);

type Told = extern "system" fn(reason: u32, module: *const c_void, context: *mut c_void);

#[link(name = "ntdll")]
unsafe extern "system" {
    fn LdrRegisterDllNotification(
        flags: u32,
        told: Told,
        context: *mut c_void,
        cookie: *mut *mut c_void,
    ) -> i32;
}

/// Rises with each module that this process loads: as long as it stays the same, nothing is to
/// be found that was not there before.
pub(crate) fn loads() -> u64 {
    static COUNTS: OnceLock<bool> = OnceLock::new();
    if !*COUNTS.get_or_init(|| keep_errno(count)) {
        count_one(0, ptr::null(), ptr::null_mut());
    }
    LOADS.load(Relaxed)
}

/// Has the loader count from now on; whether it does.
fn count() -> bool {
    let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
    let (mut this, mut cookie) = (ptr::null_mut(), ptr::null_mut());
    // What is called must stay.
    // SAFETY: an address in this module, and a place for the answer.
    let pinned = unsafe { GetModuleHandleExA(flags, count as *const u8, &mut this) };
    pinned != 0
        // SAFETY: a function that may be called at any time, and a place for the answer.
        && unsafe { LdrRegisterDllNotification(0, count_one, ptr::null_mut(), &mut cookie) } == 0
}

extern "system" fn count_one(_: u32, _: *const c_void, _: *mut c_void) {
    LOADS.fetch_add(1, Relaxed);
}

/// References name the module that they are bound to.
pub(crate) fn is_symbolic(_: *const c_void) -> bool {
    true
}
