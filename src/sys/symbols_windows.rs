//! Other modules of the process, as PE has them: references name the module that they are bound
//! to, so siding is in nobody's way, and is called only by who means it.

use std::ffi::{CStr, c_void};
use std::ptr;

use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExA, GetProcAddress,
};

use super::keep_errno;

/// What a module exports under a name.
#[derive(Clone, Copy)]
pub(crate) struct Symbol {
    pub(crate) address: *mut c_void,
    /// Whether others are bound to it in the order of loading: never.
    pub(crate) global: bool,
}

/// A function of this name in one of the modules that siding knows, if it is loaded: a
/// libcrypto, or a C++ runtime. Not what was linked into the program.
pub(crate) fn symbol(name: &CStr) -> Option<Symbol> {
    const FILES: [&CStr; 4] =
        [c"libcrypto-3-x64.dll", c"libcrypto-4-x64.dll", c"libstdc++-6.dll", c"libc++.dll"];
    FILES.into_iter().find_map(|file| {
        let address = symbol_of(file, name)?;
        Some(Symbol { address, global: false })
    })
}

/// The function of this name that the loaded module `file` exports. It stays loaded then.
pub(crate) fn symbol_of(file: &CStr, name: &CStr) -> Option<*mut c_void> {
    keep_errno(|| {
        let (mut module, flags) = (ptr::null_mut(), GET_MODULE_HANDLE_EX_FLAG_PIN);
        // SAFETY: a NUL-terminated name, and a place for the answer.
        let found = unsafe { GetModuleHandleExA(flags, file.as_ptr().cast(), &mut module) };
        if found == 0 {
            return None;
        }
        // SAFETY: a module that stays, and a NUL-terminated name.
        let address = unsafe { GetProcAddress(module, name.as_ptr().cast()) }?;
        Some(address as *mut c_void)
    })
}

/// Nobody's references are.
pub(crate) fn is_bound_to_us(_: &CStr) -> bool {
    false
}

/// The module that `address` lies in: not asked, since libcrypto's calls reach libcrypto.
pub(crate) fn file_of(_: *const c_void) -> Option<&'static CStr> {
    None
}
