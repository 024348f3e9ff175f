//! Stacks: guards that kill, pools that reuse and give back, limits that are errors.
#![allow(unsafe_code)]

mod limits;
mod options;

use std::cell::RefCell;
use std::collections::HashSet;
use std::mem;
use std::ops::Range;
use std::sync::mpsc;
use std::thread;

use crate::common::{Ending, fork_and_listen};
use siding::stack::{
    self, GuardMode, GuardedStack, PooledStack, Stack, StackConfig, StackError, set_pool_limit,
};

const SMALL: StackConfig = StackConfig::with_size(32 << 10).guard(16 << 10);

/// Nearly half of what an address can say: no 64-bit system maps that, a 32-bit one only once.
const ENDLESS: StackConfig = StackConfig::with_size(isize::MAX as usize / 16 * 15);

/// Runs a part of a test in a child: it may change limits, and counts on nobody else using
/// stacks meanwhile.
fn passes(test: impl FnOnce()) {
    let (ending, said) = fork_and_listen(test);
    assert_eq!(ending, Ending::Exited(0), "{said}");
}

fn dies_by(signal: libc::c_int, test: impl FnOnce()) {
    let (ending, said) = fork_and_listen(test);
    assert_eq!(ending, Ending::Killed(signal), "{said}");
}

fn pooled(config: StackConfig) -> PooledStack {
    PooledStack::new(config).expect("a stack")
}

fn many(config: StackConfig, count: usize) -> Vec<PooledStack> {
    (0..count).map(|_| pooled(config)).collect()
}

/// Writes one byte, wherever that is.
fn poke(address: *mut u8) {
    // SAFETY: the tests poke into stacks nobody runs on, or where they are to be killed.
    unsafe { address.write_volatile(0x5a) };
}

fn peek(address: *mut u8) -> u8 {
    // SAFETY: only ever inside a stack.
    unsafe { address.read_volatile() }
}

fn range(stack: &impl Stack) -> Range<usize> {
    stack.bottom().addr()..stack.top().addr()
}

/// Both ends of a stack can be written to; both ends of its guard kill.
fn is_guarded(stack: &impl Stack, guard: usize) {
    passes(|| {
        poke(stack.bottom());
        poke(stack.top().wrapping_sub(1));
    });
    dies_by(libc::SIGSEGV, || poke(stack.bottom().wrapping_sub(1)));
    dies_by(libc::SIGSEGV, || poke(stack.bottom().wrapping_sub(guard)));
}

/// Whether this kernel refuses advice that makes no sense; emulators may not.
pub fn kernel_heeds_advice() -> bool {
    let stack = GuardedStack::new(SMALL).expect("a stack");
    // SAFETY: no such advice exists, so nothing can happen.
    unsafe { libc::madvise(stack.bottom().cast(), 4096, 9999) == -1 }
}

/// All stacks of the first slab of a fresh pool, by address.
fn first_slab(config: StackConfig) -> Vec<PooledStack> {
    let before = stack::stats().slabs;
    let mut stacks = vec![pooled(config)];
    loop {
        let next = pooled(config);
        if stack::stats().slabs > before + 1 {
            break;
        }
        stacks.push(next);
    }
    stacks.sort_by_key(|stack| stack.top());
    stacks
}

mod guards {
    use super::*;

    #[test]
    fn a_stack_of_its_own_has_one() {
        is_guarded(&GuardedStack::new(SMALL).expect("a stack"), SMALL.guard);
    }

    #[test]
    fn the_first_and_the_last_stack_of_a_slab_have_one() {
        thread::scope(|scope| {
            scope.spawn(|| {
                let slab = first_slab(SMALL);
                assert!(slab.len() > 1);
                is_guarded(&slab[0], SMALL.guard);
                is_guarded(slab.last().expect("more than one"), SMALL.guard);
            });
        });
    }

    #[test]
    fn all_stacks_of_a_large_slab_have_one() {
        passes(|| {
            stack::reserve(SMALL, 600).expect("stacks");
            for stack in many(SMALL, 600).iter().step_by(100) {
                dies_by(libc::SIGSEGV, || poke(stack.bottom().wrapping_sub(1)));
            }
        });
    }

