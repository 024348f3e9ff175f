//! Dropping a suspended coroutine unwinds it.

use super::*;

#[test]
fn locals_are_dropped_from_the_innermost_frame_outwards() {
    let log = Log::default();
    let notes = log.clone();
    let coroutine = suspended(move |yielder| {
        let _first = notes.at_drop("first of the outer frame");
        let _second = notes.at_drop("second of the outer frame");
        let inner = || {
            let _local = notes.at_drop("inner frame");
            yielder.suspend(());
        };
        inner();
    });
    drop(coroutine);
    let order = ["inner frame", "second of the outer frame", "first of the outer frame"];
    assert_eq!(log.entries(), order);
}

#[test]
fn code_after_the_suspension_does_not_run() {
    let log = Log::default();
    let notes = log.clone();
    drop(suspended(move |yielder| {
        yielder.suspend(());
        notes.note("ran on");
    }));
    assert!(log.entries().is_empty());
}

#[test]
fn a_coroutine_owned_by_a_frame_unwinds_where_it_stands() {
    let log = Log::default();
    let notes = log.clone();
    drop(suspended(move |yielder| {
        let _first = notes.at_drop("outer, declared before");
        let inner_notes = notes.clone();
        let _inner = suspended(move |yielder| {
            let _local = inner_notes.at_drop("inner");
            yielder.suspend(());
        });
        let _last = notes.at_drop("outer, declared after");
        yielder.suspend(());
    }));
    assert_eq!(log.entries(), ["outer, declared after", "inner", "outer, declared before"]);
}

/// The outer coroutine is suspended in frames on the inner one's stack.
#[test]
fn unwinding_passes_through_a_coroutine_that_suspended_the_outer_one() {
    let log = Log::default();
    let notes = log.clone();
    drop(suspended(move |outer| {
        let _outer = notes.at_drop("outer");
        let inside = |_: &Yielder<(), ()>, ()| {
            let _inner = notes.at_drop("inner");
            outer.suspend(());
        };
        scope(inside, |mut inner| inner.resume(())).unwrap();
        notes.note("ran on");
    }));
    assert_eq!(log.entries(), ["inner", "outer"]);
}

#[test]
fn the_hook_is_not_called() {
    let coroutine = suspended(|yielder| yielder.suspend(()));
    assert_eq!(hook_calls(|| drop(coroutine)), 0);
}

#[test]
fn the_hook_is_not_called_for_a_coroutine_never_resumed() {
    let coroutine = Coroutine::<(), (), ()>::new(|_, ()| ());
    assert_eq!(hook_calls(|| drop(coroutine)), 0);
}

#[test]
fn a_coroutine_unwinds_while_its_thread_is_panicking() {
    let log = Log::default();
    let payload = catch(|| {
        let notes = log.clone();
        let _coroutine = suspended(move |yielder| {
            let _local = notes.at_drop("unwound");
            yielder.suspend(());
        });
        panic_any("outer");
    });
    assert_eq!(*payload.unwrap_err().downcast_ref::<&str>().unwrap(), "outer");
    assert_eq!(log.entries(), ["unwound"]);
}

#[test]
fn a_coroutine_runs_in_a_destructor_while_its_thread_is_panicking() {
    struct ResumeAtDrop(Coroutine<(), (), ()>, Log);
    impl Drop for ResumeAtDrop {
        fn drop(&mut self) {
            if self.0.resume(()) == Complete(()) {
                self.1.note("returned");
            }
        }
    }
    let log = Log::default();
    let _ = catch(|| {
        let coroutine = suspended(|yielder| yielder.suspend(()));
        coroutine_panics_inside();
        let _resume = ResumeAtDrop(coroutine, log.clone());
        panic!("as it must");
    });
    assert_eq!(log.entries(), ["returned"]);
}

fn coroutine_panics_inside() {
    let mut coroutine = Coroutine::<(), (), ()>::new(|_, ()| panic!("as it must"));
    catch(|| coroutine.resume(())).unwrap_err();
}

#[test]
fn a_panic_of_a_captures_destructor_is_reported_and_goes_no_further() {
    struct PanicAtDrop;
    impl Drop for PanicAtDrop {
        fn drop(&mut self) {
            panic!("as it must");
        }
    }
    let captured = PanicAtDrop;
    let coroutine = Coroutine::<(), (), ()>::new(move |_, ()| drop(captured));
    assert_eq!(hook_calls(|| drop(coroutine)), 1);
}

#[test]
fn a_panic_on_the_way_out_is_reported_and_goes_no_further() {
    let coroutine = suspended(|yielder| {
        let _ = catch(|| yielder.suspend(()));
        panic!("as it must");
    });
    assert_eq!(hook_calls(|| drop(coroutine)), 1);
}
