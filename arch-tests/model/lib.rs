//! The wake protocol of siding, `src/job/wake.rs` and `src/job/inbox.rs` as they are, on
//! loom's atomics: loom runs every interleaving, and every order that its memory model
//! allows. Here are the stand-ins for what lies below them ([`sync`], [`sys`]) and above
//! ([`drivers`]).
//!
//! What loom cannot see: a load that takes its value from a store that comes later in some
//! thread ("load buffering"), and read-modify-writes of one thread that others see in another
//! order than that of the program. Nor does it see what is below: how a compiler or an
//! emulator makes instructions of these orders. The waker of a task and the eventfd are
//! stand-ins, and so are a fork and a signal that interrupts its own thread not modelled.

pub mod drivers;
// Some of it is only for others than the drivers here.
#[allow(dead_code)]
#[path = "../../src/job/inbox.rs"]
mod inbox;
mod sync;
mod sys;
#[allow(dead_code)]
#[path = "../../src/job/wake.rs"]
mod wake;

/// As without the feature of that name.
mod trace {
    pub(crate) fn woken() {}
}

/// Runs `model` in every order, but for those in which more than so many threads are
/// interrupted where they do not wait.
pub fn check(preemptions: impl Into<Option<usize>>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions.into();
    builder.check(model);
}