    #[test]
    fn they_survive_giving_back_the_memory() {
        passes(|| {
            let stacks = many(SMALL, 20);
            stacks.iter().for_each(|stack| poke(stack.bottom()));
            set_pool_limit(0);
            drop(stacks);
            let again = pooled(SMALL);
            assert_eq!(peek(again.bottom()), 0, "still the old memory");
            is_guarded(&again, SMALL.guard);
        });
    }

    #[test]
    fn the_mode_is_what_a_guard_does() {
        let page = 4096.max(stack::StackConfig::DEFAULT.guard);
        let stack = GuardedStack::new(StackConfig::with_size(1 << 20)).expect("a stack");
        let installed = kernel_heeds_advice() && {
            // SAFETY: advice 102 installs a guard or is refused; nobody uses the stack.
            unsafe { libc::madvise(stack.bottom().cast(), page, 102) == 0 }
        };
        let expected = match installed && !cfg!(siding_mprotect_guards) {
            true => GuardMode::Madvise,
            false => GuardMode::Mprotect,
        };
        assert_eq!(stack::guard_mode(), expected);
        assert_eq!(stack::stats().guard_mode, expected);
    }

    #[test]
    fn madvise_guards_cost_no_mappings() {
        passes(|| {
            let before = stack::stats();
            let _kept = many(SMALL, 1000);
            let now = stack::stats();
            let (slabs, mappings) = (now.slabs - before.slabs, now.mappings - before.mappings);
            match stack::guard_mode() {
                GuardMode::Madvise => assert!(mappings == slabs && slabs < 10),
                _ => assert!(mappings >= 2000),
            }
        });
    }
}

mod sizes {
    use super::*;

    fn both(config: StackConfig) -> [StackError; 2] {
        let own = GuardedStack::new(config).expect_err("a stack nobody can have");
        [own, PooledStack::new(config).expect_err("a stack nobody can have")]
    }

    #[test]
    fn too_small_is_an_error() {
        for size in [0, 1, StackConfig::min_size() - 1] {
            for error in both(StackConfig::with_size(size)) {
                let StackError::TooSmall { size: told, min } = error else { panic!("{error}") };
                assert_eq!((told, min), (size, StackConfig::min_size()));
            }
        }
    }

    #[test]
    fn no_guard_is_an_error() {
        for error in both(SMALL.guard(0)) {
            assert!(matches!(error, StackError::NoGuard), "{error}");
        }
    }

    #[test]
    fn sizes_that_overflow_are_errors() {
        const HUGE: usize = isize::MAX as usize;
        for (size, guard) in [
            (usize::MAX, 1),
            (usize::MAX - 8191, 8192),
            (HUGE, 65536),
            (65536, usize::MAX),
            (65536, HUGE),
            (HUGE - 65536, HUGE),
        ] {
            for error in both(StackConfig::with_size(size).guard(guard)) {
                assert!(matches!(error, StackError::TooLarge { .. }), "{error}");
            }
        }
    }

    #[test]
    fn more_than_the_address_space_is_an_error() {
        let _taken = GuardedStack::new(ENDLESS);
        for error in both(ENDLESS) {
            assert!(matches!(error, StackError::Map(_)), "{error}");
        }
    }

    #[test]
    fn every_stack_has_the_size_asked_for() {
        for size in [StackConfig::min_size(), 20_000, 65_536] {
            let config = StackConfig::with_size(size);
            assert!(GuardedStack::new(config).expect("a stack").size() >= size);
            assert!(many(config, 40).iter().all(|stack| range(stack).len() >= size));
        }
    }
}

mod pool {
    use super::*;

    #[test]
    fn the_last_one_returned_is_the_first_reused() {
        let (a, b) = (pooled(SMALL), pooled(SMALL));
        let (range_a, range_b) = (range(&a), range(&b));
        assert_ne!(range_a, range_b);
        drop(a);
        drop(b);
        let first = pooled(SMALL);
        assert_eq!(range(&first), range_b);
        assert_eq!(range(&pooled(SMALL)), range_a);
    }

