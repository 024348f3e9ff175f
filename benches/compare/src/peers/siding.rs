//! siding's coroutines, and its jobs: a job carries no values, so those stay at home.

use std::io;

use siding::coroutine::{Coroutine, CoroutineState, Yielder};
use siding::job::{self, Job, Progress};
use siding::stack::{GuardedStack, StackConfig};

use super::out_of_stacks;
use crate::peer::{Body, Peer, STACK};

pub const CONFIG: StackConfig = StackConfig::with_size(STACK).guard(4 << 10);

pub struct Siding(Coroutine<usize, usize, usize>);

impl Siding {
    #[inline(always)]
    fn started(coroutine: Coroutine<usize, usize, usize>, value: usize) -> io::Result<Self> {
        let mut job = Siding(coroutine);
        job.resume(value);
        Ok(job)
    }
}

impl Peer for Siding {
    const NAME: &'static str = "siding";
    type Inside = Yielder<usize, usize>;

    #[inline(always)]
    fn start(body: Body<Self>, value: usize) -> io::Result<Self> {
        let coroutine = Coroutine::try_new(CONFIG, body).map_err(|r| out_of_stacks(r.error))?;
        Self::started(coroutine, value)
    }

    fn start_unpooled(body: Body<Self>, value: usize) -> Option<io::Result<Self>> {
        Some(GuardedStack::new(CONFIG).map_err(out_of_stacks).and_then(|stack| {
            let coroutine =
                Coroutine::with_stack(stack, body).map_err(|r| out_of_stacks(r.error))?;
            Self::started(coroutine, value)
        }))
    }

    #[inline(always)]
    fn resume(&mut self, value: usize) -> usize {
        match self.0.resume(value) {
            CoroutineState::Yielded(value) | CoroutineState::Complete(value) => value,
        }
    }

    #[inline(always)]
    fn pause(inside: &Self::Inside, value: usize) -> usize {
        inside.suspend(value)
    }

    #[inline(always)]
    fn prefetch(&self) {
        self.0.prefetch();
    }
}

pub struct SidingJob(Option<Job<usize>>);

impl SidingJob {
    #[inline(always)]
    fn after(progress: Progress<usize>) -> Self {
        match progress {
            Progress::Paused(job) => SidingJob(Some(job)),
            Progress::Finished(_) => SidingJob(None),
        }
    }
}

impl Peer for SidingJob {
    const NAME: &'static str = "siding job";
    type Inside = ();

    #[inline(always)]
    fn start(body: Body<Self>, value: usize) -> io::Result<Self> {
        // On the stacks that all jobs have unless told.
        let started = job::start(move || body(&(), value));
        Ok(Self::after(started.map_err(|refused| out_of_stacks(refused.error))?))
    }

    /// Jobs live on pooled stacks.
    fn start_unpooled(_: Body<Self>, _: usize) -> Option<io::Result<Self>> {
        None
    }

    #[inline(always)]
    fn resume(&mut self, value: usize) -> usize {
        let job = self.0.take().expect("it has not finished");
        *self = Self::after(job.resume());
        value
    }

    #[inline(always)]
    fn pause((): &Self::Inside, value: usize) -> usize {
        job::pause().expect("not cancelled");
        value
    }
}
