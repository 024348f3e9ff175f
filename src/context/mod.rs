//! A context: a stack and a record, and what keeps crossing between them sound.
//!
//! The control block lies at the top of the context's own stack, so a switch touches one
//! cache line of one page. Below it is a slot that holds first the closure, then its
//! result or its panic:
//!
//! ```text
//! top     ->  the Stack itself, given back when the context is dropped
//!             Control { link, bounds, extra }     <- a pointer to it is the context
//!             slot: closure, later result or panic payload
//! start   ->  frames: trampoline, entry, closure, ...
//! bottom  ->  (guard below)
//! ```
//!
//! # Safety
//!
//! This is the only caller of `arch`. It keeps three promises to it: a fresh or paused
//! record is entered once ([`Context`] is neither `Clone` nor `Send`), nothing unwinds
//! through a switch (panics are caught at the entry and carried across as values), and
//! a stack is given back only when nothing lives on it.
#![allow(unsafe_code)]

#[cfg(feature = "capi")]
use core::ffi::c_int;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::{self, NonNull};

use crate::arch::{self, STACK_ALIGN};

pub(crate) use crate::arch::{Entry, FpControl, Landed, Link, Word, Words, asm_abi, stack_pointer};
#[cfg(feature = "capi")]
pub(crate) use crate::arch::{stub::Then, thread_words};
use crate::stack::{self, Stack, StackError};

#[cfg_attr(not(feature = "std"), path = "no_hooks.rs")]
mod hooks;
#[cfg_attr(not(feature = "std"), path = "no_unwinding.rs")]
mod unwinding;

pub(crate) use unwinding::{CAN_UNWIND, Payload, force_unwind, go_on_panicking};

/// What accompanies the word across a switch.
pub(crate) mod tag {
    /// To the inside: go on with the word.
    pub(crate) const GO: usize = 0;
    /// To the inside: unwind. What has not begun is dropped without being called.
    pub(crate) const UNWIND: usize = 1;
    /// To the inside: the pause returns an error.
    pub(crate) const CANCEL: usize = 4;
    /// To the outside: paused.
    pub(crate) const PAUSED: usize = 0;
    /// To the outside: the closure returned.
    pub(crate) const FINISHED: usize = 2;
    /// To the outside: the closure panicked; the payload is in the slot.
    pub(crate) const PANICKED: usize = 3;
}

/// The control block of a context. `X` is what the layer above keeps there.
#[repr(C)]
pub(crate) struct Control<X> {
    link: Link,
    trampoline: usize,
    bottom: usize,
    release: unsafe fn(NonNull<Control<X>>),
    pub(crate) extra: X,
    /// Only there where somebody watches.
    known: MaybeUninit<hooks::Known>,
}

/// A control block with the stack it lies on.
#[repr(C)]
struct Placed<X, S> {
    control: Control<X>,
    stack: S,
}

/// What lies below the control block, in turn: only its size and alignment count.
#[repr(C)]
#[allow(dead_code, reason = "the fields are reached by casts")]
union Slot<F, R> {
    closure: ManuallyDrop<F>,
    result: ManuallyDrop<R>,
    panic: ManuallyDrop<Payload>,
}

/// Owns a stack with a control block on it. Dropping it gives the stack back, so it must
/// not be dropped while frames live there.
pub(crate) struct Context<X>(NonNull<Control<X>>);

impl<X> Context<X> {
    /// Puts a control block at the top of `stack`.
    pub(crate) fn new<S: Stack>(stack: S, extra: X) -> Result<Self, StackError> {
        let (bottom, top) = stack::usable(&stack, const { least_room::<X, S>() })?;
        // Frames may refer to thread-locals that are new from here on: whether those are gone
        // can be told only by what was there before them.
        let _ = stack::thread_has_ended();
        let address = (top - size_of::<Placed<X, S>>()) & !(align::<X, S>() - 1);
        let placed = stack.top().with_addr(address).cast::<Placed<X, S>>();
        let control = Control {
            link: Link::new(),
            trampoline: arch::prepare(),
            bottom,
            release: release::<X, S>,
            extra,
            known: MaybeUninit::uninit(),
        };
        let whole = stack.bottom()..placed.wrapping_add(1).cast();
        // SAFETY: `usable` found room for it, the address is aligned, and by the contract
        // of `Stack` nothing else uses the memory.
        unsafe { placed.write(Placed { control, stack }) };
        // SAFETY: the address lies above the bottom of the stack, so it is not null.
        let mut control = unsafe { NonNull::new_unchecked(placed.cast::<Control<X>>()) };
        if hooks::is_anybody_there() {
            // SAFETY: just written, and nobody else knows it.
            unsafe { control.as_mut() }.known.write(hooks::Known::new(whole));
        }
        Ok(Context(control))
    }