    #[test]
    fn kinds_are_not_mixed() {
        let large = StackConfig::with_size(1 << 20);
        for _ in 0..100 {
            let (a, b) = (pooled(SMALL), pooled(large));
            assert!(range(&a).len() < 1 << 20 && range(&b).len() >= 1 << 20);
        }
    }

    #[test]
    fn stacks_do_not_overlap() {
        let mut ranges: Vec<_> = many(SMALL, 300).iter().map(range).collect();
        ranges.sort_by_key(|range| range.start);
        assert!(ranges.windows(2).all(|pair| pair[0].end + SMALL.guard <= pair[1].start));
    }

    #[test]
    fn tops_are_staggered_by_cache_lines() {
        let stacks = many(SMALL, 32);
        let offsets: HashSet<_> = stacks.iter().map(|stack| stack.top().addr() % 4096).collect();
        assert!(offsets.iter().all(|offset| offset % 64 == 0));
        assert!(offsets.len() >= 16, "{} different offsets", offsets.len());
    }

    #[test]
    fn a_batch_is_ready_when_reserved() {
        passes(|| {
            stack::reserve(SMALL, 1000).expect("stacks");
            let before = stack::stats();
            assert_eq!((before.live, before.idle), (0, 1000));
            let stacks = many(SMALL, 1000);
            let now = stack::stats();
            assert_eq!((now.live, now.idle, now.slabs), (1000, 0, before.slabs));
            if before.guard_mode == GuardMode::Madvise {
                assert!(stacks.iter().all(|stack| is_resident(stack.top().wrapping_sub(1))));
            }
        });
    }

    #[test]
    fn a_batch_that_is_refused_leaves_the_limit_as_it_was() {
        passes(|| {
            set_pool_limit(2);
            let refused = stack::reserve(StackConfig::with_size(1024), 10_000);
            assert!(matches!(refused, Err(StackError::TooSmall { .. })), "{refused:?}");
            drop(many(SMALL, 8));
            let idle = stack::stats().idle;
            assert!(idle <= 2, "{idle} are kept");
        });
    }

    #[cfg_attr(target_os = "openbsd", expect(deprecated, reason = "gone; nor is it called there"))]
    fn is_resident(address: *mut u8) -> bool {
        let page = address.with_addr(address.addr() & !4095);
        let mut answer = 0_u8;
        // SAFETY: writes one byte for one page.
        assert_eq!(unsafe { libc::mincore(page.cast(), 4096, (&raw mut answer).cast()) }, 0);
        answer & 1 != 0
    }

    #[test]
    fn idle_stacks_beyond_the_limit_give_everything_back() {
        passes(|| {
            set_pool_limit(10);
            let before = stack::stats();
            let slabs = || stack::stats().slabs - before.slabs;
            let stacks = many(SMALL, 1000);
            assert!(slabs() > 3);
            drop(stacks);
            let now = stack::stats();
            assert_eq!(now.live, 0);
            assert!(now.idle <= 10);
            assert!(slabs() <= 3, "the idle ones are in one or two, and a spare one: {now:?}");
            set_pool_limit(0);
            assert_eq!(stack::stats().idle, 0);
            assert_eq!(slabs(), 1, "all but a spare one");
        });
    }

    #[test]
    fn errno_stays() {
        passes(|| {
            let _taken = GuardedStack::new(ENDLESS);
            let errno = crate::common::errno::errno();
            // SAFETY: this thread's own, here and below.
            unsafe { errno.write(4711) };
            set_pool_limit(0);
            drop(many(SMALL, 100));
            PooledStack::new(ENDLESS).expect_err("no such stack");
            // SAFETY: as above.
            assert_eq!(unsafe { errno.read() }, 4711);
        });
    }
}

mod threads {
    use super::*;

    #[test]
    fn one_that_ends_gives_its_slabs_back() {
        passes(|| {
            let before = stack::stats();
            thread::spawn(|| drop(many(SMALL, 100))).join().expect("no panic");
            assert_eq!(stack::stats(), before);
        });
    }

