//! Functions that count what they hand out.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Mutex;

mod better;
mod keep;

pub type Alloc = unsafe extern "C" fn(num: *mut usize) -> *mut c_void;
pub type Free = unsafe extern "C" fn(addr: *mut c_void);

unsafe extern "C" {
    pub fn ASYNC_set_mem_functions(alloc: Option<Alloc>, free: Option<Free>) -> c_int;
    pub fn ASYNC_get_mem_functions(alloc: *mut Option<Alloc>, free: *mut Option<Free>);
}

pub struct Books {
    /// Addresses handed out and not returned.
    pub live: Vec<usize>,
    pub allocated: usize,
    /// Of these, returned.
    pub freed: usize,
    /// Calls of `free` with something else.
    pub wrong: usize,
    /// What alloc was asked for last.
    pub asked: usize,
    /// What it makes of that.
    pub give: usize,
    /// By how many bytes it misses an aligned address.
    pub skew: usize,
    /// How many stacks it has.
    pub left: usize,
}

pub static BOOKS: Mutex<Books> = Mutex::new(Books {
    live: Vec::new(),
    allocated: 0,
    freed: 0,
    wrong: 0,
    asked: 0,
    give: 256 << 10,
    skew: 0,
    left: usize::MAX,
});

pub unsafe extern "C" fn alloc(num: *mut usize) -> *mut c_void {
    let mut books = BOOKS.lock().unwrap();
    // SAFETY: siding gives a size.
    books.asked = unsafe { *num };
    // SAFETY: as above.
    unsafe { *num = books.give };
    if books.left == 0 {
        return ptr::null_mut();
    }
    books.left -= 1;
    books.allocated += 1;
    let size = books.give + books.skew;
    // SAFETY: no preconditions.
    let memory = unsafe { libc::malloc(size) };
    let bottom = memory.wrapping_byte_add(books.skew);
    books.live.push(bottom.addr());
    bottom
}

pub unsafe extern "C" fn free(addr: *mut c_void) {
    let mut books = BOOKS.lock().unwrap();
    let Some(at) = books.live.iter().position(|&live| live == addr.addr()) else {
        books.wrong += 1;
        return;
    };
    books.live.swap_remove(at);
    books.freed += 1;
    // SAFETY: from `alloc`, which has skewed it.
    unsafe { libc::free(addr.wrapping_byte_sub(books.skew)) };
}

pub fn set(alloc: Option<Alloc>, free: Option<Free>) -> c_int {
    // SAFETY: NULL, or functions that keep the promises.
    unsafe { ASYNC_set_mem_functions(alloc, free) }
}

/// The addresses of the present pair.
pub fn get() -> (usize, usize) {
    let (alloc, free) = present();
    (alloc as usize, free as usize)
}

pub fn present() -> (Alloc, Free) {
    let (mut alloc, mut free) = (None, None);
    // SAFETY: two places to write to.
    unsafe { ASYNC_get_mem_functions(&mut alloc, &mut free) };
    (alloc.unwrap(), free.unwrap())
}

/// Runs `test` in a child, with the counting functions set.
#[track_caller]
pub fn with_books(test: impl FnOnce()) {
    crate::common::passes(|| {
        assert_eq!(set(Some(alloc), Some(free)), 1);
        test();
        assert_eq!(BOOKS.lock().unwrap().wrong, 0);
    });
}
