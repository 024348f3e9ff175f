//! What sanitizers and valgrind are told about contexts, where one of them watches: found
//! out at run time, so that a program built for one needs no special build of this crate.
//!
//! All of it happens on the resumer's side. Just before it switches, the tool hears that
//! another stack is in use, and just after it has landed that it is back: in between runs
//! nothing that was instrumented. So a pause and the end of a context need no hook, and
//! all that an unwatched program pays is a test where a context is resumed.

#[cfg(feature = "capi")]
use std::ffi::c_int;
use std::ffi::c_uint;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

#[cfg(feature = "capi")]
use super::Then;
use super::{Control, Landed, Word, Words, tag};
use crate::arch::{self, Link, Sanitizer};
use crate::stack::valgrind;

/// Whether anybody has to be told of switches: set before the first context is there.
static WATCHED: AtomicBool = AtomicBool::new(false);

#[inline(always)]
pub(super) fn watched() -> bool {
    cfg!(not(siding_no_hooks)) && WATCHED.load(Relaxed)
}

/// Whether a sanitizer or valgrind is in this process, which does not change. Asking takes
/// longer than making a context.
#[inline(always)]
pub(super) fn is_anybody_there() -> bool {
    const NOBODY: u8 = 1;
    const SOMEBODY: u8 = 2;
    static FOUND: AtomicU8 = AtomicU8::new(0);
    #[cold]
    #[inline(never)]
    fn look() -> u8 {
        let Sanitizer { start_switch, register_root, switch_to_fiber, .. } = arch::sanitizer();
        let anybody = start_switch.is_some()
            || register_root.is_some()
            || switch_to_fiber.is_some()
            || valgrind::is_running();
        let found = if anybody { SOMEBODY } else { NOBODY };
        FOUND.store(found, Relaxed);
        found
    }
    let found = match FOUND.load(Relaxed) {
        0 => look(),
        found => found,
    };
    cfg!(not(siding_no_hooks)) && found != NOBODY
}

/// A stack with frames on it, as the sanitizers know it.
#[derive(Clone, Copy)]
pub(super) struct Side {
    bottom: *mut (),
    size: usize,
    /// AddressSanitizer: where locals are kept instead, to find uses after a return.
    fake_stack: *mut (),
    /// ThreadSanitizer: what there is instead of a thread.
    fiber: *mut (),
}

/// What the tools keep of a context, from its making to its end.
pub(super) struct Known {
    side: Side,
    /// Valgrind's number for the stack.
    number: u32,
    /// Bytes of the slot, below which the first frame begins.
    slot: u32,
}

impl Side {
    const UNKNOWN: Side = Side {
        bottom: ptr::null_mut(),
        size: 0,
        fake_stack: ptr::null_mut(),
        fiber: ptr::null_mut(),
    };
}

impl Known {
    /// Makes a context known that lies on `stack`, its control block included.
    #[cold]
    #[inline(never)]
    pub(super) fn new(stack: Range<*mut u8>) -> Self {
        let size = stack.end.addr() - stack.start.addr();
        let side = Side { bottom: stack.start.cast(), size, ..Side::UNKNOWN };
        let Sanitizer { start_switch, register_root, switch_to_fiber, .. } = arch::sanitizer();
        if start_switch.is_some() || switch_to_fiber.is_some() || valgrind::is_memcheck() {
            WATCHED.store(true, Relaxed);
        }
        if let Some(register) = register_root {
            // What only a paused context holds is no leak.
            // SAFETY: memory that stays until `end` says otherwise.
            unsafe { register(side.bottom, side.size) };
        }
        let number = valgrind::register(stack.start.addr()..stack.end.addr());
        Known { side, number, slot: 0 }
    }

