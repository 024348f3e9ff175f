//! glibc's swapcontext, on stacks mapped by hand and guarded by mprotect.

use std::io;
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{c_void, ucontext_t};

use crate::peer::{Body, Peer, STACK};

const GUARD: usize = 4 << 10;

pub struct Swapcontext(Box<Contexts>);

pub struct Contexts {
    job: MaybeUninit<ucontext_t>,
    resumer: MaybeUninit<ucontext_t>,
    body: Body<Swapcontext>,
    word: usize,
    stack: Mapping,
}

struct Mapping(*mut c_void);

impl Mapping {
    fn new() -> io::Result<Self> {
        let (size, flags) = (GUARD + STACK, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a mapping of its own, wherever there is room.
        let at = unsafe {
            libc::mmap(ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mapping = Mapping(at);
        // SAFETY: the first page of what was just mapped.
        match unsafe { libc::mprotect(at, GUARD, libc::PROT_NONE) } {
            0 => Ok(mapping),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped with that size, and the job on it has finished.
        unsafe { libc::munmap(self.0, GUARD + STACK) };
    }
}

/// makecontext passes `int`s only.
static STARTING: AtomicPtr<Contexts> = AtomicPtr::new(ptr::null_mut());

extern "C" fn entry() {
    let contexts = STARTING.load(Ordering::Relaxed);
    // SAFETY: `on` has just put it there, and its box outlives the job.
    let body = unsafe { (*contexts).body };
    // SAFETY: as above.
    let value = body(&contexts, unsafe { (*contexts).word });
    // SAFETY: as above.
    unsafe { (*contexts).word = value };
    // Returning goes on with the resumer's context.
}

impl Swapcontext {
    fn on(mut contexts: Box<Contexts>, body: Body<Self>, value: usize) -> io::Result<Self> {
        contexts.body = body;
        let job = contexts.job.as_mut_ptr();
        // SAFETY: a context to be filled in.
        if unsafe { libc::getcontext(job) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: filled in just now.
        let context = unsafe { &mut *job };
        context.uc_stack.ss_sp = contexts.stack.0.wrapping_byte_add(GUARD);
        context.uc_stack.ss_size = STACK;
        context.uc_link = contexts.resumer.as_mut_ptr();
        // SAFETY: a context with a stack and a successor; the function takes no arguments.
        unsafe { libc::makecontext(job, entry, 0) };
        STARTING.store(&raw mut *contexts, Ordering::Relaxed);
        let mut job = Swapcontext(contexts);
        job.resume(value);
        Ok(job)
    }
}

impl Peer for Swapcontext {
    const NAME: &'static str = "swapcontext";
    type Inside = *mut Contexts;

    fn start(body: Body<Self>, value: usize) -> io::Result<Self> {
        let (job, resumer) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        let stack = Mapping::new()?;
        Self::on(Box::new(Contexts { job, resumer, body, word: 0, stack }), body, value)
    }

    fn recycle(self, body: Body<Self>, value: usize) -> io::Result<Self> {
        Self::on(self.0, body, value)
    }

    #[inline(always)]
    fn resume(&mut self, value: usize) -> usize {
        let contexts = &raw mut *self.0;
        // SAFETY: the job paused in that context; both contexts and the word live in the box.
        unsafe { switch(contexts, value, true) }
    }

    #[inline(always)]
    fn pause(inside: &Self::Inside, value: usize) -> usize {
        // SAFETY: the resumer waits in its context.
        unsafe { switch(*inside, value, false) }
    }
}

/// # Safety
/// The context that is entered was saved by the other direction's switch, or made.
#[inline(always)]
unsafe fn switch(contexts: *mut Contexts, value: usize, to_job: bool) -> usize {
    // SAFETY: the caller's promise: a live box.
    let word = unsafe { &raw mut (*contexts).word };
    // SAFETY: as above.
    let job = unsafe { (&raw mut (*contexts).job).cast::<ucontext_t>() };
    // SAFETY: as above.
    let resumer = unsafe { (&raw mut (*contexts).resumer).cast::<ucontext_t>() };
    let (mut save, mut enter) = (resumer, job);
    if !to_job {
        mem::swap(&mut save, &mut enter);
    }
    // SAFETY: nobody else uses the word meanwhile.
    unsafe { word.write(value) };
    // SAFETY: the caller's promise.
    unsafe { libc::swapcontext(save, enter) };
    // SAFETY: as above; the other side has written it.
    unsafe { word.read() }
}
