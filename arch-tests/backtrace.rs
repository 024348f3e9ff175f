//! A backtrace taken inside a coroutine goes on, through the trampoline, into whoever
//! resumed it last.

use std::backtrace::Backtrace;
use std::hint::black_box;

use siding::coroutine::{Coroutine, CoroutineState, Yielder};

type Tracer = Coroutine<(), String, ()>;

/// A coroutine that yields its backtrace at every turn.
fn tracer() -> Tracer {
    Coroutine::new(|yielder, ()| {
        loop {
            innermost(yielder);
        }
    })
}

#[inline(never)]
fn innermost(yielder: &Yielder<(), String>) {
    yielder.suspend(Backtrace::force_capture().to_string());
    black_box(());
}

fn turn(tracer: &mut Tracer) -> String {
    match tracer.resume(()) {
        CoroutineState::Yielded(trace) => trace,
        CoroutineState::Complete(()) => unreachable!("the tracer never returns"),
    }
}

/// Functions that resume; the names are distinct, and so is the code, lest the compiler
/// merge them.
macro_rules! resumers {
    ($($name:ident),+) => {
        $(
            #[inline(never)]
            fn $name(tracer: &mut Tracer) -> String {
                let trace = turn(tracer);
                black_box(stringify!($name));
                trace
            }
        )+
        const RESUMERS: &[(&str, fn(&mut Tracer) -> String)] = &[$((stringify!($name), $name)),+];
    };
}
resumers!(resumer_one, resumer_two, resumer_three);

#[inline(never)]
fn outermost(resumer: fn(&mut Tracer) -> String, tracer: &mut Tracer) -> String {
    black_box(resumer)(tracer) + ""
}

/// A frame of the standard library below every test.
const THREAD_START: &str = "__rust_begin_short_backtrace";

/// Whether `names` occur in `trace` in this order, innermost first.
fn in_order(trace: &str, names: &[&str]) -> bool {
    let mut rest = trace;
    names.iter().all(|name| match rest.split_once(name) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[test]
fn a_backtrace_shows_the_last_resumer_and_its_callers() {
    let mut tracer = tracer();
    for index in [0, 1, 0, 2, 2, 1] {
        let (name, resumer) = RESUMERS[index];
        let trace = outermost(resumer, &mut tracer);
        let expected = ["innermost", "trampoline", name, "outermost", THREAD_START];
        assert!(in_order(&trace, &expected), "no chain {expected:?} in\n{trace}");
        for (other, _) in RESUMERS.iter().filter(|(other, _)| *other != name) {
            assert!(!trace.contains(other), "{other} did not resume, {name} did:\n{trace}");
        }
    }
}

#[test]
fn a_backtrace_goes_through_nested_coroutines() {
    let mut outer: Tracer = Coroutine::new(|yielder, ()| {
        let mut tracer = tracer();
        yielder.suspend(resumer_one(&mut tracer));
        yielder.suspend(resumer_two(&mut tracer));
    });
    for inner in ["resumer_one", "resumer_two"] {
        let trace = resumer_three(&mut outer);
        let expected =
            ["innermost", "trampoline", inner, "trampoline", "resumer_three", THREAD_START];
        assert!(in_order(&trace, &expected), "no chain {expected:?} in\n{trace}");
    }
}
