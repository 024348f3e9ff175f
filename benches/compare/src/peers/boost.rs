//! Boost.Context: `fcontext`, what its `fiber` and `continuation` are made of, on its
//! `protected_fixedsize_stack`.

use std::cell::Cell;
use std::ffi::c_void;
use std::io;
use std::ptr;

use crate::peer::{Body, Peer, STACK};

#[repr(C)]
struct Transfer {
    from: *mut c_void,
    data: *mut c_void,
}

unsafe extern "C" {
    fn jump_fcontext(to: *mut c_void, data: *mut c_void) -> Transfer;
    fn make_fcontext(
        top: *mut c_void,
        size: usize,
        entry: unsafe extern "C" fn(Transfer),
    ) -> *mut c_void;
    fn siding_peer_boost_allocate(size: *mut usize) -> *mut c_void;
    fn siding_peer_boost_deallocate(top: *mut c_void, size: usize);
}

pub struct Boost {
    context: *mut c_void,
    stack: BoostStack,
}

struct BoostStack {
    top: *mut c_void,
    size: usize,
}

impl BoostStack {
    fn new() -> io::Result<Self> {
        let mut size = STACK;
        // SAFETY: the size is read and written.
        let top = unsafe { siding_peer_boost_allocate(&raw mut size) };
        if top.is_null() { Err(io::Error::last_os_error()) } else { Ok(BoostStack { top, size }) }
    }
}

impl Drop for BoostStack {
    fn drop(&mut self) {
        // SAFETY: allocated with that size, and its job has finished.
        unsafe { siding_peer_boost_deallocate(self.top, self.size) };
    }
}

/// The first transfer's data are the body and its first value.
unsafe extern "C" fn entry(transfer: Transfer) {
    // SAFETY: `on` passes these, and they live until it is jumped back to.
    let (body, value) = unsafe { transfer.data.cast::<(Body<Boost>, usize)>().read() };
    let resumer = Cell::new(transfer.from);
    let value = body(&resumer, value);
    // SAFETY: the resumer waits there; a finished job is not resumed.
    unsafe { jump_fcontext(resumer.get(), value as *mut c_void) };
}

impl Boost {
    fn on(stack: BoostStack, body: Body<Self>, value: usize) -> io::Result<Self> {
        let mut first = (body, value);
        // SAFETY: a stack of that size on which nothing runs.
        let context = unsafe { make_fcontext(stack.top, stack.size, entry) };
        // SAFETY: just made.
        let back = unsafe { jump_fcontext(context, ptr::from_mut(&mut first).cast()) };
        Ok(Boost { context: back.from, stack })
    }
}

impl Peer for Boost {
    const NAME: &'static str = "Boost.Context";
    type Inside = Cell<*mut c_void>;

    fn start(body: Body<Self>, value: usize) -> io::Result<Self> {
        Self::on(BoostStack::new()?, body, value)
    }

    fn recycle(self, body: Body<Self>, value: usize) -> io::Result<Self> {
        Self::on(self.stack, body, value)
    }

    #[inline(always)]
    fn resume(&mut self, value: usize) -> usize {
        // SAFETY: the job paused there, and has not been resumed since.
        let back = unsafe { jump_fcontext(self.context, value as *mut c_void) };
        self.context = back.from;
        back.data as usize
    }

    #[inline(always)]
    fn pause(inside: &Self::Inside, value: usize) -> usize {
        // SAFETY: the resumer waits there.
        let back = unsafe { jump_fcontext(inside.get(), value as *mut c_void) };
        inside.set(back.from);
        back.data as usize
    }
}
