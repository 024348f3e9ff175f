//! Other shared objects of the process: what they define, and how they were linked.

use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;

/// What the loader found for a name.
#[derive(Clone, Copy)]
pub(crate) struct Symbol {
    pub(crate) address: *mut c_void,
    /// References from all objects are bound to it, unless one of ours comes before.
    pub(crate) global: bool,
}

/// A function of this name outside of the object that siding is part of: one that the
/// program or its libraries have, or a libcrypto that was loaded for a plugin alone.
pub(crate) fn symbol(name: &CStr) -> Option<Symbol> {
    for handle in [libc::RTLD_DEFAULT, libc::RTLD_NEXT] {
        // SAFETY: a NUL-terminated name.
        let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
        if !address.is_null() && !is_ours(address) {
            return Some(Symbol { address, global: true });
        }
    }
    const FILES: [&CStr; 2] = if cfg!(target_vendor = "apple") {
        [c"libcrypto.3.dylib", c"libcrypto.4.dylib"]
    } else {
        [c"libcrypto.so.3", c"libcrypto.so.4"]
    };
    FILES.into_iter().find_map(|file| {
        let address = symbol_of(file, name)?;
        Some(Symbol { address, global: false })
    })
}

/// The function of this name that the loaded object `file` sees.
pub(crate) fn symbol_of(file: &CStr, name: &CStr) -> Option<*mut c_void> {
    // SAFETY: a NUL-terminated name; with RTLD_NOLOAD nothing is loaded or run.
    let object = unsafe { libc::dlopen(file.as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_NOW) };
    if object.is_null() {
        return None;
    }
    // The reference is kept: the address must stay good.
    // SAFETY: an object that is loaded, and a NUL-terminated name.
    let address = unsafe { libc::dlsym(object, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

/// Whether references to `name` from objects that look in the order of loading get ours.
pub(crate) fn is_bound_to_us(name: &CStr) -> bool {
    // SAFETY: a NUL-terminated name.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    !address.is_null() && is_ours(address)
}

/// The file of the object that `address` lies in.
pub(crate) fn file_of(address: *const c_void) -> Option<&'static CStr> {
    let name = object_of(address)?.dli_fname;
    // SAFETY: the loader's own string, which stays while the object is loaded; it is one
    // that is calling us.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })
}

fn is_ours(address: *const c_void) -> bool {
    let base = |address| object_of(address).map(|object| object.dli_fbase);
    base(address) == base(is_ours as *const c_void)
}

fn object_of(address: *const c_void) -> Option<libc::Dl_info> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: any address may be asked for; `info` is writable.
    let known = unsafe { libc::dladdr(address, info.as_mut_ptr()) };
    if known == 0 {
        return None;
    }
    // SAFETY: filled.
    Some(unsafe { info.assume_init() })
}
