//! Round trips (resume and pause) of siding and corosensei, interleaved in one process.
//!
//! A bare loop flatters: what a switch costs depends on what it does to the predictor of
//! return addresses, which shows only when the pause, or the resume, happens inside real
//! functions. So each is measured at several depths, with distinct functions that are
//! never inlined:
//!
//! * `depth N`: the coroutine suspends inside N functions, which return to its loop
//!   between two suspensions; the resumer is a flat loop.
//! * `depth N, resume in M`: the resume, too, is inside M functions.
//! * `two paths`: two coroutines at depth 4 on different paths, in turn.
//!
//! `cargo bench --bench switch [-- --quick]`

use std::hint::black_box;

#[allow(dead_code)]
mod harness;

use harness::Bench;

/// Eight functions around `suspend`, each calling the one before.
macro_rules! depths {
    ($yielder:ty: $first:ident $($name:ident $inner:ident),*) => {
        #[inline(always)]
        fn $first(yielder: &$yielder, value: usize) -> usize {
            yielder.suspend(value)
        }
        $(
            #[inline(never)]
            fn $name(yielder: &$yielder, value: usize) -> usize {
                black_box($inner(yielder, value)) + 1
            }
        )*
    };
}

/// The same code for a library with `$Coroutine`, `$Yielder` and a value `$Yielded`.
macro_rules! library {
    ($module:ident, $Coroutine:path, $Yielder:path, $Yielded:path) => {
        mod $module {
            use super::*;
            use $Coroutine as Coroutine;
            use $Yielded as Yielded;
            use $Yielder as Yielder;

            type Y = Yielder<usize, usize>;
            type C = Coroutine<usize, usize, ()>;

            depths!(Y: d0 d1 d0, d2 d1, d3 d2, d4 d3, d5 d4, d6 d5, d7 d6, d8 d7);
            // A second path to the same depth.
            depths!(Y: e0 e1 e0, e2 e1, e3 e2, e4 e3);

            macro_rules! coroutine {
                ($inner:ident) => {
                    Coroutine::new(|yielder: &Y, mut value: usize| {
                        loop {
                            value = black_box($inner(yielder, value));
                        }
                    })
                };
            }

            #[inline(always)]
            fn resume(coroutine: &mut C, value: usize) -> usize {
                match coroutine.resume(value) {
                    Yielded(value) => value,
                    _ => unreachable!("it loops for ever"),
                }
            }

            #[inline(never)]
            fn r1(c: &mut C, value: usize) -> usize {
                black_box(resume(c, value)) + 1
            }
            #[inline(never)]
            fn r2(c: &mut C, value: usize) -> usize {
                black_box(r1(c, value)) + 1
            }
            #[inline(never)]
            fn r3(c: &mut C, value: usize) -> usize {
                black_box(r2(c, value)) + 1
            }
            #[inline(never)]
            fn r4(c: &mut C, value: usize) -> usize {
                black_box(r3(c, value)) + 1
            }

            macro_rules! case {
                ($bench:ident, $group:literal, $inner:ident, $outer:ident) => {
                    let mut coroutine: C = coroutine!($inner);
                    $bench.case($group, stringify!($module), move |n| {
                        for i in 0..n {
                            black_box($outer(&mut coroutine, i));
                        }
                    });
                };
            }

            pub fn cases(bench: &mut Bench) {
                case!(bench, "depth 0", d0, resume);
                case!(bench, "depth 1", d1, resume);
                case!(bench, "depth 4", d4, resume);
                case!(bench, "depth 8", d8, resume);
                case!(bench, "depth 1, resume in 1", d1, r1);
                case!(bench, "depth 4, resume in 4", d4, r4);
                let (mut a, mut b): (C, C) = (coroutine!(d4), coroutine!(e4));
                bench.case("two paths, depth 4", stringify!($module), move |n| {
                    for i in 0..n / 2 {
                        black_box(resume(&mut a, i));
                        black_box(resume(&mut b, i));
                    }
                });
            }
        }
    };
}

