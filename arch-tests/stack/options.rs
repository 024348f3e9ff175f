//! Options of a stack, each with its guard.

use std::fs;

use super::*;

/// The flags of the mapping that `address` lies in, as `/proc/self/smaps` spells them.
fn flags(address: *mut u8) -> String {
    let smaps = fs::read_to_string("/proc/self/smaps").expect("procfs");
    let mut inside = false;
    for line in smaps.lines() {
        let first = line.split(' ').next().unwrap_or("");
        if let Some((start, end)) = first.split_once('-') {
            let number = |text| usize::from_str_radix(text, 16).expect("an address");
            inside = (number(start)..number(end)).contains(&address.addr());
        } else if inside && first == "VmFlags:" {
            return line.to_string();
        }
    }
    panic!("no mapping")
}

fn has_flag(address: *mut u8, flag: &str) -> bool {
    flags(address).split(' ').any(|has| has == flag)
}

#[test]
fn core_dumps_leave_stacks_out_unless_told() {
    // An emulator that ignores advice keeps them in; nothing can be done about that.
    let possible = kernel_heeds_advice();
    let (hidden, shown) = (pooled(SMALL), pooled(SMALL.core_dump(true)));
    assert_eq!(has_flag(hidden.bottom(), "dd"), possible);
    assert!(!has_flag(shown.bottom(), "dd"));
    let own = GuardedStack::new(SMALL).expect("a stack");
    assert_eq!(has_flag(own.bottom(), "dd"), possible);
    is_guarded(&shown, SMALL.guard);
}

#[test]
fn locked_stacks_stay_in_memory_or_are_refused() {
    passes(|| {
        match PooledStack::new(SMALL.lock(true)) {
            Ok(stack) => {
                assert!(has_flag(stack.bottom(), "lo"));
                poke(stack.bottom());
                is_guarded(&stack, SMALL.guard);
                // Memory comes back zeroed although it is locked.
                set_pool_limit(0);
                drop(stack);
                assert_eq!(peek(pooled(SMALL.lock(true)).bottom()), 0);
            }
            Err(StackError::Lock(e)) => {
                // qemu-user does not know the system call.
                assert_eq!(e.raw_os_error(), Some(libc::ENOSYS), "{e}");
                assert!(!kernel_heeds_advice());
            }
            Err(e) => panic!("{e}"),
        }
    });
}

/// Of memory that this process may lock, in bytes.
fn lower_the_limit_to(bytes: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: reads the struct.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) }, 0);
    // SAFETY: no preconditions. Root may lock as much as it likes.
    assert!(unsafe { libc::geteuid() } != 0 || unsafe { libc::setuid(65_534) } == 0);
}

#[test]
fn beyond_the_limit_there_is_no_locked_stack() {
    passes(|| {
        lower_the_limit_to(1 << 20);
        let mut stacks = Vec::new();
        let error = (0..100).find_map(|_| {
            PooledStack::new(StackConfig::DEFAULT.lock(true)).map(|stack| stacks.push(stack)).err()
        });
        let error = error.expect("a limit");
        let StackError::Lock(e) = &error else { panic!("{error}") };
        if kernel_heeds_advice() {
            // Three of 324 KiB fit.
            assert_eq!((stacks.len(), e.raw_os_error()), (3, Some(libc::ENOMEM)));
            is_guarded(&stacks[2], StackConfig::DEFAULT.guard);
        } else {
            assert_eq!((stacks.len(), e.raw_os_error()), (0, Some(libc::ENOSYS)));
        }
    });
}

/// Runs `test` in a child that has an idle stack which its parent has locked.
fn inherits(config: StackConfig, test: impl FnOnce()) {
    passes(|| match PooledStack::new(config) {
        Ok(stack) => {
            drop(stack);
            passes(test);
        }
        // As above.
        Err(_) => assert!(!kernel_heeds_advice()),
    });
}

#[test]
fn an_idle_stack_is_locked_again_before_a_forked_child_has_it() {
    let config = SMALL.lock(true);
    inherits(config, || assert!(has_flag(pooled(config).bottom(), "lo")));
}

#[test]
fn an_idle_stack_that_cannot_be_locked_again_is_not_had_by_a_forked_child() {
    let config = SMALL.lock(true);
    inherits(config, || {
        lower_the_limit_to(0);
        let refused = PooledStack::new(config);
        assert!(matches!(refused, Err(StackError::Lock(_))), "{refused:?}");
    });
}

/// Locks all memory of this process, and what it will map. Whether it may, as root may.
#[cfg(target_os = "linux")]
fn lock_everything() -> bool {
    let flags = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    // The function of this name does nothing under a sanitizer.
    // SAFETY: no preconditions.
    let locked = unsafe { libc::syscall(libc::SYS_mlockall, flags) } == 0;
    let error = std::io::Error::last_os_error().raw_os_error();
    assert!(locked || matches!(error, Some(libc::EPERM | libc::ENOMEM)), "{error:?}");
    locked
}

#[cfg(target_os = "linux")]
#[test]
fn stacks_have_guards_when_the_program_has_locked_its_memory_since_the_first_one() {
    passes(|| {
        // Of the last slab a part has guards.
        let mut stacks = many(SMALL, 600);
        let before = stack::stats();
        if !lock_everything() {
            return; // It may not.
        }
        stacks.extend(many(SMALL, 1000));
        for stack in stacks[550..].iter().step_by(150) {
            is_guarded(stack, SMALL.guard);
        }
        is_guarded(&GuardedStack::new(SMALL).expect("a stack"), SMALL.guard);
        // Those are mappings, and count.
        let mappings = stack::stats().mappings - before.mappings;
        assert!(mappings >= 1000, "{mappings} mappings");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn stacks_give_memory_back_when_the_program_has_locked_it() {
    passes(|| {
        let stack = pooled(SMALL);
        if !kernel_heeds_advice() || !lock_everything() {
            return; // Or advice is ignored.
        }
        set_pool_limit(0);
        let used = range(&stack);
        poke(stack.bottom());
        drop(stack);
        let again = pooled(SMALL);
        assert_eq!((range(&again), peek(again.bottom())), (used, 0));
    });
}

#[test]
fn stacks_wiped_on_fork_are_zero_in_the_child_and_guarded() {
    let config = SMALL.wipe_on_fork(true);
    if !kernel_heeds_advice() {
        assert!(matches!(PooledStack::new(config), Err(StackError::WipeOnFork(_))));
        return;
    }
    let own = GuardedStack::new(config).expect("a stack");
    let (first, second) = (pooled(config), pooled(config));
    let all: [&dyn Stack; 3] = [&own, &first, &second];
    for stack in all {
        poke(stack.bottom());
        poke(stack.top().wrapping_sub(1));
        passes(|| {
            assert_eq!(peek(stack.bottom()), 0);
            assert_eq!(peek(stack.top().wrapping_sub(1)), 0);
        });
        dies_by(libc::SIGSEGV, || poke(stack.bottom().wrapping_sub(1)));
        dies_by(libc::SIGSEGV, || poke(stack.bottom().wrapping_sub(SMALL.guard)));
        assert_eq!(peek(stack.bottom()), 0x5a);
    }
}

#[test]
fn options_can_be_combined() {
    let config = SMALL.lock(true).wipe_on_fork(true).core_dump(true);
    is_guarded(&pooled(config), SMALL.guard);
}
