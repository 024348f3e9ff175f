//! Typed, safe coroutines: a function that suspends from any depth of its call stack.
//!
//! ```
//! use siding::coroutine::{Coroutine, CoroutineState};
//!
//! let mut sums = Coroutine::new(|yielder, first: u32| {
//!     let mut sum = first;
//!     while sum < 10 {
//!         sum += yielder.suspend(sum);
//!     }
//!     "enough"
//! });
//! assert_eq!(sums.resume(3), CoroutineState::Yielded(3));
//! assert_eq!(sums.resume(4), CoroutineState::Yielded(7));
//! assert_eq!(sums.resume(5), CoroutineState::Complete("enough"));
//! ```
//!
//! A panic inside propagates out of [`Coroutine::resume`]. Dropping a suspended coroutine
//! unwinds it, so its destructors run. Closures are `'static`; [`scope`] lifts that.
//!
//! Where a suspended coroutine cannot be unwound, dropping it leaks its stack and all that
//! lies on it: if the program is built with `panic = "abort"`, if this crate is built without
//! the feature `std` (then there is no catching a panic either: it is the panic handler's
//! business, on the coroutine's stack), if it keeps catching the
//! unwinding, if a value that it yields meanwhile panics when dropped, or if its thread is
//! ending and the pool of stacks is gone. Locks held across
//! a suspension are poisoned by the unwinding, as by any panic, and unwinding through an
//! `extern "C"` function of Rust aborts.
//!
//! # Limits
//!
//! A suspended frame outlives what the frames around it would see end in order. The
//! compiler does not know, and this library sees only part of it. `SECURITY.md` lists what
//! remains and must be avoided, of jobs too:
//! * A thread-local `OWNER` that owns coroutines, one of which is suspended inside
//!   [`LocalKey::with`](std::thread::LocalKey::with) of another one, when the thread ends. If
//!   `OWNER` was used before the thread's first coroutine, the coroutine is leaked; if after
//!   that, but before the other thread-local, it is unwound when that one is gone. In a
//!   destructor of `OWNER` such a coroutine must not be resumed, either.
//! * Suspending in the initializer of a thread-local: what others have done with the value
//!   since is undone when it goes on.
//! * Code that sets a thread-local to the address of a variable for the time of a call
//!   (scoped thread-locals) suspends in that call, and the calls end in another order.
//! * Lending a thread-local's value to [`thread::scope`](std::thread::scope) and suspending
//!   there, in a coroutine that is forgotten or leaked: the other threads may outlive this one.
//! * A coroutine that is kept in a thread-local while it runs enters another one, and
//!   `process::exit` is called in that: it would be unwound while running. (Called in the
//!   coroutine itself, the exit is noticed.)
//!
//! # Safety
//!
//! Built on `context`; the typed handles guarantee that a coroutine is resumed only while
//! suspended, and that its stack is given back only when it has ended.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use crate::context::{self, Context, Control, Landed, Payload, Word, tag};
use crate::stack::{self, Stack, StackError};
#[cfg(feature = "std")]
use crate::stack::{PooledStack, StackConfig};

#[cfg(doctest)]
mod attacks;
#[cfg(feature = "std")]
mod scoped;

#[cfg(feature = "std")]
pub use scoped::{Scoped, scope};

/// What [`Coroutine::resume`] came back with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoroutineState<Yield, Return> {
    /// The coroutine suspended with this value.
    Yielded(Yield),
    /// The coroutine returned this value and cannot be resumed again.
    Complete(Return),
}

/// A suspended function on a stack of its own.
///
/// Not `Send`: its frames may hold addresses of thread-local values.
///
/// ```compile_fail,E0277
/// let coroutine = siding::coroutine::Coroutine::<(), (), ()>::new(|_, ()| ());
/// std::thread::spawn(move || drop(coroutine));
/// ```
pub struct Coroutine<Input, Yield, Return> {
    /// `None` once it has ended. Until [`end`] frames live on its stack, so whatever goes
    /// wrong before that must leak it: hence `ManuallyDrop`.
    context: Option<ManuallyDrop<Context<()>>>,
    types: PhantomData<fn(Input) -> (Yield, Return)>,
}

/// How the inside of a coroutine suspends it.
///
/// It lies where the coroutine's control block does, so it cannot be copied out or moved.
#[repr(transparent)]
pub struct Yielder<Input, Yield> {
    control: UnsafeCell<Control<()>>,
    types: PhantomData<fn(Yield) -> Input>,
    // Neither Send nor Sync: only the coroutine itself may suspend.
    thread: PhantomData<*mut ()>,
}

/// A coroutine that could not be made, with the closure it was to run.
pub struct Refused<F> {
    /// Why.
    pub error: StackError,
    /// The closure, untouched.
    pub closure: F,
}

