//! Instantiates and inlines the switch in a crate that siding is linked to dynamically.

use siding_dylib::siding::coroutine::{Coroutine, CoroutineState};

#[test]
fn a_coroutine_from_a_dylib_switches() {
    let mut sums = Coroutine::new(|yielder, first: usize| {
        let mut sum = first;
        while sum < 100 {
            sum += yielder.suspend(sum);
        }
        sum
    });
    let mut resumed = 0;
    let last = loop {
        resumed += 1;
        match sums.resume(7) {
            CoroutineState::Yielded(sum) => assert_eq!(sum, 7 * resumed),
            CoroutineState::Complete(sum) => break sum,
        }
    };
    assert_eq!((resumed, last), (15, 105));
}

#[test]
fn a_panic_leaves_a_coroutine_from_a_dylib() {
    let mut fails = Coroutine::<(), (), ()>::new(|yielder, ()| {
        yielder.suspend(());
        panic!("on purpose");
    });
    assert_eq!(fails.resume(()), CoroutineState::Yielded(()));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fails.resume(())));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
}
