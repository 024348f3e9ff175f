//! quick
use siding::coroutine::{Coroutine, CoroutineState, Yielder};
use std::hint::black_box;
use std::time::Instant;

macro_rules! depth_fns {
    ($y:ty, $($name:ident => $next:ident),*) => { $(
        #[inline(never)]
        fn $name(y: &$y, v: usize) -> usize { let r = $next(y, v); black_box(r) + 1 }
    )* };
}
mod s {
    use super::*;
    type Y = Yielder<usize, usize>;
    #[inline(always)]
    pub fn f0(y: &Y, v: usize) -> usize {
        y.suspend(v)
    }
    depth_fns!(Y, f1 => f0, f2 => f1, f3 => f2, f4 => f3, f5=>f4, f6=>f5, f7=>f6, f8=>f7);
    macro_rules! mk {
        ($n:ident, $f:ident) => {
            pub fn $n() -> Coroutine<usize, usize, ()> {
                Coroutine::new(|y: &Y, mut v: usize| {
                    loop {
                        v = black_box($f(y, v));
                    }
                })
            }
        };
    }
    mk!(j0, f0);
    mk!(j1, f1);
    mk!(j4, f4);
    mk!(j8, f8);
}
mod c {
    use super::*;
    type Y = corosensei::Yielder<usize, usize>;
    #[inline(always)]
    pub fn f0(y: &Y, v: usize) -> usize {
        y.suspend(v)
    }
    depth_fns!(Y, f1 => f0, f2 => f1, f3 => f2, f4 => f3, f5=>f4, f6=>f5, f7=>f6, f8=>f7);
    macro_rules! mk {
        ($n:ident, $f:ident) => {
            pub fn $n() -> corosensei::Coroutine<usize, usize, ()> {
                corosensei::Coroutine::new(|y: &Y, mut v: usize| {
                    loop {
                        v = black_box($f(y, v));
                    }
                })
            }
        };
    }
    mk!(j0, f0);
    mk!(j1, f1);
    mk!(j4, f4);
    mk!(j8, f8);
}
const N: usize = 1_000_000;
fn run_s(c: &mut Coroutine<usize, usize, ()>) -> f64 {
    let t = Instant::now();
    for i in 0..N {
        match c.resume(i) {
            CoroutineState::Yielded(v) => {
                black_box(v);
            }
            _ => unreachable!(),
        }
    }
    t.elapsed().as_nanos() as f64 / N as f64
}
fn run_c(c: &mut corosensei::Coroutine<usize, usize, ()>) -> f64 {
    let t = Instant::now();
    for i in 0..N {
        match c.resume(i) {
            corosensei::CoroutineResult::Yield(v) => {
                black_box(v);
            }
            _ => unreachable!(),
        }
    }
    t.elapsed().as_nanos() as f64 / N as f64
}
fn main() {
    let mut s = [s::j0(), s::j1(), s::j4(), s::j8()];
    let mut c = [c::j0(), c::j1(), c::j4(), c::j8()];
    let mut best = [[f64::MAX; 4]; 2];
    for _ in 0..30 {
        for i in 0..4 {
            best[0][i] = best[0][i].min(run_s(&mut s[i]));
            best[1][i] = best[1][i].min(run_c(&mut c[i]));
        }
    }
    for i in 0..4 {
        println!(
            "siding {:.2} corosensei {:.2} ratio {:.2}",
            best[0][i],
            best[1][i],
            best[0][i] / best[1][i]
        );
    }
    for x in c {
        std::mem::forget(x)
    }
}