library!(
    siding,
    ::siding::coroutine::Coroutine,
    ::siding::coroutine::Yielder,
    ::siding::coroutine::CoroutineState::Yielded
);
library!(
    corosensei,
    ::corosensei::Coroutine,
    ::corosensei::Yielder,
    ::corosensei::CoroutineResult::Yield
);

/// The floor: the same chains of calls without a switch.
mod plain {
    use super::*;

    struct Nothing;
    impl Nothing {
        #[inline(always)]
        fn suspend(&self, value: usize) -> usize {
            black_box(value)
        }
    }
    depths!(Nothing: d0 d1 d0, d2 d1, d3 d2, d4 d3, d5 d4, d6 d5, d7 d6, d8 d7);

    pub fn cases(bench: &mut Bench) {
        macro_rules! case {
            ($group:literal, $inner:ident) => {
                bench.case($group, "plain calls", |n| {
                    for i in 0..n {
                        black_box($inner(&Nothing, i));
                    }
                });
            };
        }
        case!("depth 0", d0);
        case!("depth 1", d1);
        case!("depth 4", d4);
        case!("depth 8", d8);
    }
}

/// Jobs: more than a switch, and compared with nothing here.
mod jobs {
    use super::*;
    use ::siding::job::{self, Progress};

    #[inline(never)]
    fn p1() {
        job::pause().expect("not cancelled");
        black_box(());
    }
    #[inline(never)]
    fn p2() {
        p1();
        black_box(());
    }
    #[inline(never)]
    fn p3() {
        p2();
        black_box(());
    }
    #[inline(never)]
    fn p4() {
        p3();
        black_box(());
    }

    fn pause_resume(bench: &mut Bench, group: &'static str, pause: fn()) {
        let started = job::start(move || {
            loop {
                pause();
            }
        });
        let Ok(Progress::Paused(job)) = started else { unreachable!("it pauses") };
        let mut job: Option<job::Job<()>> = Some(job);
        bench.case(group, "siding job", move |n| {
            let mut current = job.take().expect("put back below");
            for _ in 0..n {
                let Progress::Paused(paused) = current.resume() else { unreachable!("it loops") };
                current = paused;
            }
            job = Some(current);
        });
    }

    pub fn cases(bench: &mut Bench) {
        pause_resume(bench, "depth 1", p1);
        pause_resume(bench, "depth 4", p4);
        bench.case("start + finish", "siding job", |n| {
            for i in 0..n {
                let Ok(Progress::Finished(value)) = job::start(move || black_box(i)) else {
                    unreachable!("it does not pause")
                };
                black_box(value);
            }
        });
        bench.case("start + pause + finish", "siding job", |n| {
            for _ in 0..n {
                let Ok(Progress::Paused(job)) = job::start(job::pause) else {
                    unreachable!("it pauses")
                };
                black_box(matches!(job.resume(), Progress::Finished(Ok(()))));
            }
        });
        bench.case("start + finish", "siding coroutine", |n| {
            for i in 0..n {
                let mut c = ::siding::coroutine::Coroutine::<usize, (), usize>::new(|_, v| v);
                black_box(c.resume(i));
            }
        });
        let mut stack = Some(::corosensei::stack::DefaultStack::default());
        bench.case("start + finish", "corosensei", move |n| {
            for i in 0..n {
                let mut c = ::corosensei::Coroutine::<usize, (), usize, _>::with_stack(
                    stack.take().expect("put back below"),
                    |_, v| v,
                );
                black_box(c.resume(i).as_return());
                stack = Some(c.into_stack());
            }
        });
    }
}

fn main() {
    let mut bench = Bench::from_args();
    siding::cases(&mut bench);
    corosensei::cases(&mut bench);
    plain::cases(&mut bench);
    jobs::cases(&mut bench);
    bench.run();
    bench.cases.sort_by_key(|case| case.group);
    println!("ns; smaller is better; a ratio below 1 is faster than corosensei");
    bench.print("corosensei");
    // corosensei unwinds what is dropped suspended; not part of this.
    std::mem::forget(bench);
}
