//! Many coroutines, on many threads at once.

use std::mem;
use std::sync::{Arc, Barrier};
use std::thread;

use siding::coroutine::Coroutine;
use siding::coroutine::CoroutineState::{Complete, Yielded};

const THREADS: u64 = 8;

/// Yields the running sum of its inputs, from some depth of calls; returns it at a zero.
fn summing(seed: u64) -> Coroutine<u64, u64, u64> {
    Coroutine::new(move |yielder, first| {
        let mut sum = seed + first;
        // Values that must survive every switch, whichever thread does the switching.
        let witness = [seed; 8];
        loop {
            match yielder.suspend(sum) {
                0 => return sum + witness.iter().sum::<u64>() - 8 * seed,
                n => sum += n,
            }
        }
    })
}

/// Runs `f` on eight threads, started together.
fn on_each_thread(f: impl Fn(u64) + Send + Sync + 'static) {
    let shared = Arc::new((Barrier::new(THREADS as usize), f));
    let threads: Vec<_> = (0..THREADS)
        .map(|n| {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.0.wait();
                (shared.1)(n);
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("every thread ends well"));
}

#[test]
fn coroutines_on_eight_threads_do_not_disturb_each_other() {
    on_each_thread(|thread| {
        let mut coroutines: Vec<_> = (0..50).map(|n| summing(1000 * thread + n)).collect();
        for turn in 1..100 {
            for (n, coroutine) in (0..).zip(&mut coroutines) {
                let sum = 1000 * thread + n + turn * (turn + 1) / 2;
                assert_eq!(coroutine.resume(turn), Yielded(sum));
            }
        }
        for (n, coroutine) in (0..).zip(&mut coroutines) {
            assert_eq!(coroutine.resume(0), Complete(1000 * thread + n + 99 * 100 / 2));
        }
    });
}

#[test]
fn eight_threads_make_and_drop_thousands() {
    on_each_thread(|thread| {
        for n in 0..1000 {
            let mut coroutine = summing(thread);
            assert_eq!(coroutine.resume(n), Yielded(thread + n));
        }
    });
}

#[test]
fn a_thousand_coroutines_are_alive_at_once() {
    let mut coroutines: Vec<_> = (0..1000).map(summing).collect();
    for (n, coroutine) in (0..).zip(&mut coroutines) {
        assert_eq!(coroutine.resume(1), Yielded(n + 1));
    }
    for (n, coroutine) in (0..1000).rev().zip(coroutines.iter_mut().rev()) {
        assert_eq!(coroutine.resume(0), Complete(n + 1));
    }
}

#[test]
fn threads_may_end_with_coroutines_forgotten() {
    on_each_thread(|thread| {
        for n in 0..20 {
            let mut coroutine = summing(thread);
            assert_eq!(coroutine.resume(n), Yielded(thread + n));
            mem::forget(coroutine);
        }
    });
}

/// The forgotten stacks of a thread that has ended still belong to nobody else.
#[test]
#[allow(unsafe_code)]
fn what_a_thread_forgets_outlives_it() {
    let forgotten = thread::spawn(|| {
        let mut coroutine = Coroutine::<(), usize, ()>::new(|yielder, ()| {
            let local = std::hint::black_box(0x5eed_u64);
            yielder.suspend((&raw const local).expose_provenance());
            std::hint::black_box(local);
        });
        let Yielded(address) = coroutine.resume(()) else { panic!("it suspends") };
        mem::forget(coroutine);
        address
    });
    let address = forgotten.join().expect("the thread ends well");
    eight_threads_make_and_drop_thousands();
    let local = std::ptr::with_exposed_provenance::<u64>(address);
    // SAFETY: the frame is suspended for good, and its stack never given back.
    assert_eq!(unsafe { local.read() }, 0x5eed);
}

#[test]
fn each_thread_may_panic_and_unwind_on_its_own() {
    on_each_thread(|thread| {
        for n in 0..20 {
            let mut coroutine = Coroutine::<u64, (), ()>::new(move |_, n| {
                std::panic::resume_unwind(Box::new(thread * 100 + n));
            });
            let resume = std::panic::AssertUnwindSafe(|| coroutine.resume(n));
            let payload = std::panic::catch_unwind(resume).unwrap_err();
            assert_eq!(*payload.downcast::<u64>().unwrap(), thread * 100 + n);
            let mut coroutine = summing(n);
            coroutine.resume(1);
            drop(coroutine);
        }
    });
}
