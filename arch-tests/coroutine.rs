//! Coroutines: what crosses, who resumes whom, and when it is over.

/// Values on their way in and out.
mod values {
    use std::fmt::Debug;

    use siding::coroutine::Coroutine;
    use siding::coroutine::CoroutineState::{Complete, Yielded};

    /// Sends `a` in and gets it back as a yielded value, then `b` and gets it as the result.
    fn cross<T: Clone + Debug + PartialEq + 'static>(a: T, b: T) {
        let mut echo = Coroutine::new(|yielder, first: T| yielder.suspend(first));
        assert_eq!(echo.resume(a.clone()), Yielded(a));
        assert_eq!(echo.resume(b.clone()), Complete(b));
    }

    fn bytes_cross<const N: usize>() {
        let pattern = |seed: usize| std::array::from_fn::<u8, N, _>(|i| (i * 31 + seed) as u8);
        cross(pattern(1), pattern(200));
    }

    macro_rules! sizes {
        ($($name:ident: $n:literal),+ $(,)?) => {
            $(#[test] fn $name() { bytes_cross::<$n>(); })+
        };
    }

    sizes! {
        no_byte_crosses: 0,
        one_byte_crosses: 1,
        two_bytes_cross: 2,
        three_bytes_cross: 3,
        four_bytes_cross: 4,
        seven_bytes_cross: 7,
        eight_bytes_cross: 8,
        nine_bytes_cross: 9,
        sixteen_bytes_cross: 16,
        twenty_four_bytes_cross: 24,
        sixty_four_bytes_cross: 64,
        a_page_of_bytes_crosses: 4096,
    }

    #[test]
    fn types_of_different_sizes_do_not_get_mixed_up() {
        let mut coroutine = Coroutine::new(|yielder, byte: u8| {
            let second: u8 = yielder.suspend([u64::from(byte); 8]);
            (byte, second, "three words")
        });
        assert_eq!(coroutine.resume(3), Yielded([3; 8]));
        assert_eq!(coroutine.resume(4), Complete((3, 4, "three words")));
    }

    #[test]
    fn floats_cross_bit_by_bit() {
        let signalling_nan = f64::from_bits(0x7ff0_dead_beef_0001);
        let mut echo = Coroutine::<f64, f64, ()>::new(|yielder, x| {
            yielder.suspend(x);
        });
        let Yielded(back) = echo.resume(signalling_nan) else { panic!("it suspends first") };
        assert_eq!(back.to_bits(), signalling_nan.to_bits());
    }

    #[test]
    fn values_with_padding_cross() {
        cross((1_u8, u32::MAX), (255_u8, 7_u32));
    }

    #[test]
    fn values_with_a_niche_cross() {
        cross(Some(Box::new('a')), None);
    }

    #[test]
    fn wide_integers_cross() {
        cross(u128::MAX - 1, 1_u128 << 100);
    }

    #[test]
    fn references_cross_and_still_refer() {
        static WORDS: [u16; 2] = [31, 41];
        cross(&WORDS[0], &WORDS[1]);
    }

    #[test]
    fn slices_cross() {
        cross("short", "longer");
    }

    #[test]
    fn boxes_cross_and_still_own() {
        cross(Box::new([1_u64; 100]), Box::new([2; 100]));
    }

    #[test]
    fn functions_cross_and_can_be_called() {
        let mut coroutine = Coroutine::new(|_, f: fn(u32) -> u32| f(20));
        assert_eq!(coroutine.resume(|n| n + 1), Complete(21_u32));
        let _: Coroutine<_, (), _> = coroutine;
    }

    #[test]
    fn the_closure_keeps_what_it_captures() {
        let captured: [usize; 50] = std::array::from_fn(|i| i * i);
        let mut coroutine: Coroutine<usize, (), usize> = Coroutine::new(move |_, i| captured[i]);
        assert_eq!(coroutine.resume(49), Complete(49 * 49));
    }

    mod aligned {
        use std::hint::black_box;

        use super::*;

        #[derive(Clone, Debug, PartialEq)]
        #[repr(align(64))]
        struct Line([u8; 64]);

        #[derive(Clone, Debug, PartialEq)]
        #[repr(align(64))]
        struct Nothing;

        #[repr(align(4096))]
        struct Page([u8; 4096]);

        #[test]
        fn over_aligned_values_cross() {
            cross(Line([1; 64]), Line([2; 64]));
        }

        #[test]
        fn over_aligned_values_without_size_cross() {
            cross(Nothing, Nothing);
        }

        #[test]
        fn over_aligned_captures_stay_aligned() {
            let page = Page([7; 4096]);
            let mut coroutine: Coroutine<(), (), usize> = Coroutine::new(move |_, ()| {
                assert_eq!(page.0[4095], 7);
                (&raw const page).addr() % 4096
            });
            assert_eq!(coroutine.resume(()), Complete(0));
        }

        /// Where a local lies that should be aligned to what the compiler takes for granted,
        /// and does not re-align for, below a closure with so many words of captures.
        fn misaligned_by<const WORDS: usize>() -> usize {
            #[repr(align(16))]
            struct Sixteen(#[allow(dead_code)] u8);
            let captured = [0_usize; WORDS];
            let mut coroutine: Coroutine<(), (), usize> = Coroutine::new(move |_, ()| {
                black_box(captured);
                let local = black_box(Sixteen(0));
                (&raw const local).addr() % 16
            });
            let Complete(misaligned_by) = coroutine.resume(()) else { panic!("it returns") };
            misaligned_by
        }

        #[test]
        fn frames_are_aligned_as_the_abi_asks_whatever_is_captured() {
            let misaligned_by = [misaligned_by::<0>(), misaligned_by::<3>(), misaligned_by::<8>()];
            assert_eq!(misaligned_by, [0, 0, 0]);
        }
    }
}

/// Coroutines in coroutines.
mod nesting {
    use siding::coroutine::CoroutineState::{Complete, Yielded};
    use siding::coroutine::{Coroutine, Yielder, scope};

    type Counter = Coroutine<(), u32, ()>;

    fn count_from(first: u32) -> Counter {
        Coroutine::new(move |yielder, ()| {
            for n in first..=u32::MAX {
                yielder.suspend(n);
            }
        })
    }

    /// Passes on what `depth` coroutines, one inside the other, pass on; the innermost counts.
    fn relay(depth: u32) -> Counter {
        if depth == 0 {
            return count_from(0);
        }
        Coroutine::new(move |yielder, ()| {
            let mut inner = relay(depth - 1);
            while let Yielded(n) = inner.resume(()) {
                yielder.suspend(n + 1);
            }
        })
    }

    #[test]
    fn values_pass_through_fifty_nested_coroutines() {
        let mut outermost = relay(50);
        assert_eq!(outermost.resume(()), Yielded(50));
        assert_eq!(outermost.resume(()), Yielded(51));
    }

    #[test]
    fn fifty_nested_coroutines_return_through_each_other() {
        fn depth(n: u32) -> u32 {
            if n == 0 {
                return 0;
            }
            let mut inner = Coroutine::<u32, (), u32>::new(|_, n| depth(n - 1) + 1);
            let Complete(depth) = inner.resume(n) else { panic!("it does not suspend") };
            depth
        }
        assert_eq!(depth(50), 50);
    }

    #[test]
    fn a_coroutine_goes_on_inside_another_and_outside_again() {
        let mut guest = count_from(10);
        assert_eq!(guest.resume(()), Yielded(10));
        let mut host: Coroutine<Counter, (), (Counter, u32)> =
            Coroutine::new(|_, mut guest: Counter| {
                let Yielded(n) = guest.resume(()) else { panic!("it never ends") };
                (guest, n)
            });
        let Complete((mut guest, n)) = host.resume(guest) else { panic!("it does not suspend") };
        assert_eq!(n, 11);
        assert_eq!(guest.resume(()), Yielded(12));
    }

    #[test]
    fn a_coroutine_may_be_dropped_inside_another() {
        let mut host: Coroutine<Counter, (), ()> = Coroutine::new(|_, guest| drop(guest));
        let mut guest = count_from(0);
        guest.resume(());
        assert_eq!(host.resume(guest), Complete(()));
    }

    #[test]
    fn two_coroutines_may_take_turns_in_any_order() {
        let (mut a, mut b) = (count_from(0), count_from(100));
        let turns = [a.resume(()), b.resume(()), b.resume(()), a.resume(()), b.resume(())];
        assert_eq!(turns, [0, 100, 101, 1, 102].map(Yielded));
    }

    /// The inner coroutine runs inside the outer one, so what it suspends is both.
    #[test]
    fn an_outer_coroutine_can_be_suspended_from_an_inner_one() {
        let mut outer = Coroutine::new(|outer: &Yielder<u32, u32>, first: u32| {
            scope(
                |inner: &Yielder<(), u32>, ()| {
                    let second = outer.suspend(first + 1);
                    inner.suspend(second + 1);
                },
                |mut coroutine| coroutine.resume(()),
            )
            .expect("there is memory for a stack")
        });
        assert_eq!(outer.resume(10), Yielded(11));
        assert_eq!(outer.resume(20), Complete(Yielded(21)));
    }
}

/// When it is over.
mod end {
    use std::panic::{self, AssertUnwindSafe};

    use siding::coroutine::Coroutine;
    use siding::coroutine::CoroutineState::{Complete, Yielded};

    fn once() -> Coroutine<(), (), ()> {
        Coroutine::new(|yielder, ()| yielder.suspend(()))
    }

    fn message_of_one_resume_too_many() -> String {
        let mut coroutine = Coroutine::<(), (), ()>::new(|_, ()| ());
        coroutine.resume(());
        let again = AssertUnwindSafe(|| coroutine.resume(()));
        let payload = panic::catch_unwind(again).unwrap_err();
        payload.downcast_ref::<&str>().expect("a message").to_string()
    }

    #[test]
    fn resuming_after_the_end_panics_and_says_so() {
        let message = message_of_one_resume_too_many();
        assert_eq!(message, "a coroutine was resumed after it had returned or panicked");
    }

    #[test]
    fn others_go_on_after_one_was_resumed_after_its_end() {
        let mut other = once();
        other.resume(());
        message_of_one_resume_too_many();
        assert_eq!(other.resume(()), Complete(()));
    }

    #[test]
    fn a_coroutine_is_not_done_before_it_starts() {
        assert!(!once().is_done());
    }

    #[test]
    fn a_suspended_coroutine_is_not_done() {
        let mut coroutine = once();
        assert_eq!(coroutine.resume(()), Yielded(()));
        assert!(!coroutine.is_done());
    }

    #[test]
    fn a_coroutine_that_returned_is_done() {
        let mut coroutine = once();
        coroutine.resume(());
        coroutine.resume(());
        assert!(coroutine.is_done());
    }

    #[test]
    fn a_coroutine_that_panicked_is_done() {
        let mut coroutine = Coroutine::<(), (), ()>::new(|_, ()| panic!("as it must"));
        panic::catch_unwind(AssertUnwindSafe(|| coroutine.resume(()))).unwrap_err();
        assert!(coroutine.is_done());
    }
}

/// What a coroutine borrows.
mod scoped {
    use siding::coroutine::CoroutineState::Yielded;
    use siding::coroutine::{Yielder, scope};

    #[test]
    fn a_scoped_coroutine_writes_to_its_resumers_variables() {
        let mut log = Vec::new();
        scope(
            |yielder: &Yielder<u32, ()>, first| {
                log.push(first);
                log.push(yielder.suspend(()));
            },
            |mut coroutine| {
                coroutine.resume(1);
                coroutine.resume(2);
            },
        )
        .unwrap();
        assert_eq!(log, [1, 2]);
    }

    #[test]
    fn a_scoped_coroutine_is_over_when_its_scope_is() {
        struct SetOnDrop<'a>(&'a mut bool);
        impl Drop for SetOnDrop<'_> {
            fn drop(&mut self) {
                *self.0 = true;
            }
        }
        let mut dropped = false;
        scope(
            |yielder: &Yielder<(), ()>, ()| {
                let _local = SetOnDrop(&mut dropped);
                yielder.suspend(());
            },
            |mut coroutine| coroutine.resume(()),
        )
        .unwrap();
        assert!(dropped);
    }

    #[test]
    fn a_scoped_coroutine_need_not_be_resumed() {
        let captured = vec![1];
        let length = scope(|_: &Yielder<(), ()>, ()| drop(captured), |_| 5).unwrap();
        assert_eq!(length, 5);
    }

    #[test]
    fn a_scoped_coroutine_says_whether_it_is_done() {
        let closure = |yielder: &Yielder<(), ()>, ()| yielder.suspend(());
        let done = scope(closure, |mut coroutine| {
            let mut done = vec![coroutine.is_done()];
            for _ in 0..2 {
                coroutine.resume(());
                done.push(coroutine.is_done());
            }
            done
        });
        assert_eq!(done.unwrap(), [false, false, true]);
    }

    #[test]
    fn scopes_nest() {
        let words = ["a", "b"];
        let first = |yielder: &Yielder<(), &'static str>, ()| yielder.suspend(words[0]);
        let second = |yielder: &Yielder<(), &'static str>, ()| yielder.suspend(words[1]);
        let both = scope(first, |mut first| {
            scope(second, |mut second| [first.resume(()), second.resume(())]).unwrap()
        });
        assert_eq!(both.unwrap(), [Yielded("a"), Yielded("b")]);
    }
}
