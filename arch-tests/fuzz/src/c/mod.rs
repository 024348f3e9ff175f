//! Sequences through the C ABI.
#![allow(unsafe_code, reason = "it is C's")]

mod abi;
mod body;

use std::ffi::c_int;
use std::ptr;

use abi::*;

use crate::input::Input;
use crate::model::{Model, State};
use crate::script::{Code, Kind, Script};

/// The library and the model, side by side.
struct Both {
    world: Box<body::World>,
    model: Model,
    jobs: Vec<(usize, Job)>,
    /// Handles of jobs that have ended.
    stale: Vec<Job>,
    wakes: Vec<(usize, Wake)>,
    contexts: Vec<Ctx>,
    live_before: u64,
}

pub fn run(input: &mut Input<'_>) {
    ASYNC_cleanup_thread();
    // What the last sequence has left.
    while !siding_next_woken().is_null() {}
    let mut both = Both {
        world: Box::default(),
        model: Model::default(),
        jobs: Vec::new(),
        stale: Vec::new(),
        wakes: Vec::new(),
        contexts: Vec::new(),
        live_before: stats().live,
    };
    while !input.is_empty() {
        both.call(input);
        both.compare();
    }
    both.end();
}

/// All jobs of C's are cancelled by failing pauses, and nobody drives them.
fn kind() -> Kind {
    Kind { returns: true, driven: false, own_stack: false, wipe: false, fp: false }
}

fn stats() -> Stats {
    let mut stats = Stats::default();
    // SAFETY: writable, and of that size.
    assert_eq!(unsafe { siding_stats(&mut stats, size_of::<Stats>()) }, 1);
    stats
}

impl Both {
    fn call(&mut self, input: &mut Input<'_>) {
        match input.byte() % 18 {
            0..3 => self.start(input),
            3..6 => self.resume(input),
            6 => self.run_some(input),
            7 => self.cancel(input),
            8 => self.use_stale(input),
            9 => self.take_handle(input),
            10 | 11 => self.wake(input),
            12 | 13 => self.next_woken(),
            14 => self.size_pool(input),
            15 => self.set_options(input),
            _ => self.change_context(input),
        }
    }

    fn start(&mut self, input: &mut Input<'_>) {
        let at = input.place(self.contexts.len() + 1).and_then(|at| at.checked_sub(1));
        let script = Script::read_c(input);
        let (id, expected) = self.model.start_c(kind(), script.clone(), at);
        let ctx = at.map_or(ptr::null_mut(), |at| self.contexts[at]);
        let (code, job) = body::start(&self.world, script, ctx);
        assert_eq!(code, expected, "starting {id}");
        self.jobs.extend(job.map(|job| (id, job)));
    }

    fn resume(&mut self, input: &mut Input<'_>) {
        let Some(at) = input.place(self.jobs.len()) else { return };
        let (id, job) = self.jobs.remove(at);
        let expected = self.model.resume(id, false);
        let (code, again) = body::resume(job, id);
        assert_eq!(code, expected, "resuming {id}");
        self.came_back(id, job, again);
    }

    fn came_back(&mut self, id: usize, job: Job, again: Option<Job>) {
        match again {
            Some(again) => {
                assert_eq!(again, job, "a run has one handle");
                self.jobs.push((id, job));
            }
            None => self.stale.push(job),
        }
    }

    /// Up to three paused jobs and a stale handle in one call.
    fn run_some(&mut self, input: &mut Input<'_>) {
        let count = self.jobs.len().min(usize::from(input.byte() % 4));
        let some: Vec<_> = self.jobs.drain(..count).collect();
        let mut runs: Vec<Run> = some.iter().map(|(_, job)| Run::resume(*job)).collect();
        runs.extend(self.stale.last().map(|job| Run::resume(*job)));
        let expected: Vec<Code> =
            some.iter().map(|(id, _)| self.model.resume(*id, false)).collect();
        // SAFETY: so many elements, and the handles are checked.
        let paused = unsafe { siding_run(runs.as_mut_ptr(), runs.len()) };
        assert_eq!(paused, expected.iter().filter(|code| **code == Code::Paused).count());
        for (((id, job), run), expected) in some.into_iter().zip(&runs).zip(expected) {
            assert_eq!(body::code(run.code), expected);
            assert!(run.code != FINISH || run.ret == id as c_int);
            self.came_back(id, job, (!run.job.is_null()).then_some(run.job));
        }
    }

    fn cancel(&mut self, input: &mut Input<'_>) {
        let Some(at) = input.place(self.jobs.len()) else { return };
        let (id, job) = self.jobs.swap_remove(at);
        self.model.cancel(id);
        body::cancel(job, id);
        self.stale.push(job);
    }

