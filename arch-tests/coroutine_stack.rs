//! Where coroutines run: on which stack, how large it must be, and what becomes of it.
#![allow(unsafe_code, reason = "supplies stacks")]

use std::cell::Cell;
use std::hint::black_box;
use std::mem;
use std::rc::Rc;

use siding::coroutine::CoroutineState::{Complete, Yielded};
use siding::coroutine::{Coroutine, Yielder};
use siding::stack::{GuardedStack, Stack, StackConfig, StackError, UnguardedStack};

/// A stack that tells when it is dropped, with its top where the test wants it.
struct Watched {
    stack: GuardedStack,
    lowered: usize,
    dropped: Rc<Cell<u32>>,
}

impl Watched {
    fn new(size: usize) -> Self {
        let stack = GuardedStack::new(StackConfig::with_size(size)).expect("there is memory");
        Watched { stack, lowered: 0, dropped: Rc::default() }
    }

    fn range(&self) -> std::ops::Range<usize> {
        self.bottom().addr()..self.top().addr()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.dropped.update(|n| n + 1);
    }
}

// SAFETY: a part of a guarded stack.
unsafe impl Stack for Watched {
    fn top(&self) -> *mut u8 {
        self.stack.top().wrapping_sub(self.lowered)
    }

    fn bottom(&self) -> *mut u8 {
        self.stack.bottom()
    }
}

mod least {
    use siding::job::{self, Job, Options, Progress};

    use super::*;

    /// More than have the same stagger.
    const MANY: usize = 64;

    /// The smallest, and those that a stack of the same pages may be for: on any machine some of
    /// them leave nothing over.
    fn sizes() -> impl Iterator<Item = StackConfig> {
        (0..=32).map(|n| StackConfig::with_size(StackConfig::min_size() + n * 64))
    }

    fn suspends(yielder: &Yielder<(), ()>, (): ()) {
        yielder.suspend(());
    }

    #[test]
    fn the_smallest_sizes_are_enough_for_each_of_many_coroutines() {
        for config in sizes() {
            let new = |_| Coroutine::try_new(config, suspends).expect("an accepted size");
            let mut coroutines: Vec<_> = (0..MANY).map(new).collect();
            assert!(coroutines.iter_mut().all(|each| each.resume(()) == Yielded(())));
            assert!(coroutines.iter_mut().all(|each| each.resume(()) == Complete(())));
        }
    }

    #[test]
    fn the_smallest_sizes_are_enough_for_each_of_many_jobs() {
        fn paused(config: StackConfig) -> Job<bool> {
            match Options::new().stack(config).start(|| job::pause().is_ok()) {
                Ok(Progress::Paused(job)) => job,
                Ok(Progress::Finished(_)) => panic!("it pauses"),
                Err(refused) => panic!("{}", refused.error),
            }
        }
        for config in sizes() {
            let jobs: Vec<_> = (0..MANY).map(|_| paused(config)).collect();
            assert!(jobs.into_iter().all(|job| matches!(job.resume(), Progress::Finished(true))));
        }
    }

    #[test]
    fn the_smallest_sizes_are_enough_for_stacks_of_their_own() {
        for config in sizes() {
            let stack = GuardedStack::new(config).expect("an accepted size");
            let coroutine = Coroutine::with_stack(stack, suspends);
            let mut coroutine = coroutine.unwrap_or_else(|refused| panic!("{}", refused.error));
            assert_eq!(coroutine.resume(()), Yielded(()));
        }
    }
}

/// Where the caller's frame is, about.
#[inline(never)]
fn here() -> usize {
    let local = 0_u8;
    black_box(&raw const local).addr()
}

/// A coroutine that first yields where it runs, and then suspends once more.
fn wherever() -> Coroutine<(), usize, ()> {
    Coroutine::new(|yielder, ()| {
        yielder.suspend(here());
    })
}

fn place(coroutine: &mut Coroutine<(), usize, ()>) -> usize {
    let Yielded(place) = coroutine.resume(()) else { panic!("it suspends") };
    place
}

mod supplied {
    use super::*;

    fn on(stack: Watched) -> Coroutine<(), usize, ()> {
        let closure = |yielder: &Yielder<(), usize>, ()| {
            yielder.suspend(here());
        };
        Coroutine::with_stack(stack, closure).expect("the stack is large enough")
    }

    #[test]
    fn a_coroutine_runs_on_the_stack_it_is_given() {
        let stack = Watched::new(64 << 10);
        let range = stack.range();
        assert!(range.contains(&place(&mut on(stack))));
    }

