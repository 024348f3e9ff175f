//! Other shared objects of the process: what they define, and how they were linked.

use std::ffi::{CStr, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

#[cfg(target_pointer_width = "32")]
use libc::Elf32_Phdr as Phdr;
#[cfg(target_pointer_width = "64")]
use libc::Elf64_Phdr as Phdr;

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
    [c"libcrypto.so.3", c"libcrypto.so.4"].into_iter().find_map(|file| {
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

/// How many objects this process has ever loaded: as long as it stays the same, nothing
/// is to be found that was not there before.
pub(crate) fn loads() -> u64 {
    let mut loads = 0;
    each_object(|object| {
        loads = object.dlpi_adds;
        true
    });
    loads
}

/// Whether the object that `address` lies in binds its references to itself first
/// (`-Bsymbolic`), so that nothing can come between.
pub(crate) fn is_symbolic(address: *const c_void) -> bool {
    let mut symbolic = false;
    each_object(|object| {
        let headers = headers_of(object);
        let loaded = |header: &&Phdr| {
            let start = start_of(object, header);
            header.p_type == libc::PT_LOAD
                && address.addr().wrapping_sub(start) < header.p_memsz as usize
        };
        let found = headers.iter().any(|header| loaded(&header));
        if found {
            let dynamic = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC);
            symbolic = dynamic.is_some_and(|header| says_symbolic(start_of(object, header)));
        }
        found
    });
    symbolic
}

fn headers_of(object: &libc::dl_phdr_info) -> &[Phdr] {
    if object.dlpi_phdr.is_null() {
        return &[];
    }
    // SAFETY: the loader's description of an object that is loaded.
    unsafe { std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)) }
}

/// Where a part of an object lies.
fn start_of(object: &libc::dl_phdr_info, header: &Phdr) -> usize {
    (object.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize)
}

/// Looks for DT_SYMBOLIC, or DF_SYMBOLIC among the flags, in a dynamic section.
fn says_symbolic(section: usize) -> bool {
    const DT_NULL: usize = 0;
    const DT_SYMBOLIC: usize = 16;
    const DT_FLAGS: usize = 30;
    const DF_SYMBOLIC: usize = 2;
    let mut entry = ptr::with_exposed_provenance::<[usize; 2]>(section);
    loop {
        // SAFETY: the dynamic section of a loaded object is mapped, and ends with DT_NULL.
        let [tag, value] = unsafe { entry.read() };
        match tag {
            DT_NULL => return false,
            DT_SYMBOLIC => return true,
            DT_FLAGS if value & DF_SYMBOLIC != 0 => return true,
            _ => entry = entry.wrapping_add(1),
        }
    }
}

/// Shows the loaded objects until `see` has seen enough.
fn each_object<F: FnMut(&libc::dl_phdr_info) -> bool>(mut see: F) {
    unsafe extern "C" fn call<F: FnMut(&libc::dl_phdr_info) -> bool>(
        object: *mut libc::dl_phdr_info,
        _: usize,
        see: *mut c_void,
    ) -> c_int {
        // SAFETY: the closure of the call below.
        let see = unsafe { &mut *see.cast::<F>() };
        // SAFETY: valid for this call.
        c_int::from(see(unsafe { &*object }))
    }
    // SAFETY: `call` gets the closure it casts to.
    unsafe { libc::dl_iterate_phdr(Some(call::<F>), (&raw mut see).cast()) };
}

/// The exceptions of one thread as the C++ runtime keeps them (`__cxa_eh_globals` in the
/// Itanium C++ ABI, 2.2.2): those being handled, and how many are on their way.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct CxxGlobals {
    caught: usize,
    uncaught: libc::c_uint,
}

type GetGlobals = unsafe extern "C" fn() -> *mut CxxGlobals;

fn get_cxx_globals() -> Option<GetGlobals> {
    static FOUND: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    let mut found = FOUND.load(Ordering::Relaxed);
    if found.is_null() {
        found = symbol(c"__cxa_get_globals")?.address;
        FOUND.store(found, Ordering::Relaxed);
    }
    // SAFETY: the function of this name has this type in every C++ runtime of that ABI.
    Some(unsafe { std::mem::transmute::<*mut c_void, GetGlobals>(found) })
}

/// Whether there is a C++ runtime.
pub(crate) fn has_cxx_globals() -> bool {
    get_cxx_globals().is_some()
}

/// Puts `theirs` in the place of this thread's, which are returned. Without a C++ runtime
/// there is nothing to exchange.
pub(crate) fn exchange_cxx_globals(theirs: CxxGlobals) -> CxxGlobals {
    let Some(get) = get_cxx_globals() else { return theirs };
    // SAFETY: no preconditions.
    let globals = unsafe { get() };
    // SAFETY: this thread's own, which nobody uses during a switch.
    unsafe { globals.replace(theirs) }
}
