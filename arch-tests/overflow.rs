//! Overflowing a coroutine's stack kills the process before it reaches other memory, and
//! nothing less than that does.
#![allow(unsafe_code, reason = "writes below a stack")]

use std::hint::black_box;
use std::ops::Range;

use crate::common::{dies_by, passes};
use siding::coroutine::{Coroutine, Yielder};
use siding::stack::{GuardedStack, PooledStack, Stack, StackConfig, StackError};

#[cfg(windows)]
mod queried;

/// Runs `f` in a coroutine on `stack`; it is told the usable range.
fn run_on<S: Stack + 'static>(stack: S, f: impl FnOnce(Range<usize>) + 'static) {
    let range = stack.bottom().addr()..stack.top().addr();
    let closure = move |_: &Yielder<(), ()>, ()| f(range);
    Coroutine::with_stack(stack, closure).expect("large enough").resume(());
}

fn guarded() -> GuardedStack {
    GuardedStack::new(StackConfig::DEFAULT).expect("there is memory")
}

fn pooled() -> PooledStack {
    PooledStack::new(StackConfig::DEFAULT).expect("there is memory")
}

/// Writes one byte, without any check on the way there.
fn poke(address: usize) {
    let place = std::ptr::with_exposed_provenance_mut::<u8>(address);
    // SAFETY: either unused memory of the stack the caller runs on, or a guard, where the
    // process ends.
    unsafe { place.write_volatile(1) };
}

/// Recurses until fewer than `spare` bytes are left above `bottom`.
#[inline(never)]
fn recurse(bottom: usize, spare: usize) -> usize {
    let frame = black_box([1_u8; 64]);
    if (&raw const frame).addr() < bottom.saturating_add(spare) {
        return 0;
    }
    recurse(bottom, spare) + usize::from(frame[63])
}

mod recursion {
    use super::*;

    #[test]
    fn endless_recursion_dies_by_sigsegv() {
        dies_by(libc::SIGSEGV, || {
            run_on(guarded(), |_| {
                black_box(recurse(0, 0));
            });
        });
    }

    #[test]
    fn endless_recursion_on_a_pooled_stack_dies_by_sigsegv() {
        dies_by(libc::SIGSEGV, || {
            run_on(pooled(), |_| {
                black_box(recurse(0, 0));
            });
        });
    }

    #[test]
    fn endless_recursion_in_a_job_dies_by_sigsegv() {
        dies_by(libc::SIGSEGV, || {
            let _ = siding::job::start(|| recurse(0, 0));
        });
    }

    #[test]
    fn recursion_to_just_above_the_guard_passes() {
        passes(|| run_on(guarded(), |stack| assert!(recurse(stack.start, 1024) > 500)));
    }

    #[test]
    fn recursion_to_just_above_the_guard_passes_on_a_pooled_stack() {
        passes(|| run_on(pooled(), |stack| assert!(recurse(stack.start, 1024) > 500)));
    }

    #[test]
    fn a_frame_larger_than_stack_and_guard_dies_by_sigsegv() {
        dies_by(libc::SIGSEGV, || {
            run_on(guarded(), |_| {
                black_box(&mut [0_u8; 1 << 20]);
            });
        });
    }
}

/// C code without stack probes may jump over a part of the guard, but not over all of it.
mod jumps {
    use super::*;

    const GUARD: usize = StackConfig::DEFAULT.guard;

    #[test]
    fn the_lowest_usable_byte_can_be_written() {
        passes(|| run_on(guarded(), |stack| poke(stack.start)));
    }

    #[test]
    fn the_byte_below_the_bottom_cannot() {
        dies_by(libc::SIGSEGV, || run_on(guarded(), |stack| poke(stack.start - 1)));
    }

    #[test]
    fn the_middle_of_the_guard_cannot() {
        dies_by(libc::SIGSEGV, || run_on(guarded(), |stack| poke(stack.start - GUARD / 2)));
    }

