//! What happens to jobs, told twice: counted for `siding::stats()`, and as static probes
//! (USDT: a nop each and a note that says where) for gdb, perf, bpftrace and systemtap.
//!
//! Each probe has the address of the job's control block, which names the job, and its run.
//!
//! # Safety
//!
//! The unsafe code is that of `probe`: an instruction that does nothing.
#![allow(unsafe_code)]

use std::cell::Cell;

use super::core::Raw;

/// What has happened to the jobs of one thread since it began: see [`stats`](crate::stats()).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Events {
    /// Jobs entered for the first time.
    pub started: u64,
    /// Jobs that went on where they had paused. With `started`: turns.
    pub resumed: u64,
    /// Pauses, for whatever reason; handing over to another job is one.
    pub paused: u64,
    /// Jobs that have ended, by a panic or cancelled too.
    pub finished: u64,
    /// Jobs that somebody has begun to cancel.
    pub cancelled: u64,
    /// Wakes that have reached a scheduler of the thread.
    pub woken: u64,
}

thread_local! {
    static EVENTS: Cell<Events> = const {
        Cell::new(Events {
            started: 0,
            resumed: 0,
            paused: 0,
            finished: 0,
            cancelled: 0,
            woken: 0,
        })
    };
}

pub(crate) fn events() -> Events {
    EVENTS.get()
}

#[inline(always)]
fn count(change: impl FnOnce(&mut Events)) {
    EVENTS.with(|events| {
        let mut now = events.get();
        change(&mut now);
        events.set(now);
    });
}

#[inline(always)]
pub(super) fn entered(job: Raw) {
    let (address, run) = (job.address(), job.core().run.get());
    if job.is_fresh() {
        count(|events| events.started += 1);
        probe::probe!(siding, start, address, run);
    } else {
        count(|events| events.resumed += 1);
        probe::probe!(siding, resume, address, run);
    }
}

#[inline(always)]
pub(super) fn left(job: Raw, paused: bool) {
    let (address, run) = (job.address(), job.core().run.get());
    if paused {
        count(|events| events.paused += 1);
        probe::probe!(siding, pause, address, run);
    } else {
        count(|events| events.finished += 1);
        probe::probe!(siding, finish, address, run);
    }
}

pub(super) fn cancelled(job: Raw) {
    count(|events| events.cancelled += 1);
    probe::probe!(siding, cancel, job.address(), job.core().run.get());
}

pub(super) fn woken() {
    count(|events| events.woken += 1);
}