    /// The memory begins and ends where it happens to.
    #[test]
    fn plain_memory_serves_one_coroutine_after_the_other() {
        let mut memory = Box::<[u8]>::new_uninit_slice((64 << 10) + 3);
        let memory: *mut [mem::MaybeUninit<u8>] = &mut memory[1..];
        for _ in 0..2 {
            // SAFETY: the coroutine has ended before the memory is used again or freed.
            let stack = unsafe { UnguardedStack::from_raw(memory) };
            assert_eq!(stack.bottom(), memory.cast());
            assert_eq!(stack.top().addr() - stack.bottom().addr(), (64 << 10) + 2);
            let closure = |yielder: &Yielder<u8, u8>, first| yielder.suspend(first + 1) + 1;
            let mut coroutine = Coroutine::with_stack(stack, closure).expect("it is large enough");
            assert_eq!(coroutine.resume(1), Yielded(2));
            assert_eq!(coroutine.resume(3), Complete(4));
        }
    }

    #[test]
    fn a_stack_is_dropped_when_its_coroutine_returns() {
        let stack = Watched::new(64 << 10);
        let dropped = stack.dropped.clone();
        let mut coroutine = on(stack);
        coroutine.resume(());
        assert_eq!(dropped.get(), 0);
        coroutine.resume(());
        assert_eq!(dropped.get(), 1);
        drop(coroutine);
        assert_eq!(dropped.get(), 1);
    }

    #[test]
    fn a_stack_is_dropped_with_its_suspended_coroutine() {
        let stack = Watched::new(64 << 10);
        let dropped = stack.dropped.clone();
        let mut coroutine = on(stack);
        coroutine.resume(());
        drop(coroutine);
        assert_eq!(dropped.get(), 1);
    }

    #[test]
    fn a_stack_is_dropped_with_a_coroutine_never_resumed() {
        let stack = Watched::new(64 << 10);
        let dropped = stack.dropped.clone();
        drop(on(stack));
        assert_eq!(dropped.get(), 1);
    }

    #[test]
    fn a_refused_stack_is_dropped() {
        let mut stack = Watched::new(64 << 10);
        stack.lowered = 60 << 10;
        let dropped = stack.dropped.clone();
        let refused = Coroutine::<(), (), ()>::with_stack(stack, |_, ()| ()).unwrap_err();
        assert!(matches!(refused.error, StackError::TooSmall { .. }));
        assert_eq!(dropped.get(), 1);
    }

    #[test]
    fn the_top_need_not_be_aligned() {
        for lowered in 1..64 {
            let mut stack = Watched::new(64 << 10);
            stack.lowered = lowered;
            let mut coroutine = on(stack);
            place(&mut coroutine);
            assert_eq!(coroutine.resume(()), Complete(()));
        }
    }

    #[test]
    fn an_empty_or_inverted_range_is_refused() {
        for lowered in [64 << 10, 65 << 10] {
            let mut stack = Watched::new(64 << 10);
            stack.lowered = lowered;
            let refused = Coroutine::<(), (), ()>::with_stack(stack, |_, ()| ()).unwrap_err();
            assert!(matches!(refused.error, StackError::TooSmall { size: 0, .. }));
        }
    }

    /// The stack object itself lies at the top of the stack, at the alignment of its type.
    #[test]
    fn an_over_aligned_stack_type_never_reaches_below_the_bottom() {
        #[repr(align(65536))]
        struct OverAligned(Watched);
        // SAFETY: as the stack inside.
        unsafe impl Stack for OverAligned {
            fn top(&self) -> *mut u8 {
                self.0.top()
            }

            fn bottom(&self) -> *mut u8 {
                self.0.bottom()
            }
        }
        let mut accepted = 0;
        for kib in (80..320).step_by(16) {
            let stack = OverAligned(Watched::new(kib << 10));
            let range = stack.0.range();
            let place = |_: &Yielder<(), ()>, ()| here();
            if let Ok(mut coroutine) = Coroutine::with_stack(stack, place) {
                let Complete(place) = coroutine.resume(()) else { panic!("it returns") };
                assert!(range.contains(&place));
                accepted += 1;
            }
        }
        assert!(accepted > 0);
    }
}

mod room {
    use super::*;