    /// The context ends, and its stack may go.
    #[cold]
    #[inline(never)]
    pub(super) fn end(&mut self) {
        let Side { bottom, size, fake_stack, fiber } = self.side;
        let sanitizer = arch::sanitizer();
        valgrind::deregister(self.number);
        if let Some(unregister) = sanitizer.unregister_root {
            // SAFETY: registered when it was made.
            unsafe { unregister(bottom, size) };
        }
        if let Some(destroy) = sanitizer.destroy_fiber.filter(|_| !fiber.is_null()) {
            // SAFETY: made for this context, which does not run.
            unsafe { destroy(fiber) };
        }
        if !fake_stack.is_null() {
            // There is no other way to give it up than to go there and leave for good.
            let mut here = Side::UNKNOWN;
            // SAFETY: only this function runs there, whose own fake frame is on this side.
            unsafe { go_over(&sanitizer, &raw mut here.fake_stack, &raw mut here, self.side) };
            let (nowhere, mut there) = (ptr::null_mut(), self.side);
            // SAFETY: as above.
            unsafe { go_over(&sanitizer, nowhere, &raw mut there, here) };
        }
    }
}

/// Tells AddressSanitizer that `to` is in use from now on, and not `from`, whose bounds it
/// knows and notes.
///
/// # Safety
/// What runs before that is true was not instrumented, or began before. `fake_stack` is
/// the one of `from`, or null if nothing will run there any more.
#[inline(always)]
unsafe fn go_over(sanitizer: &Sanitizer, fake_stack: *mut *mut (), from: *mut Side, to: Side) {
    if let (Some(start), Some(finish)) = (sanitizer.start_switch, sanitizer.finish_switch) {
        // SAFETY: the bounds of a stack, and a place for the address of another.
        unsafe { start(fake_stack, to.bottom, to.size) };
        // SAFETY: valid, by this function's contract.
        let Side { bottom, size, .. } = unsafe { &mut *from };
        // SAFETY: what was saved for that side, or null if nothing has run there.
        unsafe { finish(to.fake_stack, bottom, size) };
    }
}

/// What is left to say to ThreadSanitizer. By the function that switches, not by one that it
/// calls, which for the tool would return on another stack than it was called on.
struct Departure {
    switch: Option<unsafe extern "C" fn(*mut (), c_uint)>,
    fiber: *mut (),
}

impl Departure {
    #[inline(always)]
    fn announce(self) {
        /// What has happened on one side is seen on the other.
        const SYNCHRONIZES: c_uint = 0;
        if let Some(switch) = self.switch {
            // SAFETY: a fiber that lives and is not in use.
            unsafe { switch(self.fiber, SYNCHRONIZES) };
        }
    }
}

/// Tells the sanitizers that `to` will be in use, and not `from`, but for the last word.
///
/// # Safety
/// As for [`go_over`]; neither ends before it is left.
#[inline(never)]
unsafe fn tell(from: *mut Side, to: *mut Side) -> Departure {
    let sanitizer = arch::sanitizer();
    // SAFETY: valid, by this function's contract.
    let fake_stack = unsafe { &raw mut (*from).fake_stack };
    // SAFETY: valid, by this function's contract.
    let there = unsafe { to.read() };
    // SAFETY: by this function's contract.
    unsafe { go_over(&sanitizer, fake_stack, from, there) };
    if let (Some(current), Some(create)) = (sanitizer.current_fiber, sanitizer.create_fiber) {
        // SAFETY: no preconditions.
        let fiber = unsafe { current() };
        // SAFETY: valid, by this function's contract.
        unsafe { (*from).fiber = fiber };
        if there.fiber.is_null() {
            // SAFETY: no preconditions; destroyed by `end`.
            let fiber = unsafe { create(0) };
            // SAFETY: valid, by this function's contract.
            unsafe { (*to).fiber = fiber };
        }
    }
    // SAFETY: valid, by this function's contract.
    Departure { switch: sanitizer.switch_to_fiber, fiber: unsafe { (*to).fiber } }
}

/// What lands, in two registers: one on the stack would slow down the unwatched, too.
pub(super) struct Packed {
    word: Word,
    /// The tag in the bits that are zero in the address of a link.
    link: *mut Link,
}

impl Packed {
    const BITS: usize = align_of::<Link>() - 1;

    #[inline(always)]
    fn pack(landed: Landed) -> Self {
        const { assert!(tag::CANCEL.next_power_of_two() <= Self::BITS) };
        Packed { word: landed.word, link: landed.link.map_addr(|link| link | landed.tag) }
    }