    #[test]
    fn the_lowest_byte_of_the_guard_cannot() {
        dies_by(libc::SIGSEGV, || run_on(guarded(), |stack| poke(stack.start - GUARD)));
    }

    #[test]
    fn the_byte_below_the_bottom_of_a_pooled_stack_cannot() {
        dies_by(libc::SIGSEGV, || run_on(pooled(), |stack| poke(stack.start - 1)));
    }

    #[test]
    fn the_lowest_byte_of_the_guard_of_a_pooled_stack_cannot() {
        dies_by(libc::SIGSEGV, || run_on(pooled(), |stack| poke(stack.start - GUARD)));
    }
}

/// Sizes that cannot be are errors.
mod sizes {
    use super::*;

    fn refused(size: usize, guard: usize) -> StackError {
        GuardedStack::new(StackConfig::with_size(size).guard(guard)).unwrap_err()
    }

    #[test]
    fn no_size_is_too_small() {
        assert!(matches!(refused(0, 4096), StackError::TooSmall { size: 0, .. }));
    }

    #[test]
    fn one_byte_is_too_small() {
        assert!(matches!(refused(1, 4096), StackError::TooSmall { size: 1, .. }));
    }

    #[test]
    fn one_byte_less_than_the_least_is_too_small() {
        let min = StackConfig::min_size();
        let StackError::TooSmall { min: said, .. } = refused(min - 1, 4096) else {
            panic!("too small");
        };
        assert_eq!(said, min);
    }

    #[test]
    fn the_least_size_is_enough() {
        let config = StackConfig::with_size(StackConfig::min_size());
        let stack = GuardedStack::new(config).expect("enough");
        assert!(stack.top().addr() - stack.bottom().addr() >= config.size);
    }

    #[test]
    fn all_of_the_address_space_is_too_large() {
        assert!(matches!(refused(usize::MAX, 4096), StackError::TooLarge { .. }));
    }

    #[test]
    fn more_than_half_of_the_address_space_is_too_large() {
        assert!(matches!(refused(isize::MAX as usize, 4096), StackError::TooLarge { .. }));
    }

    #[test]
    fn a_guard_as_large_as_the_address_space_is_too_large() {
        assert!(matches!(refused(64 << 10, usize::MAX), StackError::TooLarge { .. }));
    }

    #[test]
    fn what_the_kernel_cannot_map_is_an_error() {
        // Nearly half of what an address can say: with 32 bits that is there once.
        const HALF: usize = isize::MAX as usize / 16 * 15;
        let _taken = GuardedStack::new(StackConfig::with_size(HALF));
        assert!(matches!(refused(HALF, 4096), StackError::Map(_)));
    }
}

mod least {
    use super::*;

    const SIZE: fn() -> StackConfig = || StackConfig::with_size(StackConfig::min_size());

    #[test]
    fn a_coroutine_runs_on_the_least_pooled_stack() {
        passes(|| {
            let mut coroutine = Coroutine::<(), (), ()>::try_new(SIZE(), |_, ()| ()).unwrap();
            coroutine.resume(());
        });
    }

    #[test]
    fn a_suspended_coroutine_unwinds_on_the_least_pooled_stack() {
        passes(|| {
            let closure = |yielder: &Yielder<(), ()>, ()| yielder.suspend(());
            let mut coroutine = Coroutine::try_new(SIZE(), closure).unwrap();
            coroutine.resume(());
            drop(coroutine);
        });
    }
}

// On Windows nobody reports.
#[cfg(unix)]
mod reports {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use siding::job::{self, Options};

    use super::*;
    use crate::common::exits_with;

    fn overflow(options: Options) -> usize {
        let _ = options.start(|| recurse(0, 0));
        unreachable!("it dies")
    }