    fn refused<const BYTES: usize>(size: usize) -> Option<(StackError, [u8; BYTES])> {
        let captured = [5; BYTES];
        let config = StackConfig::with_size(size);
        let closure = move |_: &Yielder<(), ()>, ()| captured;
        let refused = Coroutine::try_new(config, closure).err()?;
        // Calling it shows that it is untouched; the yielder comes from another coroutine.
        let mut caller = Coroutine::<(), (), [u8; BYTES]>::try_new(
            StackConfig::with_size(1 << 20),
            move |yielder, ()| (refused.closure)(yielder, ()),
        )
        .expect("1 MiB is enough");
        let Complete(returned) = caller.resume(()) else { panic!("it returns") };
        Some((refused.error, returned))
    }

    #[test]
    fn captures_larger_than_the_stack_are_refused() {
        let (error, _) = refused::<{ 40 << 10 }>(32 << 10).expect("too large");
        assert!(matches!(error, StackError::TooSmall { .. }));
    }

    #[test]
    fn captures_that_would_leave_no_room_for_frames_are_refused() {
        let (error, _) = refused::<{ 24 << 10 }>(32 << 10).expect("too large");
        assert!(matches!(error, StackError::TooSmall { .. }));
    }

    #[test]
    fn a_refused_closure_comes_back_untouched() {
        let (_, returned) = refused::<{ 40 << 10 }>(32 << 10).expect("too large");
        assert!(returned.iter().all(|byte| *byte == 5));
    }

    #[test]
    fn the_size_said_to_be_needed_is_enough_to_be_accepted() {
        let (error, _) = refused::<{ 40 << 10 }>(32 << 10).expect("too large");
        let StackError::TooSmall { min, .. } = error else { panic!("{error}") };
        // The pool lowers tops by up to 2 KiB, and the control block takes some.
        assert!(refused::<{ 40 << 10 }>(min + (4 << 10)).is_none());
    }

    #[test]
    fn captures_of_an_eighth_of_the_stack_can_be_run() {
        let captured = [5_u8; 32 << 10];
        let config = StackConfig::with_size(256 << 10);
        let closure = move |_: &Yielder<(), ()>, ()| captured;
        let mut coroutine = Coroutine::try_new(config, closure).expect("large enough");
        assert_eq!(coroutine.resume(()), Complete([5; 32 << 10]));
    }

    #[test]
    fn a_size_that_cannot_be_is_an_error() {
        for size in [0, 1, usize::MAX] {
            let config = StackConfig::with_size(size);
            assert!(Coroutine::<(), (), ()>::try_new(config, |_, ()| ()).is_err());
        }
    }
}

mod reuse {
    use super::*;

    const SIZE: usize = StackConfig::DEFAULT.size;

    /// Where another two hundred coroutines run, first all at once, then one by one.
    fn places_of_others() -> Vec<usize> {
        let mut others: Vec<_> = (0..100).map(|_| wherever()).collect();
        let mut places: Vec<_> = others.iter_mut().map(place).collect();
        drop(others);
        places.extend((0..100).map(|_| place(&mut wherever())));
        places
    }

    /// Without this the tests below would show nothing.
    #[test]
    fn the_stack_of_a_dropped_coroutine_is_used_again() {
        let dropped = place(&mut wherever());
        assert!(places_of_others().iter().any(|other| other.abs_diff(dropped) < SIZE));
    }

    #[test]
    fn the_stack_of_a_forgotten_coroutine_is_never_used_again() {
        let mut coroutine = wherever();
        let forgotten = place(&mut coroutine);
        mem::forget(coroutine);
        assert!(places_of_others().iter().all(|other| other.abs_diff(forgotten) > SIZE));
    }

    #[test]
    fn the_frames_of_a_forgotten_coroutine_stay_as_they_are() {
        let mut coroutine = Coroutine::<(), *const u64, ()>::new(|yielder, ()| {
            let local = black_box(0x5eed_u64);
            yielder.suspend(&raw const local);
            black_box(local);
        });
        let Yielded(local) = coroutine.resume(()) else { panic!("it suspends") };
        mem::forget(coroutine);
        places_of_others();
        // SAFETY: the frame is suspended for good, and its stack never given back.
        assert_eq!(unsafe { local.read() }, 0x5eed);
    }

    #[test]
    fn a_coroutine_keeps_its_stack_while_others_come_and_go() {
        let mut coroutine = wherever();
        let kept = place(&mut coroutine);
        assert!(places_of_others().iter().all(|other| other.abs_diff(kept) > SIZE));
        assert_eq!(coroutine.resume(()), Complete(()));
    }
}