    /// The control block, valid as long as this context.
    #[inline(always)]
    pub(crate) fn control(&self) -> NonNull<Control<X>> {
        self.0
    }

    /// A context with [`room`] for a closure.
    pub(crate) fn with_room<S: Stack>(stack: S, extra: X, room: usize) -> Result<Self, StackError> {
        let context = Self::new(stack, extra)?;
        // SAFETY: the control block is valid as long as the context.
        unsafe { context.0.as_ref() }.check_room(room)?;
        Ok(context)
    }

    /// Gives up ownership, to be taken up again by [`from_raw`](Self::from_raw).
    pub(crate) fn into_raw(self) -> NonNull<Control<X>> {
        ManuallyDrop::new(self).0
    }

    /// Takes up ownership of a context.
    ///
    /// # Safety
    /// It comes from `into_raw`, and nobody else owns it.
    pub(crate) unsafe fn from_raw(control: NonNull<Control<X>>) -> Self {
        Context(control)
    }
}

impl<X> Control<X> {
    /// Whether what [`room`] found leaves enough of the stack.
    #[inline]
    pub(crate) fn check_room(&self, needed: usize) -> Result<(), StackError> {
        if needed <= SMALL_SLOT {
            return Ok(());
        }
        let size = self.address() - self.bottom;
        let min = stack::min_size().saturating_add(needed);
        if size < min { Err(StackError::TooSmall { size, min }) } else { Ok(()) }
    }

    /// Whether `sp` lies on this context's own stack.
    #[inline(always)]
    pub(crate) fn contains(&self, sp: usize) -> bool {
        sp.wrapping_sub(self.bottom) < self.address() - self.bottom
    }

    /// The bottom of the stack, and where this block begins.
    pub(crate) fn bounds(&self) -> (usize, usize) {
        (self.bottom, self.address())
    }

    /// Whether it is armed and has not run since.
    pub(crate) fn is_fresh(&self) -> bool {
        self.link.inner.pc == self.trampoline
    }

    /// Brings the place on its stack into the cache where it will go on: two lines, since
    /// frames begin in the middle of one. The control block should be there by now.
    #[inline(always)]
    pub(crate) fn prefetch_frame(&self) {
        let sp = ptr::without_provenance::<u8>(self.link.inner.sp);
        arch::prefetch(sp);
        arch::prefetch(sp.wrapping_add(64));
    }

    #[inline(always)]
    pub(crate) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }
}

/// How much of a stack a context takes in any case: for its block, and a slot up to [`SMALL_SLOT`].
pub(crate) const fn least_room<X, S>() -> usize {
    size_of::<Placed<X, S>>() + align::<X, S>() + SMALL_SLOT
}

const fn align<X, S>() -> usize {
    let align = align_of::<Placed<X, S>>();
    if align < STACK_ALIGN { STACK_ALIGN } else { align }
}

/// How much of a stack the captures of a closure `F` and its result `R` need, in bytes. That
/// is more than once their size: in the slot, and in the frames that are called or return,
/// which an unoptimized build does not merge.
pub(crate) const fn room<F, R>() -> usize {
    let slot = slot_size::<F, R>().saturating_add(align_of::<Slot<F, R>>());
    slot.saturating_mul(if cfg!(debug_assertions) { 6 } else { 2 })
}

/// Readies a context to run `closure(word, tag, control)` when first resumed.
///
/// # Safety
/// [`check_room`](Control::check_room) agreed to the [`room`] of closures like this one. The
/// context is owned by the caller and not paused: it is new, or what it ran has ended.
#[inline(always)]
pub(crate) unsafe fn arm<X, F, R>(control: NonNull<Control<X>>, closure: F)
where
    F: FnOnce(Word, usize, NonNull<Control<X>>) -> R,
{
    // SAFETY: by this function's contract; `entry` takes an `F` and leaves an `R`.
    unsafe { arm_with::<X, F, R>(control, closure, entry::<X, F, R>) };
}

