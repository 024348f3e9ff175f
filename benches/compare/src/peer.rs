//! What every library must be able to do, and functions to do it in.

use std::hint::black_box;
use std::io;

/// Of a job's stack, in bytes; guards are the libraries' own.
pub const STACK: usize = 16 << 10;

/// What a job runs: it gets the value of the first resume, and `P::pause`s with its first
/// argument.
pub type Body<P> = fn(&<P as Peer>::Inside, usize) -> usize;

/// A job of some library: a coroutine, fiber, generator or context.
pub trait Peer: Sized + 'static {
    const NAME: &'static str;

    /// What a body pauses by.
    type Inside;

    /// Makes a job and resumes it for the first time; it has paused or finished then.
    fn start(body: Body<Self>, value: usize) -> io::Result<Self>;

    /// Resumes a paused job, which pauses again. The value arrives where it paused.
    fn resume(&mut self, value: usize) -> usize;

    /// Pauses the job. The value is what its resume returns.
    fn pause(inside: &Self::Inside, value: usize) -> usize;

    /// Makes another job on the stack of this one, which has finished.
    fn recycle(self, body: Body<Self>, value: usize) -> io::Result<Self> {
        drop(self);
        Self::start(body, value)
    }

    /// As `start`, on a stack mapped for it, not from a pool. None: this cannot be asked for.
    fn start_unpooled(body: Body<Self>, value: usize) -> Option<io::Result<Self>> {
        Some(Self::start(body, value))
    }

    /// Asks the cache for what a resume reads first.
    fn prefetch(&self) {}
}

/// Something to do with every peer.
pub trait Visitor {
    fn visit<P: Peer>(&mut self);
}

/// Functions around a pause, each calling the one before, and bodies that call one for ever.
/// They are distinct and never inlined, as the return predictor sees those of a program.
macro_rules! depths {
    ($first:ident + $step:literal; $($name:ident $inner:ident),*; $($body:ident $called:ident),*) => {
        #[inline(always)]
        pub fn $first<P: Peer>(inside: &P::Inside, value: usize) -> usize {
            P::pause(inside, value)
        }
        $(
            #[inline(never)]
            pub fn $name<P: Peer>(inside: &P::Inside, value: usize) -> usize {
                black_box($inner::<P>(inside, value)) + $step
            }
        )*
        $(
            pub fn $body<P: Peer>(inside: &P::Inside, mut value: usize) -> usize {
                loop {
                    value = black_box($called::<P>(inside, value));
                }
            }
        )*
    };
}

depths!(d0 + 1; d1 d0, d2 d1, d3 d2, d4 d3, d5 d4, d6 d5, d7 d6, d8 d7;
    depth0 d0, depth1 d1, depth4 d4, depth8 d8);
// A second path to the same depth. Were it the same code, it would be merged with the first.
depths!(e0 + 2; e1 e0, e2 e1, e3 e2, e4 e3; other_depth4 e4);

/// A body that finishes at once.
pub fn ends<P: Peer>(_: &P::Inside, value: usize) -> usize {
    black_box(value)
}

/// The resume inside functions.
macro_rules! resumes {
    ($($name:ident $inner:ident),*) => {
        $(
            #[inline(never)]
            pub fn $name<P: Peer>(job: &mut P, value: usize) -> usize {
                black_box($inner(job, value)) + 1
            }
        )*
    };
}

#[inline(always)]
pub fn resume0<P: Peer>(job: &mut P, value: usize) -> usize {
    job.resume(value)
}
resumes!(resume1 resume0, resume2 resume1, resume3 resume2, resume4 resume3);
