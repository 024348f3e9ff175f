//! Signals arrive at any instruction of a switch, on whichever stack is current: their
//! handlers run there, or on the alternate stack, and the switches go on undisturbed.
#![allow(unsafe_code, reason = "timers and handlers")]

use std::hint::black_box;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::common::passes;
use siding::coroutine::CoroutineState::Yielded;
use siding::coroutine::{Coroutine, Yielder};
use siding::stack::{GuardedStack, Stack, StackConfig};

/// Where the handler counts its runs: on the stack of the coroutine, and elsewhere.
static BOTTOM: AtomicUsize = AtomicUsize::new(0);
static TOP: AtomicUsize = AtomicUsize::new(0);
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static OUTSIDE: AtomicUsize = AtomicUsize::new(0);

/// For a minute or more.
const MOST_SIGNALS: usize = 300_000;

extern "C" fn handler(_: libc::c_int) {
    // Uses some stack, and the registers that a switch leaves to the compiler.
    let frame = black_box([0x5a_u8; 2048]);
    let here = (&raw const frame).addr();
    let count =
        if (BOTTOM.load(Relaxed)..TOP.load(Relaxed)).contains(&here) { &INSIDE } else { &OUTSIDE };
    let signals = count.fetch_add(1, Relaxed);
    // A timer of its own takes the place of the alarm that ends a child which hangs.
    if signals > MOST_SIGNALS {
        // SAFETY: no preconditions.
        unsafe { libc::abort() };
    }
}

/// Has `signal` delivered every 200 us of whatever `timer` counts.
fn storm(timer: libc::c_int, signal: libc::c_int, flags: libc::c_int) {
    // SAFETY: all zeros is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_RESTART | flags;
    // SAFETY: the handler is async-signal-safe.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) }, 0);
    let every = libc::timeval { tv_sec: 0, tv_usec: 200 };
    let timing = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: reads the struct.
    assert_eq!(unsafe { libc::setitimer(timer, &raw const timing, ptr::null_mut()) }, 0);
}

/// Switches until `signals` are counted in `count`, and checks every value that crosses.
fn switch_until(count: &AtomicUsize, signals: usize) {
    let stack = GuardedStack::new(StackConfig::DEFAULT).expect("there is memory");
    BOTTOM.store(stack.bottom().addr(), Relaxed);
    TOP.store(stack.top().addr(), Relaxed);
    let closure = |yielder: &Yielder<(u64, f64), (u64, f64)>, mut input: (u64, f64)| {
        let kept = black_box([input.0; 8]);
        loop {
            input = yielder.suspend((input.0 + kept[7], input.1 * 2.0));
        }
    };
    let mut coroutine: Coroutine<_, _, ()> =
        Coroutine::with_stack(stack, closure).expect("large enough");
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut first = None;
    while count.load(Relaxed) < signals {
        assert!(Instant::now() < deadline, "the signals do not arrive there");
        for n in 1..10_000 {
            let first = *first.get_or_insert(n);
            assert_eq!(coroutine.resume((n, n as f64)), Yielded((n + first, n as f64 * 2.0)));
        }
    }
}

/// Gives the thread an alternate stack: a forked child keeps that of the test's thread,
/// but nothing says that there was one.
fn use_alternate_stack() {
    let size = 64 << 10;
    let memory = Box::leak(vec![0_u8; size].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: size };
    // SAFETY: the memory is leaked to this purpose.
    assert_eq!(unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) }, 0);
}

#[test]
fn handlers_of_a_profiling_timer_run_on_the_coroutines_stack() {
    passes(|| {
        storm(libc::ITIMER_PROF, libc::SIGPROF, 0);
        switch_until(&INSIDE, 10);
    });
}

#[test]
fn handlers_of_an_alarm_run_on_the_coroutines_stack() {
    passes(|| {
        storm(libc::ITIMER_REAL, libc::SIGALRM, 0);
        switch_until(&INSIDE, 200);
    });
}

#[test]
fn handlers_of_a_profiling_timer_run_on_the_alternate_stack() {
    passes(|| {
        use_alternate_stack();
        storm(libc::ITIMER_PROF, libc::SIGPROF, libc::SA_ONSTACK);
        switch_until(&OUTSIDE, 20);
        assert_eq!(INSIDE.load(Relaxed), 0);
    });
}

#[test]
fn handlers_of_an_alarm_run_on_the_alternate_stack() {
    passes(|| {
        use_alternate_stack();
        storm(libc::ITIMER_REAL, libc::SIGALRM, libc::SA_ONSTACK);
        switch_until(&OUTSIDE, 400);
        assert_eq!(INSIDE.load(Relaxed), 0);
    });
}
