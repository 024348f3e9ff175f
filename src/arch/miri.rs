//! Miri interprets no assembly: under it each context is a thread of its own, and a switch
//! hands the baton to another thread and waits to get it back. No two run at a time.
//!
//! In a record only two words count: `pc` tells whether it is fresh, and `sp` where its
//! side waits. What crosses, and who lands where, is as on a real machine, and so is
//! everything above this module. But what std keeps for each thread is now kept for each
//! context: whether it is panicking, and thread-locals, of which those of this crate follow
//! the thread that the context belongs to (`src/local.rs`).

use std::cell::Cell;
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::{Entry, Landed, Link, Word, Words, stub};
use crate::local;

pub(crate) const STACK_ALIGN: usize = 16;

/// As everybody sees it.
pub(crate) const OUTER: usize = size_of::<super::Record>();

/// Where one side of a link waits for whoever lands there.
#[derive(Default)]
struct Landing {
    arrived: Mutex<Option<Message>>,
    changed: Condvar,
}

struct Message {
    landed: Landed,
    /// The thread of the context that begins or ends with this.
    thread: Option<JoinHandle<()>>,
}

// SAFETY: what crosses belongs to both sides, of which only one runs.
unsafe impl Send for Message {}

std::thread_local! {
    /// A place on the stack that this thread stands for, or 0 if that is its own.
    static STACK: Cell<usize> = const { Cell::new(0) };
}

impl Landing {
    fn put(&self, message: Message) {
        *self.arrived.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
        self.changed.notify_one();
    }

    fn wait(&self) -> Message {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(message) = arrived.take() {
                return message;
            }
            arrived = self.changed.wait(arrived).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// As what a record names.
    fn name(self: &Arc<Self>) -> usize {
        Arc::into_raw(Arc::clone(self)).expose_provenance()
    }

    /// # Safety
    /// Named by `name`, and not used since.
    unsafe fn named(name: usize) -> Arc<Self> {
        // SAFETY: by this function's contract.
        unsafe { Arc::from_raw(ptr::with_exposed_provenance(name)) }
    }
}

/// # Safety
/// As on x86_64.
pub(crate) unsafe fn resume(link: *mut Link, word: Word, tag: usize) -> Landed {
    let landing = Arc::new(Landing::default());
    // SAFETY: the resumer's side of a link that does not run.
    unsafe { (*link).outer.sp = landing.name() };
    // SAFETY: by this function's contract.
    unsafe { enter(link, word, tag) };
    let Message { landed, thread } = landing.wait();
    if let Some(thread) = thread {
        // Its thread-locals go before the resumer goes on.
        thread.join().expect("an entry lets no panic out");
    }
    landed
}

/// # Safety
/// As on x86_64.
pub(crate) unsafe fn pause(link: *mut Link, word: Word, tag: usize) -> Words {
    let landing = Arc::new(Landing::default());
    // SAFETY: this side runs, so the inner record is free, and the outer one filled.
    unsafe { (*link).inner.sp = landing.name() };
    // SAFETY: as above.
    let outer = unsafe { Landing::named((*link).outer.sp) };
    outer.put(Message { landed: Landed { link, word, tag }, thread: None });
    let Landed { word, tag, .. } = landing.wait().landed;
    Words { word, tag }
}

/// # Safety
/// As on x86_64.
pub(crate) unsafe fn hand_over(from: *mut Link, to: *mut Link, word: Word, tag: usize) -> Words {
    let landing = Arc::new(Landing::default());
    // SAFETY: this side runs, so the inner record is free.
    unsafe { (*from).inner.sp = landing.name() };
    // SAFETY: by this function's contract.
    unsafe { enter(to, word, tag) };
    let Landed { word, tag, .. } = landing.wait().landed;
    Words { word, tag }
}

/// Hands the baton to the inner side of `link`.
///
/// # Safety
/// It is fresh or paused, and nobody else enters it.
unsafe fn enter(link: *mut Link, word: Word, tag: usize) {
    // SAFETY: by this function's contract.
    let inner = unsafe { &mut (*link).inner };
    let landed = Landed { link, word, tag };
    if inner.pc != stub::prepare() {
        // SAFETY: paused, so it names a landing, and is entered once.
        unsafe { Landing::named(inner.sp) }.put(Message { landed, thread: None });
        return;
    }
    inner.pc = 0;
    let (entry, sp) = (inner.reserved, inner.sp);
    let owner = local::owner();
    let first = Arc::new(Landing::default());
    let waiting = Arc::clone(&first);
    let thread = thread::spawn(move || {
        local::adopt(owner);
        STACK.set(sp - STACK_ALIGN);
        run(waiting.wait(), entry);
    });
    first.put(Message { landed, thread: Some(thread) });
}

/// What the trampoline does elsewhere.
fn run(Message { landed, thread }: Message, entry: usize) {
    let Landed { link, word, tag } = landed;
    let entry = ptr::with_exposed_provenance::<()>(entry);
    // SAFETY: what `arm` was given.
    let entry = unsafe { std::mem::transmute::<*const (), Entry>(entry) };
    // SAFETY: on a stack of its own, with what it was resumed with.
    let Words { word, tag } = unsafe { entry(word, tag, link) };
    // SAFETY: filled by whoever entered this side last.
    let outer = unsafe { Landing::named((*link).outer.sp) };
    outer.put(Message { landed: Landed { link, word, tag }, thread });
}

/// An address on the stack that this code runs on.
pub(crate) fn stack_pointer() -> usize {
    let here = 0_u8;
    match STACK.get() {
        0 => ptr::from_ref(&here).addr(),
        sp => sp,
    }
}

pub(crate) fn client_request(_: &[usize; 6]) -> usize {
    0
}

pub(crate) fn prefetch(_: *const u8) {}

/// Nothing that Miri knows of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FpControl;

impl FpControl {
    pub(crate) fn read() -> Self {
        FpControl
    }

    pub(crate) fn write(&self) {}
}