    #[test]
    fn a_job_that_overflows_is_named_if_asked_for_and_dies_all_the_same() {
        let dies = |report: bool, options: Options| {
            dies_by(libc::SIGSEGV, move || {
                if report {
                    job::report_overflows().expect("handlers can be had");
                }
                overflow(options);
            })
        };
        let said = dies(true, Options::new().name("the parser"));
        assert!(
            said.contains("siding: stack overflow in a job named the parser, run 0x"),
            "{said}"
        );
        let said = dies(true, Options::new());
        assert!(said.contains("in a job without a name (Options::name), run 0x"), "{said}");
        const LONG: &[u8] = &[b'x'; 1000];
        let long = std::str::from_utf8(LONG).unwrap();
        let said = dies(true, Options::new().name(long));
        assert!(said.contains("xx, run 0x") && said.contains(", on thread "), "{said}");
        let said = dies(false, Options::new().name("the parser"));
        assert!(!said.contains("siding:"), "{said}");
    }

    /// The name is that of the run, not of an earlier one in the same place.
    #[test]
    fn a_job_that_is_recycled_does_not_inherit_a_name() {
        let said = dies_by(libc::SIGSEGV, || {
            job::report_overflows().expect("handlers can be had");
            let _ = Options::new().name("the first").start(|| ());
            overflow(Options::new());
        });
        assert!(said.contains("without a name"), "{said}");
    }

    #[test]
    fn a_handler_of_before_is_called_as_it_would_have_been() {
        static EXPECTED: AtomicUsize = AtomicUsize::new(0);
        extern "C" fn before(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
            // SAFETY: the kernel's, for this call.
            let info = unsafe { &*info };
            // SAFETY: a SIGSEGV has an address.
            let address = unsafe { info.si_addr() }.addr();
            let expected = EXPECTED.load(Relaxed);
            let right = (expected.saturating_sub(64 << 10)..expected).contains(&address);
            // SAFETY: async-signal-safe.
            unsafe { libc::_exit(if right { 7 } else { 8 }) };
        }
        exits_with(7, || {
            // SAFETY: all zero is a valid value.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            action.sa_sigaction = before as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            // SAFETY: an async-signal-safe handler.
            unsafe { libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut()) };
            job::report_overflows().expect("handlers can be had");
            let _ = job::start(|| {
                let here = (&raw const EXPECTED).addr();
                let local = 0_u8;
                // The bottom, to a page: the stack is 256 KiB and this frame near its top.
                EXPECTED.store((&raw const local).addr() - (250 << 10), Relaxed);
                recurse(0, 0) + here
            });
        });
    }
}

mod measured {
    use std::panic::{self, AssertUnwindSafe};

    use siding::job::{self, Options};

    use super::*;

    #[test]
    fn a_bound_on_the_use_of_a_stack_is_asserted() {
        let use_some = |bytes: usize| move || recurse_for(bytes);
        let (_, little) = job::stack_use(&Options::new(), use_some(0)).unwrap();
        let (_, much) = job::stack_use(&Options::new(), use_some(50 << 10)).unwrap();
        let (_, again) = job::stack_use(&Options::new(), use_some(0)).unwrap();
        assert!(little < 32 << 10 && (50 << 10..100 << 10).contains(&much), "{little} {much}");
        assert_eq!(little, again, "what another has left does not count");
        job::assert_stack_use(much, use_some(50 << 10));
        let fails = || job::assert_stack_use(much / 2, use_some(50 << 10));
        let payload = panic::catch_unwind(AssertUnwindSafe(fails)).unwrap_err();
        let said = payload.downcast::<String>().unwrap();
        assert!(said.contains(&format!("used {much} bytes")), "{said}");
    }

    #[test]
    fn what_is_measured_may_pause_and_panic() {
        let pauses = || {
            let before = recurse_for(20 << 10);
            job::pause().unwrap();
            before
        };
        assert!(job::stack_use(&Options::new(), pauses).unwrap().1 > 20 << 10);
        let panics = || job::assert_stack_use(0, || panic!("on purpose"));
        let payload = panic::catch_unwind(panics).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"on purpose"));
    }

    fn recurse_for(bytes: usize) -> usize {
        let here = 0_u8;
        recurse((&raw const here).addr().saturating_sub(bytes), 0)
    }
}
