//! The wake protocol of siding, `src/job/wake.rs` and `src/job/inbox.rs` as they are, on
//! loom's atomics: loom runs every interleaving, and every order that its memory model
//! allows. Here are the stand-ins for what lies below them ([`sync`], [`sys`]) and above
//! ([`drivers`]).
//!
//! What loom cannot see: a load that finds a store which comes later in the program ("load
//! buffering"), for which `Slot::taken_out` releases `next`; changes of two words by one thread
//! that others see the other way round; and what is below, how a compiler, a processor or an
//! emulator carries out these orders. A task's waker and the eventfd are stand-ins. Forks, and
//! signals that interrupt a waker or driver on its own thread, are not modelled.

pub mod drivers;
#[allow(dead_code)]
#[path = "../../src/job/free.rs"]
mod free;
// Some of it is only for others than the drivers here.
#[allow(dead_code)]
#[path = "../../src/job/inbox.rs"]
mod inbox;
mod sync;
mod sys;
#[allow(dead_code)]
#[path = "../../src/job/wake.rs"]
mod wake;

mod fork {
    pub(crate) fn prepare() {}
}

/// As without the feature of that name.
mod trace {
    pub(crate) fn woken() {}
}

/// What loom's statics are made by, anew for each order.
impl<T> Default for free::Free<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs `model` in every order; if told so, but for those with more than so many preemptions,
/// switches away from a thread that could go on.
pub fn check(preemptions: impl Into<Option<usize>>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions.into();
    builder.check(model);
}
