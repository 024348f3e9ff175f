//! Attempts on the soundness of coroutines, each of which the compiler must refuse, for
//! the reason given by the error code (`ci/doctests.sh` looks at it).
//!
//! A coroutine is used from another thread:
//! ```compile_fail,E0277
//! let coroutine = siding::coroutine::Coroutine::<(), (), ()>::new(|_, ()| ());
//! std::thread::scope(|threads| {
//!     threads.spawn(|| coroutine.is_done());
//! });
//! ```
//! A coroutine borrows a variable, and may be forgotten:
//! ```compile_fail,E0597
//! let local = String::new();
//! let borrowed = &local;
//! siding::coroutine::Coroutine::<(), (), usize>::new(move |_, ()| borrowed.len());
//! ```
//! Another thread suspends a coroutine:
//! ```compile_fail,E0277
//! use siding::coroutine::{Coroutine, Yielder};
//! Coroutine::new(|yielder: &Yielder<(), ()>, ()| {
//!     std::thread::scope(|threads| {
//!         threads.spawn(|| yielder.suspend(()));
//!     });
//! });
//! ```
//! The resumer suspends a coroutine, with its yielder taken out through a capture:
//! ```compile_fail,E0521
//! use siding::coroutine::{Yielder, scope};
//! let mut escaped = None;
//! scope(
//!     |yielder: &Yielder<(), ()>, ()| escaped = Some(yielder),
//!     |mut coroutine| coroutine.resume(()),
//! );
//! ```
//! The same, yielded:
//! ```compile_fail
//! use siding::coroutine::{Coroutine, Yielder};
//! struct Inside<'a>(&'a Yielder<(), Inside<'a>>);
//! Coroutine::new(|yielder: &Yielder<(), Inside>, ()| yielder.suspend(Inside(yielder)));
//! ```
//! The same, returned:
//! ```compile_fail
//! use siding::coroutine::{Coroutine, Yielder};
//! Coroutine::new(|yielder: &Yielder<(), ()>, ()| yielder);
//! ```
//! A frame yields a reference to its own variable:
//! ```compile_fail,E0597
//! use siding::coroutine::{Yielder, scope};
//! scope(
//!     |yielder: &Yielder<(), &String>, ()| {
//!         let local = String::new();
//!         yielder.suspend(&local);
//!     },
//!     |mut coroutine| coroutine.resume(()),
//! );
//! ```
//! The resumer's variable ends while the coroutine still has it as an input:
//! ```compile_fail,E0505
//! use siding::coroutine::{Yielder, scope};
//! scope(
//!     |yielder: &Yielder<&str, ()>, first: &str| {
//!         yielder.suspend(());
//!         first.len()
//!     },
//!     |mut coroutine| {
//!         let short = String::new();
//!         coroutine.resume(&short);
//!         drop(short);
//!         coroutine.resume("");
//!     },
//! );
//! ```
//! Both sides change the same variable:
//! ```compile_fail,E0499
//! use siding::coroutine::{Yielder, scope};
//! let mut shared = vec![1];
//! scope(
//!     |yielder: &Yielder<(), ()>, ()| shared.iter_mut().for_each(|_| yielder.suspend(())),
//!     |mut coroutine| {
//!         coroutine.resume(());
//!         shared.clear();
//!         coroutine.resume(());
//!     },
//! );
//! ```
//! A scoped coroutine leaves its scope as the result:
//! ```compile_fail
//! use siding::coroutine::{Yielder, scope};
//! scope(|_: &Yielder<(), ()>, ()| (), |coroutine| coroutine);
//! ```
//! A scoped coroutine moves into one that may be forgotten:
//! ```compile_fail,E0521
//! use siding::coroutine::{Coroutine, Yielder, scope};
//! scope(
//!     |_: &Yielder<(), ()>, ()| (),
//!     |mut scoped| {
//!         Coroutine::<(), (), ()>::new(move |_, ()| {
//!             scoped.resume(());
//!         });
//!     },
//! );
//! ```
//! A scoped coroutine is used from another thread:
//! ```compile_fail,E0277
//! use siding::coroutine::{Yielder, scope};
//! scope(
//!     |_: &Yielder<(), ()>, ()| (),
//!     |coroutine| {
//!         std::thread::scope(|threads| {
//!             threads.spawn(|| coroutine.is_done());
//!         });
//!     },
//! );
//! ```
