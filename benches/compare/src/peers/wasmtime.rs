//! wasmtime's fibers, on its own stacks: a mapping each, guarded by mprotect.

use std::cell::UnsafeCell;
use std::io;

use wasmtime_internal_fiber::{Fiber, FiberStack, Suspend};

use super::out_of_stacks;
use crate::peer::{Body, Peer, STACK};

pub struct Wasmtime(Fiber<'static, usize, usize, usize>);

impl Wasmtime {
    fn on(stack: FiberStack, body: Body<Self>, value: usize) -> io::Result<Self> {
        let fiber =
            Fiber::new(stack, move |first, suspend| body(UnsafeCell::from_mut(suspend), first));
        let mut job = Wasmtime(fiber.map_err(|(error, _)| out_of_stacks(error))?);
        job.resume(value);
        Ok(job)
    }
}

impl Peer for Wasmtime {
    const NAME: &'static str = "wasmtime-fiber";
    type Inside = UnsafeCell<Suspend<usize, usize, usize>>;

    fn start(body: Body<Self>, value: usize) -> io::Result<Self> {
        Self::on(FiberStack::new(STACK, false).map_err(out_of_stacks)?, body, value)
    }

    fn recycle(self, body: Body<Self>, value: usize) -> io::Result<Self> {
        Self::on(self.0.into_stack(), body, value)
    }

    #[inline(always)]
    fn resume(&mut self, value: usize) -> usize {
        match self.0.resume(value) {
            Ok(value) | Err(value) => value,
        }
    }

    #[inline(always)]
    fn pause(inside: &Self::Inside, value: usize) -> usize {
        // SAFETY: nobody else uses it while the body runs.
        let suspend = unsafe { &mut *inside.get() };
        suspend.suspend(value)
    }
}
