//! Whatever a coroutine is given, makes or captures is dropped, and once. Each case for
//! values that cross in a register and for those that cross by address.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;

use siding::coroutine::Coroutine;
use siding::coroutine::CoroutineState::{Complete, Yielded};

/// Counts its drops.
struct Counted<const SIZE: usize> {
    drops: Rc<Cell<u32>>,
    _bulk: [usize; SIZE],
}

impl<const SIZE: usize> Drop for Counted<SIZE> {
    fn drop(&mut self) {
        self.drops.update(|n| n + 1);
    }
}

fn counted<const SIZE: usize>(drops: &Rc<Cell<u32>>) -> Counted<SIZE> {
    Counted { drops: drops.clone(), _bulk: [0; SIZE] }
}

macro_rules! in_both_sizes {
    ($($case:ident),+ $(,)?) => { $(
        mod $case {
            #[test]
            fn in_a_register() {
                super::$case::<0>();
            }

            #[test]
            fn by_address() {
                super::$case::<8>();
            }
        }
    )+ };
}

in_both_sizes! {
    an_input_is_dropped_by_the_coroutine,
    a_yielded_value_is_dropped_by_the_resumer,
    a_result_is_dropped_by_the_resumer,
    captures_are_dropped_when_the_closure_returns,
    captures_are_dropped_when_the_closure_panics,
    captures_are_dropped_with_a_coroutine_never_resumed,
    captures_are_dropped_with_a_suspended_coroutine,
    locals_are_dropped_with_a_suspended_coroutine,
    a_yielded_value_is_not_dropped_with_the_coroutine,
    an_input_refused_after_the_end_is_dropped,
    what_is_yielded_while_unwinding_is_dropped,
    what_is_returned_while_unwinding_is_dropped,
}

fn an_input_is_dropped_by_the_coroutine<const SIZE: usize>() {
    let drops = Rc::default();
    let mut coroutine = Coroutine::<_, u32, ()>::new(|yielder, first: Counted<SIZE>| {
        let drops = first.drops.clone();
        drop(first);
        drop(yielder.suspend(drops.get()));
        yielder.suspend(drops.get());
    });
    assert_eq!(coroutine.resume(counted(&drops)), Yielded(1));
    assert_eq!(coroutine.resume(counted(&drops)), Yielded(2));
    drop(coroutine);
    assert_eq!(drops.get(), 2);
}

fn a_yielded_value_is_dropped_by_the_resumer<const SIZE: usize>() {
    let drops = Rc::default();
    let mut coroutine = Coroutine::<_, Counted<SIZE>, ()>::new(|yielder, value| {
        yielder.suspend(value);
    });
    let yielded = coroutine.resume(counted(&drops));
    assert_eq!(drops.get(), 0);
    drop(yielded);
    assert_eq!(drops.get(), 1);
    drop(coroutine);
    assert_eq!(drops.get(), 1);
}

fn a_result_is_dropped_by_the_resumer<const SIZE: usize>() {
    let drops = Rc::default();
    let mut coroutine = Coroutine::<_, (), Counted<SIZE>>::new(|_, value| value);
    let result = coroutine.resume(counted(&drops));
    drop(coroutine);
    assert_eq!(drops.get(), 0);
    drop(result);
    assert_eq!(drops.get(), 1);
}

fn captures_are_dropped_when_the_closure_returns<const SIZE: usize>() {
    let drops = Rc::default();
    let captured: Counted<SIZE> = counted(&drops);
    let mut coroutine = Coroutine::<(), (), u32>::new(move |_, ()| captured.drops.get());
    assert_eq!(coroutine.resume(()), Complete(0));
    assert_eq!(drops.get(), 1);
    drop(coroutine);
    assert_eq!(drops.get(), 1);
}

fn captures_are_dropped_when_the_closure_panics<const SIZE: usize>() {
    let drops = Rc::default();
    let captured: Counted<SIZE> = counted(&drops);
    let mut coroutine = Coroutine::<(), (), ()>::new(move |_, ()| {
        let _captured = captured;
        panic!("as it must");
    });
    panic::catch_unwind(AssertUnwindSafe(|| coroutine.resume(()))).unwrap_err();
    assert_eq!(drops.get(), 1);
    drop(coroutine);
    assert_eq!(drops.get(), 1);
}

fn captures_are_dropped_with_a_coroutine_never_resumed<const SIZE: usize>() {
    let drops = Rc::default();
    let captured: Counted<SIZE> = counted(&drops);
    let coroutine = Coroutine::<(), (), ()>::new(move |_, ()| {
        captured.drops.set(1000);
    });
    drop(coroutine);
    assert_eq!(drops.get(), 1);
}

fn captures_are_dropped_with_a_suspended_coroutine<const SIZE: usize>() {
    let drops = Rc::default();
    let captured: Counted<SIZE> = counted(&drops);
    let mut coroutine = Coroutine::<(), (), ()>::new(move |yielder, ()| {
        yielder.suspend(());
        drop(captured);
    });
    coroutine.resume(());
    assert_eq!(drops.get(), 0);
    drop(coroutine);
    assert_eq!(drops.get(), 1);
}

fn locals_are_dropped_with_a_suspended_coroutine<const SIZE: usize>() {
    let drops = Rc::default();
    let mut coroutine = Coroutine::<_, (), ()>::new(|yielder, local: Counted<SIZE>| {
        let _another = yielder.suspend(());
        yielder.suspend(());
        drop(local);
    });
    coroutine.resume(counted(&drops));
    coroutine.resume(counted(&drops));
    assert_eq!(drops.get(), 0);
    drop(coroutine);
    assert_eq!(drops.get(), 2);
}

fn a_yielded_value_is_not_dropped_with_the_coroutine<const SIZE: usize>() {
    let drops = Rc::default();
    let mut coroutine = Coroutine::<_, Counted<SIZE>, ()>::new(|yielder, value| {
        yielder.suspend(value);
    });
    let yielded = coroutine.resume(counted(&drops));
    drop(coroutine);
    assert_eq!(drops.get(), 0);
    drop(yielded);
}

fn an_input_refused_after_the_end_is_dropped<const SIZE: usize>() {
    let drops = Rc::default();
    let mut coroutine = Coroutine::<Counted<SIZE>, (), ()>::new(|_, _| ());
    coroutine.resume(counted(&drops));
    let again = AssertUnwindSafe(|| coroutine.resume(counted(&drops)));
    panic::catch_unwind(again).unwrap_err();
    assert_eq!(drops.get(), 2);
}

fn what_is_yielded_while_unwinding_is_dropped<const SIZE: usize>() {
    let drops = Rc::default();
    let counts = Rc::clone(&drops);
    let mut coroutine = Coroutine::<(), Counted<SIZE>, ()>::new(move |yielder, ()| {
        for _ in 0..3 {
            let suspend = AssertUnwindSafe(|| yielder.suspend(counted(&counts)));
            let _ = panic::catch_unwind(suspend);
        }
    });
    drop(coroutine.resume(()));
    assert_eq!(drops.get(), 1);
    drop(coroutine);
    assert_eq!(drops.get(), 3);
}

fn what_is_returned_while_unwinding_is_dropped<const SIZE: usize>() {
    let drops = Rc::default();
    let mut coroutine = Coroutine::<_, (), Counted<SIZE>>::new(|yielder, value| {
        let _ = panic::catch_unwind(AssertUnwindSafe(|| yielder.suspend(())));
        value
    });
    coroutine.resume(counted(&drops));
    drop(coroutine);
    assert_eq!(drops.get(), 1);
}
