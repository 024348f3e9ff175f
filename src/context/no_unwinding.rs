//! Without std nobody catches a panic: it is the business of the program's panic handler, on
//! the stack of whatever panics. And nothing suspended is ever unwound.

use core::mem;

/// As in `unwinding.rs`, with a std.
pub(crate) const CAN_UNWIND: bool = false;

/// How a context ended that was dropped before it began.
pub(crate) struct Payload;

pub(super) fn forced() -> Payload {
    Payload
}

#[cold]
pub(crate) fn force_unwind() -> ! {
    unreachable!("what is suspended is not unwound")
}

pub(crate) fn go_on_panicking(_: Payload) -> ! {
    unreachable!("no panic is caught")
}

/// Runs `f`. A program may unwind all the same, and must not through the trampoline: a second
/// panic ends it.
#[inline(always)]
pub(super) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Payload> {
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            panic!("a panic would leave a coroutine");
        }
    }
    let end = End;
    let value = f();
    mem::forget(end);
    Ok(value)
}
