//! Panics and forced unwinding, which end at the entry of a context.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

/// Whether what is suspended can be unwound.
pub(crate) const CAN_UNWIND: bool = cfg!(panic = "unwind");

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// The payload of a forced unwind: private, so nobody else can make one. Whoever catches
/// one can raise it again, elsewhere too: it says how a context ended, never why.
struct ForcedUnwind;

#[inline]
pub(super) fn forced() -> Payload {
    Box::new(ForcedUnwind)
}

/// Unwinds the innermost context to its entry, running destructors, without calling the
/// panic hook. Plain Rust: it starts after the switch has returned.
#[cold]
pub(crate) fn force_unwind() -> ! {
    go_on_panicking(forced())
}

/// Goes on with a panic on the resumer's side.
#[cold]
pub(crate) fn go_on_panicking(payload: Payload) -> ! {
    panic::resume_unwind(payload)
}

/// Runs `f`, and no panic gets out.
#[inline(always)]
pub(super) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Payload> {
    panic::catch_unwind(AssertUnwindSafe(f))
}
