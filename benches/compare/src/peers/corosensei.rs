//! corosensei's coroutines on its `DefaultStack`: a mapping each, guarded by mprotect.

use std::io;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::peer::{Body, Peer, STACK};

pub struct Corosensei(Coroutine<usize, usize, usize, DefaultStack>);

impl Corosensei {
    #[inline(always)]
    fn on(stack: DefaultStack, body: Body<Self>, value: usize) -> io::Result<Self> {
        let mut job = Corosensei(Coroutine::with_stack(stack, body));
        job.resume(value);
        Ok(job)
    }
}

impl Peer for Corosensei {
    const NAME: &'static str = "corosensei";
    type Inside = Yielder<usize, usize>;

    fn start(body: Body<Self>, value: usize) -> io::Result<Self> {
        Self::on(DefaultStack::new(STACK)?, body, value)
    }

    #[inline(always)]
    fn recycle(self, body: Body<Self>, value: usize) -> io::Result<Self> {
        Self::on(self.0.into_stack(), body, value)
    }

    #[inline(always)]
    fn resume(&mut self, value: usize) -> usize {
        match self.0.resume(value) {
            CoroutineResult::Yield(value) | CoroutineResult::Return(value) => value,
        }
    }

    #[inline(always)]
    fn pause(inside: &Self::Inside, value: usize) -> usize {
        inside.suspend(value)
    }
}