impl<Input: 'static, Yield: 'static, Return: 'static> Coroutine<Input, Yield, Return> {
    /// A coroutine on a pooled stack of the default size that will call `closure` with a
    /// [`Yielder`] and the input of the first [`resume`](Self::resume).
    ///
    /// # Panics
    ///
    /// If no stack can be had; [`try_new`](Self::try_new) returns that as an error.
    #[cfg(feature = "std")]
    pub fn new<F>(closure: F) -> Self
    where
        F: FnOnce(&Yielder<Input, Yield>, Input) -> Return + 'static,
    {
        match pooled(StackConfig::DEFAULT, const { context::room::<F, Return>() }) {
            // SAFETY: closure and types are 'static, so forgetting the coroutine is harmless; the
            // context is new, with room for the closure.
            Ok(context) => unsafe { Self::armed(context, closure) },
            Err(error) => none_to_be_had(&error),
        }
    }

    /// A coroutine on a pooled stack as configured.
    ///
    /// # Errors
    ///
    /// The [`StackError`] and the closure, if no such stack can be had.
    #[cfg(feature = "std")]
    pub fn try_new<F>(stack: StackConfig, closure: F) -> Result<Self, Refused<F>>
    where
        F: FnOnce(&Yielder<Input, Yield>, Input) -> Return + 'static,
    {
        match pooled(stack, const { context::room::<F, Return>() }) {
            // SAFETY: as in `new`.
            Ok(context) => Ok(unsafe { Self::armed(context, closure) }),
            Err(error) => Err(Refused { error, closure }),
        }
    }

    /// A coroutine on a stack of the caller's.
    ///
    /// # Errors
    ///
    /// [`StackError::TooSmall`] with the closure, if the stack is.
    pub fn with_stack<S, F>(stack: S, closure: F) -> Result<Self, Refused<F>>
    where
        S: Stack + 'static,
        F: FnOnce(&Yielder<Input, Yield>, Input) -> Return + 'static,
    {
        match Context::with_room(stack, (), const { context::room::<F, Return>() }) {
            // SAFETY: as in `new`.
            Ok(context) => Ok(unsafe { Self::armed(context, closure) }),
            Err(error) => Err(Refused { error, closure }),
        }
    }
}

impl<Input, Yield, Return> Coroutine<Input, Yield, Return> {
    /// # Safety
    /// The context is new, with room for the closure. The coroutine is dropped before anything
    /// that the closure or its types borrow ends.
    unsafe fn armed<F>(context: Context<()>, closure: F) -> Self
    where
        F: FnOnce(&Yielder<Input, Yield>, Input) -> Return,
    {
        let body = move |word: Word, _: usize, control: NonNull<Control<()>>| {
            // SAFETY: a transparent wrapper of the control block, which outlives the closure.
            let yielder = unsafe { control.cast::<Yielder<Input, Yield>>().as_ref() };
            // SAFETY: `resume` lent an Input and stays where it is until we switch.
            closure(yielder, unsafe { context::take(word) })
        };
        // SAFETY: the context is new, and the body captures the closure alone.
        unsafe { context::arm(context.control(), body) };
        Coroutine { context: Some(ManuallyDrop::new(context)), types: PhantomData }
    }

    /// Brings into the cache what the next [`resume`](Self::resume) reads first. Among many
    /// coroutines, which the cache does not hold, that pays some eight turns ahead.
    #[inline(always)]
    pub fn prefetch(&self) {
        if let Some(context) = &self.context {
            context::prefetch(context.control());
        }
    }

    /// Runs the coroutine until it suspends or returns.
    ///
    /// The first input is the closure's second argument, later ones are what
    /// [`Yielder::suspend`] returns.
    ///
    /// # Panics
    ///
    /// With the coroutine's own panic, if it panics; with a message, if it had ended.
    #[inline(always)]
    pub fn resume(&mut self, input: Input) -> CoroutineState<Yield, Return> {
        let Some(context) = &self.context else { resumed_after_end() };
        let input = ManuallyDrop::new(input);
        // SAFETY: the other side takes it before this frame goes on.
        let word = unsafe { context::lend(&input) };
        // SAFETY: a context that is there is armed or suspended.
        let landed = unsafe { context::resume(context.control(), word, tag::GO) };
        if landed.tag == tag::PAUSED {
            // SAFETY: `suspend` lent a Yield, which stays in place while suspended.
            return CoroutineState::Yielded(unsafe { context::take(landed.word) });
        }
        let context = self.context.take().expect("a coroutine ends once");
        // SAFETY: not paused, so the entry has returned.
        match unsafe { end(context, landed) } {
            Ok(value) => CoroutineState::Complete(value),
            Err(payload) => context::go_on_panicking(payload),
        }
    }

    /// Whether it has returned or panicked, so that it must not be resumed.
    pub fn is_done(&self) -> bool {
        self.context.is_none()
    }

