//! What happens when the system has no more to give, and in a forked child.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use siding::stack::set_mapping_limit;

use super::*;

/// A kind that costs two mappings a stack.
fn costly() -> StackConfig {
    SMALL.wipe_on_fork(stack::guard_mode() == GuardMode::Madvise)
}

fn as_many_as_possible(config: StackConfig) -> (Vec<PooledStack>, StackError) {
    let mut stacks = Vec::new();
    loop {
        match PooledStack::new(config) {
            Ok(stack) => stacks.push(stack),
            Err(error) => return (stacks, error),
        }
    }
}

#[test]
fn stacks_stop_short_of_the_mappings_they_may_use() {
    passes(|| {
        let before = stack::stats().mappings;
        set_mapping_limit(before + 101);
        let (mut stacks, error) = as_many_as_possible(costly());
        let StackError::TooManyMappings { used, limit } = error else { panic!("{error}") };
        assert_eq!((limit, stack::stats().mappings), (before + 101, used));
        assert!((98..=101).contains(&(used - before)), "{used}");
        assert!((47..=50).contains(&stacks.len()), "{} stacks", stacks.len());
        // What comes back can be had again, ...
        stacks.pop();
        let again = pooled(costly());
        is_guarded(&again, SMALL.guard);
        assert!(PooledStack::new(costly()).is_err());
        // ... and idle stacks make room for another kind.
        drop((stacks, again));
        pooled(costly().guard(64 << 10));
    });
}

#[test]
fn stacks_of_their_own_count_too() {
    passes(|| {
        set_mapping_limit(stack::stats().mappings + 6);
        let own = || GuardedStack::new(costly());
        let (first, _second) = (own().expect("a stack"), own().expect("a stack"));
        assert!(matches!(own(), Err(StackError::TooManyMappings { .. })));
        drop(first);
        own().expect("a stack");
    });
}

#[test]
fn the_usual_limit_leaves_a_quarter_to_others() {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").expect("procfs");
    let most: usize = text.trim().parse().expect("a number");
    passes(|| {
        let config = StackConfig::with_size(16 << 10).guard(4 << 10);
        let config = config.wipe_on_fork(stack::guard_mode() == GuardMode::Madvise);
        // Some systems allow a billion: then this many must be possible.
        const ENOUGH: usize = 30_000;
        let before = stack::stats().mappings;
        for made in 0..ENOUGH {
            match PooledStack::new(config) {
                Ok(stack) => mem::forget(stack),
                Err(StackError::TooManyMappings { used, limit }) => {
                    assert_eq!(limit, most / 4 * 3);
                    assert!(used <= limit && before + made * 2 + 100 > limit, "{made} stacks");
                    return;
                }
                Err(error) => panic!("{error} after {made}"),
            }
        }
        assert!(most / 4 * 3 > 2 * ENOUGH);
    });
}

/// OpenBSD has no such limit, the other systems no such file.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn with_little_address_space_slabs_are_smaller() {
    const MIB: usize = 1 << 20;
    passes(|| {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
        let pages: usize = statm.split(' ').next().expect("a figure").parse().expect("a number");
        // Under an emulator of 32 bits it is more than an address can say.
        let most = pages.saturating_mul(4096).saturating_add(100 * MIB);
        let limit = libc::rlimit { rlim_cur: most as libc::rlim_t, rlim_max: most as libc::rlim_t };
        // SAFETY: reads the struct.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
        if GuardedStack::new(StackConfig::with_size(200 * MIB)).is_ok() {
            // qemu-user accepts the limit and ignores it.
            assert!(!kernel_heeds_advice());
            return;
        }
        let (stacks, error) = as_many_as_possible(StackConfig::with_size(16 * MIB));
        assert!(matches!(error, StackError::Map(_)), "{error}");
        assert!((4..=6).contains(&stacks.len()), "{} stacks", stacks.len());
        stacks.iter().for_each(|stack| is_guarded(stack, StackConfig::DEFAULT.guard));
    });
}

#[test]
fn a_forked_child_uses_its_own_copies() {
    passes(|| {
        let (used, idle) = (pooled(SMALL), pooled(SMALL));
        poke(used.bottom());
        let idle_range = range(&idle);
        drop(idle);
        passes(|| {
            assert_eq!(peek(used.bottom()), 0x5a);
            assert_eq!(range(&pooled(SMALL)), idle_range);
            stack::reserve(SMALL, 100).expect("stacks");
            let all = many(SMALL, 500);
            is_guarded(&all[499], SMALL.guard);
            set_pool_limit(0);
            drop(used);
            drop(all);
            assert_eq!(stack::stats().live, 0);
        });
    });
}

#[test]
fn a_fork_may_happen_while_other_threads_use_their_pools() {
    passes(|| {
        let end = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                set_pool_limit(0);
                while !end.load(Relaxed) {
                    let stacks = many(SMALL, 50);
                    // Returned from afar.
                    thread::scope(|scope| drop(scope.spawn(move || drop(stacks))));
                }
            });
            for _ in 0..20 {
                passes(|| drop(many(SMALL, 50)));
            }
            end.store(true, Relaxed);
        });
    });
}

#[test]
fn more_stacks_than_the_address_space_holds_are_refused_at_once() {
    for stacks in [usize::MAX / (200 << 10), usize::MAX] {
        let refused = stack::reserve(StackConfig::DEFAULT, stacks);
        assert!(matches!(refused, Err(StackError::TooLarge { .. })), "{refused:?}");
    }
}
