//! Coroutines that borrow, ended before their scope returns.

use std::io::{self, Write};
use std::{mem, process};

use super::{Coroutine, CoroutineState, Yielder, pooled};
use crate::context;
use crate::stack::{StackConfig, StackError};

/// A coroutine inside its [`scope`].
///
/// It cannot leave:
///
/// ```compile_fail,E0521
/// use siding::coroutine::{Scoped, scope};
/// let mut escaped: Option<Scoped<'_, (), (), ()>> = None;
/// scope(|_, ()| (), |coroutine| escaped = Some(coroutine)).unwrap();
/// ```
pub struct Scoped<'scope, Input, Yield, Return> {
    // A reference, so that swapping two `Scoped` cannot move a coroutine out of its scope.
    coroutine: &'scope mut Coroutine<Input, Yield, Return>,
}

impl<Input, Yield, Return> Scoped<'_, Input, Yield, Return> {
    /// Runs the coroutine until it suspends or returns, as [`Coroutine::resume`].
    ///
    /// # Panics
    ///
    /// As [`Coroutine::resume`].
    #[inline(always)]
    pub fn resume(&mut self, input: Input) -> CoroutineState<Yield, Return> {
        self.coroutine.resume(input)
    }

    /// Whether it has returned or panicked.
    pub fn is_done(&self) -> bool {
        self.coroutine.is_done()
    }
}

/// Runs `body` with a coroutine whose closure may borrow from outside the scope. When
/// `body` is done the coroutine is too: finished, or unwound before `scope` returns.
///
/// ```
/// let words = vec!["pause", "resume"];
/// let lengths = siding::coroutine::scope(
///     |yielder, ()| words.iter().for_each(|word| yielder.suspend(word.len())),
///     |mut coroutine| [coroutine.resume(()), coroutine.resume(())],
/// );
/// # use siding::coroutine::CoroutineState::Yielded;
/// assert_eq!(lengths.unwrap(), [Yielded(5), Yielded(6)]);
/// ```
///
/// What it borrows must outlive the scope:
///
/// ```compile_fail,E0597
/// use siding::coroutine::{Yielder, scope};
/// let mut keep: Vec<&String> = Vec::new();
/// {
///     let short = String::new();
///     let push = |_: &Yielder<(), ()>, ()| keep.push(&short);
///     scope(push, |mut coroutine| coroutine.resume(())).unwrap();
/// }
/// keep.clear();
/// ```
///
/// # Errors
///
/// If no stack can be had; both closures are dropped.
///
/// # Aborts
///
/// If the coroutine is still suspended and cannot be unwound, because it keeps catching
/// the unwinding, a value that it yields meanwhile panics when dropped, or the program is
/// built with `panic = "abort"`: what it borrows is about to go away.
pub fn scope<Input, Yield, Return, T>(
    closure: impl FnOnce(&Yielder<Input, Yield>, Input) -> Return,
    body: impl FnOnce(Scoped<'_, Input, Yield, Return>) -> T,
) -> Result<T, StackError> {
    // For a type without a name.
    const fn room<F, R>(_: &F) -> usize {
        context::room::<F, R>()
    }

    struct EndOnDrop<I, Y, R>(Coroutine<I, Y, R>);
    impl<I, Y, R> Drop for EndOnDrop<I, Y, R> {
        fn drop(&mut self) {
            let Some(context) = self.0.context.take() else { return };
            let abort = AbortOnDrop;
            // SAFETY: a context that is there is armed or suspended.
            let ended = unsafe { Coroutine::<I, Y, R>::unwind(context) };
            if ended.is_some() {
                mem::forget(abort);
            }
        }
    }

    struct AbortOnDrop;
    impl Drop for AbortOnDrop {
        fn drop(&mut self) {
            // Not `eprintln`: it panics where nobody reads stderr.
            let _ = writeln!(io::stderr(), "siding: a scoped coroutine could not be unwound");
            process::abort();
        }
    }

    let context = pooled(StackConfig::DEFAULT, room::<_, Return>(&closure))?;
    // SAFETY: the context is new, with room for the closure. This frame owns the coroutine and
    // ends it before it returns or unwinds; the body only ever sees a reference.
    let mut coroutine = EndOnDrop(unsafe { Coroutine::armed(context, closure) });
    Ok(body(Scoped { coroutine: &mut coroutine.0 }))
}