    #[test]
    fn a_leaked_stack_is_never_reused_or_unmapped() {
        passes(|| {
            let before = stack::stats();
            let bottom = thread::spawn(|| {
                let stack = pooled(SMALL);
                let bottom = stack.bottom().expose_provenance();
                poke(stack.bottom());
                mem::forget(stack);
                set_pool_limit(0);
                let others = many(SMALL, 100);
                assert!(others.iter().all(|other| other.bottom().addr() != bottom));
                bottom
            })
            .join()
            .expect("no panic");
            assert_eq!(stack::stats().slabs, before.slabs + 1);
            assert_eq!(peek(std::ptr::with_exposed_provenance_mut(bottom)), 0x5a);
        });
    }

    #[test]
    fn a_stack_returned_elsewhere_goes_home() {
        passes(|| {
            let stacks = many(SMALL, 16);
            let home: HashSet<_> = stacks.iter().map(range).collect();
            stacks.iter().for_each(|stack| poke(stack.bottom()));
            thread::spawn(move || drop(stacks)).join().expect("no panic");
            assert_eq!(stack::stats().live, 0);
            let again = many(SMALL, 16);
            assert!(again.iter().all(|stack| home.contains(&range(stack))));
            assert!(again.iter().all(|stack| peek(stack.bottom()) == 0));
        });
    }

    #[test]
    fn a_stack_returned_elsewhere_is_not_used_there() {
        let mine = many(SMALL, 16);
        let ranges: HashSet<_> = mine.iter().map(range).collect();
        thread::spawn(move || {
            drop(pooled(SMALL));
            drop(mine);
            assert!(many(SMALL, 40).iter().all(|stack| !ranges.contains(&range(stack))));
        })
        .join()
        .expect("no panic");
    }

    #[test]
    fn a_stack_may_outlive_its_thread() {
        passes(|| {
            let before = stack::stats();
            let stacks = thread::spawn(|| many(SMALL, 20)).join().expect("no panic");
            assert_eq!(stack::stats().slabs, before.slabs + 2);
            stacks.iter().for_each(|stack| poke(stack.bottom()));
            drop(stacks);
            assert_eq!(stack::stats(), before);
        });
    }

    #[test]
    fn a_stack_may_outlive_its_pool() {
        struct Late(Option<PooledStack>);
        impl Drop for Late {
            fn drop(&mut self) {
                poke(self.0.as_ref().expect("a stack").top().wrapping_sub(1));
                // The pool is gone, yet stacks can be had.
                let stack = pooled(SMALL);
                poke(stack.bottom());
                is_guarded(&stack, SMALL.guard);
                set_pool_limit(1);
                stack::reserve(SMALL, 1).expect("nothing is done");
                assert_eq!(stack::stats().live, 0);
            }
        }
        thread_local! {
            static LATE: RefCell<Late> = const { RefCell::new(Late(None)) };
        }
        passes(|| {
            let before = stack::stats();
            thread::spawn(|| {
                // Registered before the pool is, so dropped after it.
                LATE.with_borrow_mut(|late| late.0 = None);
                LATE.with_borrow_mut(|late| late.0 = Some(pooled(SMALL)));
            })
            .join()
            .expect("no panic");
            assert_eq!(stack::stats(), before);
        });
    }

    #[test]
    fn many_may_return_to_one_that_ends_meanwhile() {
        passes(|| {
            let before = stack::stats();
            for _ in 0..20 {
                let (sender, receiver) = mpsc::channel();
                let owner = thread::spawn(move || {
                    for stack in many(SMALL, 200) {
                        sender.send(stack).expect("a receiver");
                        drop(pooled(SMALL));
                    }
                });
                let receiver = std::sync::Mutex::new(receiver);
                thread::scope(|scope| {
                    for _ in 0..3 {
                        scope.spawn(|| {
                            while let Ok(stack) = { receiver.lock().expect("sane").recv() } {
                                poke(stack.top().wrapping_sub(1));
                            }
                        });
                    }
                });
                owner.join().expect("no panic");
            }
            assert_eq!(stack::stats(), before);
        });
    }
}
