//! A stack in memory of the caller's.

use core::mem::MaybeUninit;

use super::Stack;

/// A stack in memory of the caller's: a `static`, what a linker script reserves, part of a
/// mapping. There is no guard but what the caller has put below it.
///
/// ```
/// use siding::coroutine::{Coroutine, CoroutineState};
/// use siding::stack::UnguardedStack;
///
/// let memory = Box::leak(Box::new_uninit_slice(64 << 10));
/// // SAFETY: the coroutine calls nothing that needs more.
/// let stack = unsafe { UnguardedStack::new(memory) };
/// let mut coroutine = Coroutine::with_stack(stack, |yielder, ()| yielder.suspend(1)).unwrap();
/// assert_eq!(coroutine.resume(()), CoroutineState::Yielded(1));
/// ```
#[derive(Debug)]
pub struct UnguardedStack {
    memory: *mut [MaybeUninit<u8>],
}

impl UnguardedStack {
    /// A stack in `memory`.
    ///
    /// # Safety
    ///
    /// What runs on the stack, handlers of signals or interrupts too, does not overflow it; or
    /// the memory below is a guard that ends the program. The system lets a stack lie there:
    /// OpenBSD ends a process whose stack pointer is outside memory mapped with `MAP_STACK`.
    pub const unsafe fn new(memory: &'static mut [MaybeUninit<u8>]) -> Self {
        UnguardedStack { memory }
    }

    /// The same in memory that may be used again once the stack has been dropped: when what
    /// runs there has ended. That of a coroutine which was leaked is never dropped.
    ///
    /// # Safety
    ///
    /// As [`new`](Self::new). Until it is dropped the memory is readable and writable and
    /// nothing else uses it.
    pub const unsafe fn from_raw(memory: *mut [MaybeUninit<u8>]) -> Self {
        UnguardedStack { memory }
    }
}

// SAFETY: the memory is this stack's alone, by the contracts of the constructors, and so are
// overflows the caller's business.
unsafe impl Stack for UnguardedStack {
    fn top(&self) -> *mut u8 {
        self.bottom().wrapping_add(self.memory.len())
    }

    fn bottom(&self) -> *mut u8 {
        self.memory.cast()
    }
}