/// Readies a context to run `entry`, which finds `body` in the slot.
///
/// # Safety
/// As [`arm`]; the entry takes the body, and leaves no more than an `R` in its place.
#[inline(always)]
pub(crate) unsafe fn arm_with<X, B, R>(control: NonNull<Control<X>>, body: B, entry: Entry) {
    let slot = slot::<X, B, R>(control);
    // SAFETY: the slot lies on the stack below the control block, with room to spare.
    unsafe { slot.cast::<B>().write(body) };
    // SAFETY: neither running nor paused, by this function's contract; a slot aligns.
    unsafe { begin_below(control, slot.addr().get(), entry) };
}

/// # Safety
/// As [`arch::arm`], for a stack that ends at `end`.
#[inline]
unsafe fn begin_below<X>(mut control: NonNull<Control<X>>, end: usize, entry: Entry) {
    // SAFETY: the control block is valid and not in use by anyone else.
    let control = unsafe { control.as_mut() };
    let frames = control.bottom..end;
    // SAFETY: by this function's contract.
    unsafe { arch::arm(&mut control.link, control.trampoline, entry, frames) };
}

/// What an entry of one's own finds in the slot.
///
/// # Safety
/// Called once, by an entry armed with a `B` and no result.
#[cfg(feature = "capi")]
pub(crate) unsafe fn take_body<X, B>(link: *mut Link) -> B {
    // SAFETY: the trampoline passes the link, which is the first field of the block.
    let control = unsafe { NonNull::new_unchecked(link.cast::<Control<X>>()) };
    // SAFETY: `arm_with` put it there.
    unsafe { slot::<X, B, ()>(control).cast::<B>().read() }
}

/// Takes the payload of a closure that answered [`tag::PANICKED`] with `word`.
///
/// # Safety
/// Called once, before the context is armed again or dropped.
#[cold]
pub(crate) unsafe fn take_panic(word: Word) -> Payload {
    // SAFETY: the entry answers with the address of the payload.
    let payload = unsafe { word.assume_init() };
    // SAFETY: still in its slot, and read once.
    unsafe { payload.cast::<Payload>().read() }
}

impl<X> Drop for Context<X> {
    fn drop(&mut self) {
        // SAFETY: the control block is valid as long as the context.
        let release = unsafe { self.0.as_ref() }.release;
        // SAFETY: the owner of a context drops it only when nothing lives on its stack.
        unsafe { release(self.0) }
    }
}

/// Slots up to this many bytes, alignment included, fit any stack that was accepted.
const SMALL_SLOT: usize = 1 << 10;

/// # Safety
/// `control` was placed with a stack of type `S`, and nothing lives there any more.
unsafe fn release<X, S>(control: NonNull<Control<X>>) {
    if hooks::is_anybody_there() {
        // SAFETY: a control block, which nobody else uses any more.
        let known = &mut unsafe { &mut *control.as_ptr() }.known;
        // SAFETY: written by `new`, since who watches has been there all the time.
        unsafe { known.assume_init_mut() }.end();
    }
    // SAFETY: moved off the stack it describes before its drop can unmap that.
    let Placed { control, stack } = unsafe { control.cast::<Placed<X, S>>().read() };
    drop(control.extra);
    drop(stack);
}

/// Where the slot of a closure `F` with result `R` lies; frames start below it.
#[inline(always)]
fn slot<X, F, R>(control: NonNull<Control<X>>) -> NonNull<Slot<F, R>> {
    let size = const { slot_size::<F, R>() };
    let mut slot = control.as_ptr().wrapping_byte_sub(size);
    if const { align_of::<Slot<F, R>>() > align_of::<Control<X>>() } {
        slot = slot.map_addr(|address| address & !(align_of::<Slot<F, R>>() - 1));
    }
    // SAFETY: `check_room` has found that the slot fits above the bottom of the stack.
    unsafe { NonNull::new_unchecked(slot.cast()) }
}

/// A multiple of the alignment of all that lies there, frames included.
const fn slot_size<F, R>() -> usize {
    let align = align_of::<Slot<F, R>>();
    size_of::<Slot<F, R>>().next_multiple_of(if align < STACK_ALIGN { STACK_ALIGN } else { align })
}

