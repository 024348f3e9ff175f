//! What a scheduler has and has done.

use super::{Core, Scheduler, Spawner};

/// What a scheduler has and has done: see [`Scheduler::stats`]. The totals are since it was
/// made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Jobs that have not ended.
    pub live: usize,
    /// Of those, jobs that can go on and wait for their turn.
    pub ready: usize,
    /// Of those, jobs that wait until an instant at the latest.
    pub timed: usize,
    /// Turns: how often a job was entered.
    pub turns: u64,
    /// Jobs that have ended or were cancelled. What is no turn's end is a pause.
    pub ended: u64,
    /// Wakes that have arrived.
    pub woken: u64,
}

impl Scheduler {
    /// What it has and has done. It counts in any case; asking is cheap.
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }
}

impl Spawner {
    /// As [`Scheduler::stats`], from inside a job; `None` if the scheduler is gone.
    pub fn stats(&self) -> Option<Stats> {
        self.0.upgrade().map(|core| core.stats())
    }
}

impl Core {
    fn stats(&self) -> Stats {
        let tasks = self.tasks.borrow();
        Stats {
            live: tasks.len(),
            ready: self.queue.len(),
            timed: tasks.timed(),
            turns: self.queue.turns(),
            ended: tasks.ended,
            woken: tasks.woken,
        }
    }
}