    #[inline(always)]
    pub(super) fn unpack(self) -> Landed {
        let tag = self.link.addr() & Self::BITS;
        Landed { link: self.link.map_addr(|link| link & !Self::BITS), word: self.word, tag }
    }
}

/// [`super::resume`], watched.
///
/// # Safety
/// As there.
#[cold]
#[inline(never)]
pub(super) unsafe fn resume<X>(control: NonNull<Control<X>>, word: Word, tag: usize) -> Packed {
    let mut home = Side::UNKNOWN;
    // SAFETY: the switch follows; both sides stay meanwhile.
    unsafe { tell(&raw mut home, inside(control)) }.announce();
    // SAFETY: by this function's contract.
    let landed = unsafe { arch::resume(control.as_ptr().cast(), word, tag) };
    // SAFETY: just landed.
    unsafe { come_home::<X>(&landed, &raw mut home) }.announce();
    Packed::pack(landed)
}

/// [`super::resume_then`], watched.
///
/// # Safety
/// As there.
#[cfg(feature = "capi")]
#[cold]
#[inline(never)]
pub(super) unsafe fn resume_then<X>(
    control: NonNull<Control<X>>,
    tag: usize,
    a: *mut (),
    b: *mut (),
    then: Then,
) -> c_int {
    let mut home = Side::UNKNOWN;
    // SAFETY: the switch follows; both sides stay meanwhile.
    unsafe { tell(&raw mut home, inside(control)) }.announce();
    let link = control.as_ptr().cast();
    // SAFETY: by this function's contract.
    let landed = unsafe { arch::stub::resume_here(link, Word::uninit(), tag) };
    // SAFETY: just landed.
    unsafe { come_home::<X>(&landed, &raw mut home) }.announce();
    // SAFETY: by this function's contract.
    unsafe { then(landed.word, landed.tag, landed.link, a, b) }
}

/// Tells that somebody has paused or ended, and makes the stack of what has ended fit for
/// use.
///
/// # Safety
/// What has landed here was left for `home`, just now.
#[inline(always)]
unsafe fn come_home<X>(landed: &Landed, home: *mut Side) -> Departure {
    // SAFETY: a link is the first field of its control block, and never null.
    let control = unsafe { NonNull::new_unchecked(landed.link.cast::<Control<X>>()) };
    if landed.tag != tag::PAUSED {
        // SAFETY: valid as long as its context is in use.
        let control = unsafe { control.as_ref() };
        // Memcheck takes what lies below the last frame for inaccessible; the next closure
        // may be larger. The slot holds what it answers.
        // SAFETY: who watches knows all contexts.
        let known = unsafe { control.known.assume_init_ref() };
        let start = control.address().saturating_sub(known.slot as usize);
        valgrind::make_undefined(control.bottom..start);
    }
    // SAFETY: the switch is over; both sides stay.
    unsafe { tell(side(control), home) }
}

/// [`super::hand_over`], watched.
///
/// # Safety
/// As there.
#[cold]
#[inline(never)]
pub(super) unsafe fn hand_over<X>(from: NonNull<Control<X>>, to: NonNull<Control<X>>) -> Words {
    // SAFETY: the switch follows; both sides stay meanwhile.
    unsafe { tell(side(from), inside(to)) }.announce();
    // SAFETY: by this function's contract.
    unsafe { super::switch_over(from, to) }
}

/// The inside of a context that is about to be entered.
fn inside<X>(mut control: NonNull<Control<X>>) -> *mut Side {
    // SAFETY: a control block is valid while its context is in use.
    let block = unsafe { control.as_mut() };
    if block.is_fresh() {
        let slot = u32::try_from(block.address() - block.link.inner.sp).unwrap_or(u32::MAX);
        // SAFETY: who watches knows all contexts.
        unsafe { block.known.assume_init_mut() }.slot = slot;
    }
    side(control)
}

fn side<X>(control: NonNull<Control<X>>) -> *mut Side {
    // SAFETY: a control block is valid while its context is in use.
    let known = unsafe { &raw mut (*control.as_ptr()).known };
    // SAFETY: who watches knows all contexts.
    unsafe { &raw mut (*known.cast::<Known>()).side }
}
