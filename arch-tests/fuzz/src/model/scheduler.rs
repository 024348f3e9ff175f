//! The scheduler's part of the model.

use std::collections::VecDeque;

use super::{End, How, Model, State, Wait};
use crate::script::{Code, Kind, Script};

#[derive(Default)]
pub struct Scheduler {
    max_jobs: usize,
    /// Jobs by token, and the tokens that are free, last in first out.
    tokens: Vec<Option<usize>>,
    free: Vec<usize>,
    /// Who goes on in this round, and in the next.
    round: VecDeque<usize>,
    queue: VecDeque<usize>,
    /// Whose wakes have come, in order; and who waits for an instant, in order.
    pub inbox: Vec<usize>,
    deadlines: Vec<usize>,
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Busy,
    Waiting,
    Idle,
}

impl Scheduler {
    fn live(&self) -> usize {
        self.tokens.iter().flatten().count()
    }
}

impl Model {
    pub fn open_scheduler(&mut self, max_jobs: usize) {
        self.scheduler = Some(Scheduler { max_jobs, ..Scheduler::default() });
    }

    pub fn live(&self) -> usize {
        self.scheduler.as_ref().map_or(0, Scheduler::live)
    }

    /// Drops it, which cancels its jobs.
    pub fn close_scheduler(&mut self) {
        let Some(scheduler) = &mut self.scheduler else { return };
        scheduler.closed = true;
        let jobs: Vec<usize> = scheduler.tokens.iter().flatten().copied().collect();
        for id in jobs {
            self.end_spawned(id);
        }
        self.scheduler = None;
    }

    pub fn spawn(&mut self, kind: Kind, script: Script) -> (usize, Code) {
        let kind = Kind { driven: true, ..kind };
        let id = self.add(kind, script);
        let code = match &self.scheduler {
            None => Code::NoScheduler,
            Some(scheduler) if scheduler.closed => Code::NoScheduler,
            Some(scheduler) if scheduler.live() >= scheduler.max_jobs => Code::Full,
            Some(_) if !self.pool.take(kind.own_stack) => Code::NoJobs,
            Some(_) => Code::Done,
        };
        let Some(scheduler) = self.scheduler.as_mut().filter(|_| code == Code::Done) else {
            return (id, self.refused(id, code));
        };
        let token = scheduler.free.pop().unwrap_or_else(|| {
            scheduler.tokens.push(None);
            scheduler.tokens.len() - 1
        });
        scheduler.tokens[token] = Some(id);
        scheduler.queue.push_back(id);
        self.jobs[id].token = Some(token);
        (id, code)
    }

    /// Through its `JoinHandle`.
    pub fn cancel_spawned(&mut self, id: usize) -> Code {
        let closed = self.scheduler.as_ref().is_none_or(|scheduler| scheduler.closed);
        let gone = self.jobs[id].result.is_some();
        if closed || gone || self.jobs[id].state == State::Running {
            return Code::LeftAlone;
        }
        self.end_spawned(id);
        Code::Ended
    }

    fn end_spawned(&mut self, id: usize) {
        self.forget(id);
        let result = match self.cancel(id) {
            End::Finished => Code::Finished,
            _ => Code::Ended,
        };
        self.has_result(id, result);
    }

    /// Takes it out of all lists.
    fn forget(&mut self, id: usize) {
        let Some(scheduler) = &mut self.scheduler else { return };
        scheduler.round.retain(|&other| other != id);
        scheduler.queue.retain(|&other| other != id);
        scheduler.deadlines.retain(|&other| other != id);
        // Wakes still go to the inbox, where nobody waits for them.
        if let Some(token) = self.jobs[id].token
            && scheduler.tokens[token] == Some(id)
        {
            scheduler.tokens[token] = None;
            scheduler.free.push(token);
        }
    }

    fn has_result(&mut self, id: usize, result: Code) {
        self.jobs[id].result = Some(result);
        if let Some(waiter) = self.jobs[id].waiter.take() {
            self.wake(waiter);
        }
    }

    pub fn turn(&mut self) -> Turn {
        self.collect();
        while let Some(id) = self.scheduler.as_mut().and_then(|it| it.round.pop_front()) {
            let end = self.run(id, How::GoOn);
            if end == End::Paused {
                self.file(id);
            } else {
                self.forget(id);
                self.ended(id);
                self.has_result(id, end.code());
            }
        }
        let Some(scheduler) = &self.scheduler else { return Turn::Idle };
        if scheduler.live() == 0 {
            Turn::Idle
        } else if scheduler.queue.is_empty() && scheduler.inbox.is_empty() {
            Turn::Waiting
        } else {
            Turn::Busy
        }
    }

    fn collect(&mut self) {
        let Some(scheduler) = &mut self.scheduler else { return };
        for id in std::mem::take(&mut scheduler.inbox) {
            self.jobs[id].queued = false;
            let waits = self.jobs[id].state == State::Paused && !self.is_queued(id);
            if self.jobs[id].notified && waits {
                self.end_wait(id, false);
            }
        }
        let late = self.scheduler.as_ref().map(|it| it.deadlines.clone()).unwrap_or_default();
        for id in late {
            self.end_wait(id, true);
        }
        if let Some(scheduler) = &mut self.scheduler {
            scheduler.round = std::mem::take(&mut scheduler.queue);
        }
    }

    fn is_queued(&self, id: usize) -> bool {
        self.scheduler.as_ref().is_some_and(|it| it.queue.contains(&id))
    }

    /// A job has paused.
    fn file(&mut self, id: usize) {
        let job = &self.jobs[id];
        let (wait, notified) = (job.wait, job.notified);
        let Some(scheduler) = &mut self.scheduler else { return };
        match wait {
            Wait::Yield => scheduler.queue.push_back(id),
            Wait::WakeUntil => scheduler.deadlines.push(id),
            Wait::Wake | Wait::Resume => {}
        }
        if wait != Wait::Yield && notified {
            self.end_wait(id, false);
        }
    }

    fn end_wait(&mut self, id: usize, timed_out: bool) {
        let Some(scheduler) = &mut self.scheduler else { return };
        scheduler.deadlines.retain(|&other| other != id);
        scheduler.queue.push_back(id);
        let job = &mut self.jobs[id];
        if job.wait == Wait::Resume {
            job.notified = false;
        }
        job.timed_out = timed_out;
    }
}
