//! Stack memory by C's own functions: ASYNC_set_mem_functions(3).
//!
//! # Safety
//!
//! What the functions return is used as they promise; each stack remembers the `free`
//! that belongs to it.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard};

use super::core::Core;
use crate::context::Context;
use crate::stack::{GuardedStack, PooledStack, Stack, StackConfig, StackError};

/// Allocates a stack of about `*num` bytes, stores its real size, returns its bottom.
pub(crate) type Alloc = unsafe extern "C" fn(num: *mut usize) -> *mut c_void;
/// Frees what its `Alloc` has returned.
pub(crate) type Free = unsafe extern "C" fn(addr: *mut c_void);

struct Functions {
    alloc: Alloc,
    free: Free,
    /// Somebody has replaced one of them.
    custom: bool,
    /// A stack of the default size has been made: they stay as they are.
    sealed: bool,
}

static FUNCTIONS: Mutex<Functions> =
    Mutex::new(Functions { alloc: siding_alloc, free: siding_free, custom: false, sealed: false });

fn functions() -> MutexGuard<'static, Functions> {
    FUNCTIONS.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// Both locks.
pub(super) fn hold() -> impl Sized + 'static {
    (functions(), own())
}

/// Replaces those that are given; false once a stack has been made.
///
/// # Safety
/// They keep the promises of their types.
pub(crate) unsafe fn set(alloc: Option<Alloc>, free: Option<Free>) -> bool {
    let mut functions = functions();
    if functions.sealed {
        return false;
    }
    functions.custom |= alloc.is_some() || free.is_some();
    functions.alloc = alloc.unwrap_or(functions.alloc);
    functions.free = free.unwrap_or(functions.free);
    true
}

/// The present pair.
pub(crate) fn get() -> (Alloc, Free) {
    let functions = functions();
    (functions.alloc, functions.free)
}

/// A context on a stack from wherever stacks come from.
pub(super) fn context(config: StackConfig, core: Core) -> Result<Context<Core>, StackError> {
    let pooled = |core| Context::new(PooledStack::new(config)?, core);
    if config != StackConfig::DEFAULT {
        return pooled(core);
    }
    let (alloc, free) = {
        let mut functions = functions();
        functions.sealed = true;
        if !functions.custom {
            drop(functions);
            return pooled(core);
        }
        (functions.alloc, functions.free)
    };
    let mut size = config.size;
    // SAFETY: as `set` was promised.
    let bottom = NonNull::new(unsafe { alloc(&mut size) }.cast::<u8>());
    let bottom = bottom.ok_or(()).map_err(StackError::no_memory)?;
    Context::new(Foreign { bottom, size, free }, core)
}

/// A stack that C allocated.
struct Foreign {
    bottom: NonNull<u8>,
    size: usize,
    free: Free,
}

// SAFETY: the memory is the caller's, who keeps it for this stack alone until it is freed,
// and answers for overflows (ASYNC_set_mem_functions(3)).
unsafe impl Stack for Foreign {
    fn top(&self) -> *mut u8 {
        self.bottom.as_ptr().wrapping_add(self.size)
    }

    fn bottom(&self) -> *mut u8 {
        self.bottom.as_ptr()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // SAFETY: allocated by the function that goes with it, and freed once.
        unsafe { (self.free)(self.bottom.as_ptr().cast()) };
    }
}

/// Stacks handed out by `siding_alloc`, by their bottoms.
static OWN: Mutex<Option<HashMap<usize, GuardedStack>>> = Mutex::new(None);

fn own() -> MutexGuard<'static, Option<HashMap<usize, GuardedStack>>> {
    OWN.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// The `Alloc` there is until it is replaced; a replacement may call it.
unsafe extern "C" fn siding_alloc(num: *mut usize) -> *mut c_void {
    // SAFETY: as the caller promises; NULL is refused.
    let Some(num) = (unsafe { num.as_mut() }) else { return ptr::null_mut() };
    let Ok(stack) = GuardedStack::new(StackConfig::with_size(*num)) else {
        return ptr::null_mut();
    };
    *num = stack.size();
    let bottom = stack.bottom();
    let mut own = own();
    let own = own.get_or_insert_default();
    if own.try_reserve(1).is_err() {
        return ptr::null_mut();
    }
    own.insert(bottom.addr(), stack);
    bottom.cast()
}

/// The `Free` there is until it is replaced. NULL, and what is not from `siding_alloc`, is
/// left alone.
unsafe extern "C" fn siding_free(addr: *mut c_void) {
    let mut own = own();
    let stack = own.as_mut().and_then(|own| own.remove(&addr.addr()));
    drop(own);
    drop(stack);
}
