//! generator-rs, each on a mapping guarded by mprotect.

use std::cell::UnsafeCell;
use std::io;

use generator::{Gn, Scope};

use crate::peer::{Body, Peer, STACK};

pub struct Generator(generator::Generator<'static, usize, usize>);

/// Calls the body with its scope, behind a shared reference. The scope's own lifetime, which
/// `Inside` cannot name, ends after the body.
fn run(body: Body<Generator>, mut scope: Scope<'_, 'static, usize, usize>) -> usize {
    let first = scope.get_yield().unwrap_or(0);
    let inside: *const <Generator as Peer>::Inside = (&raw mut scope).cast();
    // SAFETY: of the same layout; the scope outlives the body, and nobody else uses it.
    body(unsafe { &*inside }, first)
}

impl Peer for Generator {
    const NAME: &'static str = "generator";
    type Inside = UnsafeCell<Scope<'static, 'static, usize, usize>>;

    /// Panics where there is no stack to be had.
    fn start(body: Body<Self>, value: usize) -> io::Result<Self> {
        let words = STACK / size_of::<usize>();
        let mut job = Generator(Gn::new_scoped_opt(words, move |scope| run(body, scope)));
        job.0.set_para(value);
        job.0.resume();
        Ok(job)
    }

    fn recycle(mut self, body: Body<Self>, value: usize) -> io::Result<Self> {
        self.0.scoped_init(move |scope| run(body, scope));
        self.0.set_para(value);
        self.0.resume();
        Ok(self)
    }

    #[inline(always)]
    fn resume(&mut self, value: usize) -> usize {
        self.0.send(value)
    }

    #[inline(always)]
    fn pause(inside: &Self::Inside, value: usize) -> usize {
        // SAFETY: nobody else uses the scope while its body runs.
        let scope = unsafe { &mut *inside.get() };
        scope.yield_(value).expect("every resume sends a value")
    }
}