    /// Unwinds a coroutine that has not ended. `None` if it cannot be unwound: its stack is
    /// then leaked, with everything on it, as when a value it yields panics in its drop.
    ///
    /// # Safety
    /// The context is that of such a coroutine, which is suspended or was never resumed, or
    /// which this very code runs in.
    #[cold]
    unsafe fn unwind(context: ManuallyDrop<Context<()>>) -> Option<Result<Return, Payload>> {
        /// A loop around `catch_unwind` may swallow the unwinding this often.
        const PATIENCE: u32 = 100;
        // SAFETY: the context is there, and what changes in its block is not looked at.
        let control = unsafe { context.control().as_ref() };
        let tries = if control.contains(context::stack_pointer()) {
            0 // It runs: `process::exit` inside it destroys the thread-local that owns it.
        } else if context::CAN_UNWIND {
            PATIENCE
        } else {
            control.is_fresh().into()
        };
        for _ in 0..tries {
            // SAFETY: armed or suspended, by this function's contract and as the loop goes
            // on; the word is not looked at under this tag.
            let landed = unsafe { context::resume(context.control(), Word::uninit(), tag::UNWIND) };
            if landed.tag != tag::PAUSED {
                // SAFETY: not paused, so the entry has returned.
                return Some(unsafe { end(context, landed) });
            }
            // It caught the unwinding and suspended again.
            // SAFETY: `suspend` lent a Yield.
            drop(unsafe { context::take::<Yield>(landed.word) });
        }
        None
    }
}

/// Gives the stack back and hands out how the coroutine ended.
///
/// # Safety
/// Its entry has just returned what `landed` holds, with `Return` as its result.
#[inline]
unsafe fn end<Return>(
    context: ManuallyDrop<Context<()>>,
    landed: Landed,
) -> Result<Return, Payload> {
    // Gives the stack back at the end of this function, after the result is out.
    let _context = ManuallyDrop::into_inner(context);
    if landed.tag == tag::FINISHED {
        // SAFETY: the entry returned a Return with this word.
        Ok(unsafe { context::take(landed.word) })
    } else {
        // SAFETY: the only other tag is that of a panic.
        Err(unsafe { context::take_panic(landed.word) })
    }
}

impl<Input, Yield> Yielder<Input, Yield> {
    /// Suspends the coroutine: [`Coroutine::resume`] returns `value`. Returns the input of
    /// the next resume.
    ///
    /// If the coroutine is dropped instead, this call unwinds, so that the destructors
    /// between here and the closure run. Do not suspend in a destructor: when that happens
    /// while the coroutine unwinds, the process aborts, as for any panic in a destructor.
    #[inline(always)]
    pub fn suspend(&self, value: Yield) -> Input {
        let value = ManuallyDrop::new(value);
        // SAFETY: a yielder is a control block, and never null.
        let control = unsafe { NonNull::new_unchecked(self.control.get()) };
        // SAFETY: the resumer takes it while this frame is suspended.
        let word = unsafe { context::lend(&value) };
        // SAFETY: a yielder is only reachable from the inside of its coroutine.
        let answer = unsafe { context::pause(control, word) };
        if answer.tag != tag::GO {
            context::force_unwind();
        }
        // SAFETY: `resume` lent an Input.
        unsafe { context::take(answer.word) }
    }
}

impl<Input, Yield, Return> Drop for Coroutine<Input, Yield, Return> {
    fn drop(&mut self) {
        if let Some(context) = self.context.take() {
            if stack::thread_has_ended() {
                return; // Its frames may refer to thread-locals that are gone: it is leaked.
            }
            // SAFETY: a context that is there is armed or suspended.
            let ended = unsafe { Self::unwind(context) };
            // Its own panic on the way out was reported by the panic hook.
            drop(ended);
        }
    }
}

/// A context on a pooled stack, with [`room`](context::room) for a closure.
#[cfg(feature = "std")]
fn pooled(stack: StackConfig, room: usize) -> Result<Context<()>, StackError> {
    Context::with_room(PooledStack::new(stack)?, (), room)
}

#[cold]
#[inline(never)]
#[cfg(feature = "std")]
fn none_to_be_had(error: &StackError) -> ! {
    panic!("cannot make a coroutine: {error}")
}

#[cold]
#[inline(never)]
fn resumed_after_end() -> ! {
    panic!("a coroutine was resumed after it had returned or panicked")
}

impl<Input, Yield, Return> fmt::Debug for Coroutine<Input, Yield, Return> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coroutine").field("done", &self.is_done()).finish_non_exhaustive()
    }
}

impl<Input, Yield> fmt::Debug for Yielder<Input, Yield> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielder").finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<F> fmt::Display for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<F> core::error::Error for Refused<F> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}
