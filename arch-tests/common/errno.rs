//! Where this thread's `errno` is: libcs have different names for it.

use std::ffi::c_int;

unsafe extern "C" {
    #[cfg_attr(target_os = "linux", link_name = "__errno_location")]
    #[cfg_attr(any(target_os = "android", target_os = "openbsd"), link_name = "__errno")]
    #[cfg_attr(any(target_os = "macos", target_os = "freebsd"), link_name = "__error")]
    #[cfg_attr(windows, link_name = "_errno")]
    safe fn location() -> *mut c_int;
}

pub fn errno() -> *mut c_int {
    location()
}