/// Enters a context; returns when it pauses or ends, or one it handed over to.
///
/// # Safety
/// The context is armed or paused; the caller deals with all three outcomes in [`tag`].
#[inline(always)]
pub(crate) unsafe fn resume<X>(control: NonNull<Control<X>>, word: Word, tag: usize) -> Landed {
    if hooks::watched() {
        // SAFETY: by the contract of this function.
        return unsafe { hooks::resume(control, word, tag) }.unpack();
    }
    // switch 3/7: the last generic line; what comes back says who came, and how.
    // SAFETY: by the contract of this function; the entry lets no panic out.
    unsafe { arch::resume(control.as_ptr().cast(), word, tag) }
}

/// As [`resume`], out of line, so that a foreign unwind out of an entry without a catch may
/// pass; and as the last act of the caller, who goes on in `then(word, tag, link, a, b)`.
///
/// # Safety
/// As [`resume`]; `then` may be called like that.
#[cfg(feature = "capi")]
#[inline(always)]
pub(crate) unsafe fn resume_then<X>(
    control: NonNull<Control<X>>,
    tag: usize,
    a: *mut (),
    b: *mut (),
    then: Then,
) -> c_int {
    if hooks::watched() {
        // SAFETY: by the contract of this function.
        return unsafe { hooks::resume_then(control, tag, a, b, then) };
    }
    // SAFETY: by the contract of this function.
    unsafe { arch::stub::resume_then(control.as_ptr().cast(), Word::uninit(), tag, a, b, then) }
}

/// Leaves the running context for its resumer; returns when it is resumed.
///
/// # Safety
/// The calling code runs inside `control`, entered by [`resume`].
#[inline(always)]
pub(crate) unsafe fn pause<X>(control: NonNull<Control<X>>, word: Word) -> Words {
    // switch 7/7: back to the resumer, into the lines after 3/7.
    // SAFETY: by the contract of this function.
    unsafe { arch::pause(control.as_ptr().cast(), word, tag::PAUSED) }
}

/// Leaves the running context for another one of the same resumer; returns when it is
/// resumed. The resumer finds in the answer who came back to it.
///
/// # Safety
/// The calling code runs inside `from`, entered by [`resume`] or this function; `to` is
/// armed or paused, and its owner lets the resumer of `from` deal with its outcomes.
#[inline(always)]
pub(crate) unsafe fn hand_over<X>(from: NonNull<Control<X>>, to: NonNull<Control<X>>) -> Words {
    if hooks::watched() {
        // SAFETY: by the contract of this function.
        return unsafe { hooks::hand_over(from, to) };
    }
    // SAFETY: by the contract of this function.
    unsafe { switch_over(from, to) }
}

/// # Safety
/// As [`hand_over`].
#[inline(always)]
unsafe fn switch_over<X>(from: NonNull<Control<X>>, to: NonNull<Control<X>>) -> Words {
    let (from, to): (*mut Link, *mut Link) = (from.as_ptr().cast(), to.as_ptr().cast());
    // SAFETY: both are control blocks; the outer record of the running one is filled.
    let outer = unsafe { (*from).outer };
    // SAFETY: nobody uses the outer record of a context that does not run.
    unsafe { (*to).outer = outer };
    // SAFETY: by the contract of this function.
    unsafe { arch::hand_over(from, to, Word::uninit(), tag::GO) }
}

/// Brings a control block into the cache.
#[inline(always)]
pub(crate) fn prefetch<X>(control: NonNull<Control<X>>) {
    arch::prefetch(control.as_ptr().cast());
}

