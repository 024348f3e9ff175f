//! Failing system calls on demand, for tests: under `--cfg siding_faults` the Nth call of a
//! kind fails without being made. Otherwise nothing of this is there.

#[cfg(not(siding_faults))]
use std::io;

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(siding_faults), allow(dead_code))]
pub enum Kind {
    /// `mmap` of a stack or slab.
    Map,
    /// `madvise`, of one range.
    Advise,
    /// `process_madvise`, of many, and the descriptor for it.
    AdviseMany,
    /// `mprotect`.
    Protect,
    /// `mlock2`.
    Lock,
    /// `mincore`.
    Resident,
    /// `pipe`, as the kernel is asked whether it heeds advice.
    Pipe,
    /// `eventfd`.
    EventFd,
    /// `sigaction`.
    SigAction,
    /// `sigaltstack`.
    SigStack,
    /// No call: this thread is to have a hardware shadow stack.
    ShadowStack,
}

#[cfg(not(siding_faults))]
#[inline(always)]
pub(super) fn check(_: Kind) -> io::Result<()> {
    Ok(())
}

#[cfg(siding_faults)]
pub(super) use on_demand::check;
#[cfg(siding_faults)]
pub use on_demand::{Plan, injected};

#[cfg(siding_faults)]
mod on_demand {
    use std::cell::Cell;
    use std::io;

    use super::Kind;

    /// Which calls of this thread fail, and how.
    #[derive(Clone, Copy, Debug)]
    pub struct Plan {
        /// Calls of this kind.
        pub kind: Kind,
        /// The one that fails first, counted from 1 ...
        pub nth: usize,
        /// ... and whether all later ones do, too.
        pub on: bool,
        /// What they say.
        pub errno: i32,
    }

    thread_local! {
        static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
        static FIRED: Cell<bool> = const { Cell::new(false) };
    }

    /// Runs `f` under the plan. Whether a call has failed by it.
    pub fn injected<T>(plan: Plan, f: impl FnOnce() -> T) -> (T, bool) {
        PLAN.set(Some(plan));
        FIRED.set(false);
        let value = f();
        PLAN.set(None);
        (value, FIRED.get())
    }

    pub(in crate::sys) fn check(kind: Kind) -> io::Result<()> {
        let Some(mut plan) = PLAN.get().filter(|plan| plan.kind == kind) else { return Ok(()) };
        let fails = plan.nth <= 1 && (plan.on || !FIRED.get());
        plan.nth = plan.nth.saturating_sub(1);
        PLAN.set(Some(plan));
        if fails {
            FIRED.set(true);
            return Err(io::Error::from_raw_os_error(plan.errno));
        }
        Ok(())
    }
}