    fn use_stale(&mut self, input: &mut Input<'_>) {
        let Some(at) = input.place(self.stale.len()) else { return };
        let (mut job, mut wake) = (self.stale[at], Wake::default());
        // SAFETY: handles are checked.
        unsafe {
            assert_eq!(siding_job_cancel(job, NOW, None, ptr::null_mut()), 0);
            assert_eq!(siding_get_wake(job, &mut wake), 0);
            assert!(ASYNC_get_wait_ctx(job).is_null());
            let (null, function) = (ptr::null_mut(), None);
            assert_eq!(ASYNC_start_job(&mut job, null, null.cast(), function, null, 0), ERR);
        }
        assert!(job.is_null());
    }

    fn take_handle(&mut self, input: &mut Input<'_>) {
        let Some(at) = input.place(self.jobs.len()) else { return };
        let mut wake = Wake::default();
        // SAFETY: a paused job, and a place to write to.
        assert_eq!(unsafe { siding_get_wake(self.jobs[at].1, &mut wake) }, 1);
        self.wakes.push((self.jobs[at].0, wake));
    }

    fn wake(&mut self, input: &mut Input<'_>) {
        let Some(at) = input.place(self.wakes.len()) else { return };
        let (id, wake) = self.wakes[at];
        self.model.wake_c(id);
        // SAFETY: from `siding_get_wake`.
        unsafe { siding_wake(wake) };
    }

    fn next_woken(&mut self) {
        let job = siding_next_woken();
        // In no order that is promised.
        let id = (!job.is_null()).then(|| self.world.numbers.borrow()[&job.addr()]);
        assert!(self.model.names(id), "{id:?} is named, woken are {:?}", self.model.woken);
    }

    fn size_pool(&mut self, input: &mut Input<'_>) {
        let (max, init) = (usize::from(input.byte() % 12), usize::from(input.byte() % 12));
        if max == 11 {
            ASYNC_cleanup_thread();
            self.model.pool.cleanup();
        } else {
            assert_eq!(ASYNC_init_thread(max, init) == 1, self.model.pool.init(max, init));
        }
    }

    fn set_options(&mut self, input: &mut Input<'_>) {
        let flags = u32::from(input.byte()) & (WIPE | HIGH_WATER_MARK | FP_CONTROL | ERRNO);
        // SAFETY: sizes and flags are checked.
        assert_eq!(unsafe { siding_set_job_options(0, 0, flags) }, 1);
    }

    fn change_context(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        let Some(at) = input.place(self.contexts.len()).filter(|_| !choice.is_multiple_of(4))
        else {
            self.contexts.push(ASYNC_WAIT_CTX_new());
            return self.model.new_context();
        };
        let ctx = self.contexts[at];
        let key = choice / 16 % 4;
        match choice % 4 {
            1 => {
                self.model.free_context(at);
                // SAFETY: from `new`, and not used again.
                unsafe { ASYNC_WAIT_CTX_free(ctx) };
                self.contexts.remove(at);
            }
            2 => {
                let expected = self.model.set_fd(at, key);
                assert_eq!(body::set_fd(&self.world, ctx, key), expected);
            }
            _ => assert_eq!(body::clear_fd(ctx, key), self.model.clear_fd(at, key)),
        }
    }

    /// What has happened, and what there is.
    fn compare(&mut self) {
        let published = self.world.published.take();
        let ids = std::mem::take(&mut self.model.published);
        assert_eq!(published.len(), ids.len());
        self.wakes.extend(ids.into_iter().zip(published));
        assert_eq!(self.world.log.take(), self.model.log.take());
        let stats = stats();
        let (total, free) = self.model.pool.census();
        assert_eq!((stats.pool, stats.pool_free), (total as u64, free as u64));
        let paused = self.model.jobs.iter().filter(|job| job.state == State::Paused).count() as u64;
        assert_eq!(stats.paused, paused);
        assert_eq!(stats.live - self.live_before, paused);
        for (id, job) in &self.jobs {
            let expected = self.model.context_of(*id).map(|at| self.contexts[at]);
            // SAFETY: handles are checked.
            let ctx = unsafe { ASYNC_get_wait_ctx(*job) };
            assert_eq!(ctx, expected.unwrap_or(ptr::null_mut()));
        }
        for (at, ctx) in self.contexts.iter().enumerate() {
            assert_eq!(body::fds(*ctx), self.model.fds(at));
        }
        assert!(ASYNC_get_current_job().is_null());
    }

    fn end(mut self) {
        for (id, job) in std::mem::take(&mut self.jobs) {
            self.model.cancel(id);
            body::cancel(job, id);
        }
        while !self.contexts.is_empty() {
            self.model.free_context(0);
            // SAFETY: from `new`, and not used again.
            unsafe { ASYNC_WAIT_CTX_free(self.contexts.remove(0)) };
        }
        self.compare();
        for (_, wake) in &self.wakes {
            // SAFETY: from `siding_get_wake`; stale by now.
            unsafe { siding_wake(*wake) };
        }
        // SAFETY: sizes and flags are checked.
        assert_eq!(unsafe { siding_set_job_options(0, 0, 0) }, 1);
        ASYNC_cleanup_thread();
        assert_eq!(stats().pool, 0);
    }
}
