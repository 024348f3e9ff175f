//! The shared objects of the process, as ELF describes them.

use std::ffi::{c_int, c_void};
use std::ptr;

#[cfg(target_pointer_width = "32")]
use libc::Elf32_Phdr as Phdr;
#[cfg(target_pointer_width = "64")]
use libc::Elf64_Phdr as Phdr;

/// How many objects this process has ever loaded: as long as it stays the same, nothing
/// is to be found that was not there before.
#[cfg(not(target_os = "openbsd"))]
pub(crate) fn loads() -> u64 {
    let mut loads = 0;
    each_object(|object| {
        loads = object.dlpi_adds;
        true
    });
    loads
}

/// OpenBSD does not count: there may always be something new.
#[cfg(target_os = "openbsd")]
pub(crate) fn loads() -> u64 {
    static ASKED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    ASKED.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
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