asm_abi! {
/// The root of every context: runs the closure, catches its panic, returns to the
/// trampoline with the outcome. Compiled for each closure, hence short.
///
/// # Safety
/// Called by the trampoline of a context armed with a closure `F`.
unsafe fn entry<X, F, R>(word: Word, tag: usize, link: *mut Link) -> Words
where
    F: FnOnce(Word, usize, NonNull<Control<X>>) -> R,
{
    // SAFETY: the trampoline passes the link, which is the first field of the block.
    let control = unsafe { NonNull::new_unchecked(link.cast::<Control<X>>()) };
    let slot = slot::<X, F, R>(control);
    // switch 6/7: the job runs; its panic must not reach the trampoline.
    let caught = unwinding::catch(move || {
        if tag == tag::UNWIND {
            // What has not begun needs no unwinding, so this works with `panic = "abort"` too.
            // SAFETY: `arm` put the closure there, and it is not run.
            unsafe { slot.cast::<F>().drop_in_place() };
            false
        } else {
            // SAFETY: `arm` put the closure there.
            unsafe { run(slot, word, tag, control) };
            true
        }
    });
    // Not the tag again: what is kept for the end is in the way of every switch in between.
    match caught {
        Ok(true) => {}
        // SAFETY: the closure has left the slot.
        caught => return unsafe { panicked(slot.cast(), caught.err()) },
    }
    // SAFETY: `run` has written it.
    let result = unsafe { slot.cast::<ManuallyDrop<R>>().as_ref() };
    // SAFETY: not touched until the resumer takes it.
    let word = unsafe { lend(result) };
    Words { word, tag: tag::FINISHED }
}
}

/// Calls the closure in the slot and leaves its result there. On the inside of the catch, so that
/// large ones are moved no more than needed; and, unoptimized, not in the frame of `entry`, which
/// needs no room for a closure that is only dropped.
///
/// # Safety
/// Called once, with a closure in the slot.
#[inline]
unsafe fn run<X, F, R>(
    slot: NonNull<Slot<F, R>>,
    word: Word,
    tag: usize,
    control: NonNull<Control<X>>,
) where
    F: FnOnce(Word, usize, NonNull<Control<X>>) -> R,
{
    // SAFETY: by this function's contract.
    let closure = unsafe { slot.cast::<F>().read() };
    let result = ManuallyDrop::new(closure(word, tag, control));
    // SAFETY: the closure has left the slot, which has room for its result.
    unsafe { slot.cast().write(result) };
}

/// The outcome of a closure that panicked, or was dropped without being called.
///
/// # Safety
/// The slot has room for a payload, and nothing else is there.
#[cold]
#[inline(never)]
unsafe fn panicked(slot: NonNull<Payload>, payload: Option<Payload>) -> Words {
    let payload = payload.unwrap_or_else(unwinding::forced);
    // SAFETY: by this function's contract.
    unsafe { slot.write(payload) };
    Words { word: Word::new(slot.cast().as_ptr()), tag: tag::PANICKED }
}

/// Makes a word of a value: the value itself if it fits, else its address.
///
/// # Safety
/// The other side takes it with [`take`] once, while `value` is still in place, and
/// nobody else drops it.
#[inline(always)]
pub(crate) unsafe fn lend<T>(value: &ManuallyDrop<T>) -> Word {
    let mut word = Word::uninit();
    if fits::<T>() {
        // SAFETY: it fits, and both sides are valid.
        unsafe { ptr::copy_nonoverlapping(&raw const **value, word.as_mut_ptr().cast(), 1) };
    } else {
        word.write((&raw const *value).cast_mut().cast());
    }
    word
}

/// Takes the value out of a word made by [`lend`].
///
/// # Safety
/// `word` was lent as a `T`, the value is still in place, and this is the only taker.
#[inline(always)]
pub(crate) unsafe fn take<T>(word: Word) -> T {
    if fits::<T>() {
        // SAFETY: lent by value.
        unsafe { word.as_ptr().cast::<T>().read() }
    } else {
        // SAFETY: lent by address.
        let address = unsafe { word.assume_init() };
        // SAFETY: still in place, by this function's contract.
        unsafe { address.cast::<T>().read() }
    }
}

const fn fits<T>() -> bool {
    size_of::<T>() <= size_of::<Word>() && align_of::<T>() <= align_of::<Word>()
}

#[cfg(test)]
impl<X> Control<X> {
    /// Where a debugger finds the trampoline's address and the bottom.
    pub(crate) fn debugger_words() -> (usize, usize) {
        let offset = core::mem::offset_of!(Control<X>, link);
        assert_eq!(offset, 0);
        (core::mem::offset_of!(Control<X>, trampoline), core::mem::offset_of!(Control<X>, bottom))
    }
}

/// Bytes from the control block on a pooled stack to its top.
#[cfg(all(test, feature = "std"))]
pub(crate) fn pooled_size<X>() -> usize {
    size_of::<Placed<X, stack::PooledStack>>()
}
