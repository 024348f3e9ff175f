//! The jobs of a scheduler and what each waits for.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use super::join::Ended;
use super::poll::Poll;
use crate::job::{Interest, Outcome, Queue, Raw, Wait};
use crate::sys::fd::{self, RawFd};

#[derive(Default)]
pub(super) struct Tasks {
    slots: Vec<Option<Task>>,
    free: Vec<usize>,
    /// Who waits for an instant; the token tells equal instants apart.
    deadlines: BTreeMap<(Instant, usize), ()>,
    /// Jobs that had a wake handle when they began to wait. One that has none then gets none:
    /// only its own code makes the first.
    holders: Vec<usize>,
    /// By token: among `holders`, for this job or one before it. So they stay few even if
    /// nobody ever asks.
    listed: Vec<bool>,
    /// Ever.
    pub(super) ended: u64,
    pub(super) woken: u64,
}

struct Task {
    job: Raw,
    wait: Wait,
    waits: bool,
    /// The descriptors it is registered for.
    fds: Vec<RawFd>,
    ended: Rc<dyn Ended>,
}

impl Tasks {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    #[cfg(test)]
    pub(super) fn holders(&self) -> usize {
        self.holders.len()
    }

    pub(super) fn jobs(&self) -> Vec<Raw> {
        self.slots.iter().flatten().map(|task| task.job).collect()
    }

    /// Adds a job that is in the queue; returns its token.
    pub(super) fn insert(&mut self, job: Raw, ended: Rc<dyn Ended>) -> usize {
        let wait = Wait::Yield;
        let task = Some(Task { job, wait, waits: false, fds: Vec::new(), ended });
        if let Some(token) = self.free.pop() {
            self.slots[token] = task;
            token
        } else {
            self.slots.push(task);
            self.listed.push(false);
            self.slots.len() - 1
        }
    }

    /// Removes a job that waits for nothing; returns who wants to know that it ended.
    pub(super) fn remove(&mut self, job: Raw) -> Rc<dyn Ended> {
        let token = job.token();
        self.ended += 1;
        let task = self.slots[token].take().expect("a live job has a task");
        self.free.push(token);
        task.ended.lose_job();
        task.ended
    }

    /// Files a job that has just paused under what it waits for.
    #[inline]
    pub(super) fn paused(&mut self, job: Raw, poll: &Poll, queue: &Queue) {
        match job.waiting() {
            Wait::Yield => queue.push(job),
            wait => self.file(job, wait, poll, queue),
        }
    }

    fn file(&mut self, job: Raw, wait: Wait, poll: &Poll, queue: &Queue) {
        let token = job.token();
        let Some(Some(task)) = self.slots.get_mut(token) else { return };
        task.wait = wait;
        task.waits = true;
        if job.has_outside_handle() && !self.listed[token] {
            self.listed[token] = true;
            self.holders.push(token);
        }
        let registered = match wait {
            Wait::Fd { fd, interest, .. } => task.register(fd, interest, poll),
            Wait::Resume => {
                let fds = job.wait_ctx().map(|ctx| ctx.all_fds()).unwrap_or_default();
                fds.into_iter()
                    .map(fd::of_async)
                    .try_for_each(|fd| task.register(fd, Interest::Readable, poll))
            }
            _ => Ok(()),
        };
        if let Some(instant) = deadline(wait) {
            self.deadlines.insert((instant, token), ());
        }
        if let Err(error) = registered {
            self.end_wait(token, Outcome::Failed(error.raw_os_error().unwrap_or(0)), poll, queue);
        } else if !matches!(wait, Wait::Fd { .. }) && job.is_woken() {
            // Woken between its last look and now.
            self.end_wait(token, Outcome::Ready, poll, queue);
        }
    }

    /// Somebody used a wake handle of the job.
    pub(super) fn woken(&mut self, token: usize, poll: &Poll, queue: &Queue) {
        let Some(Some(task)) = self.slots.get(token) else { return };
        self.woken += 1;
        if matches!(task.wait, Wait::Wake { .. } | Wait::Resume) {
            self.end_wait(token, Outcome::Ready, poll, queue);
        }
    }

    /// A descriptor of the job is ready.
    pub(super) fn fd_ready(&mut self, token: usize, poll: &Poll, queue: &Queue) {
        self.end_wait(token, Outcome::Ready, poll, queue);
    }

    /// Ends all waits whose instant has come.
    pub(super) fn expire(&mut self, now: Instant, poll: &Poll, queue: &Queue) {
        while let Some((&(instant, token), ())) = self.deadlines.first_key_value()
            && instant <= now
        {
            self.end_wait(token, Outcome::TimedOut, poll, queue);
        }
    }

    /// The job is about to be cancelled: it waits for nothing any more. Whether it did;
    /// otherwise it is in the queue.
    pub(super) fn forget_wait(&mut self, job: Raw, poll: &Poll) -> bool {
        self.withdraw(job.token(), poll).is_some()
    }

    /// How many jobs wait for an instant.
    pub(super) fn timed(&self) -> usize {
        self.deadlines.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first_key_value().map(|((instant, _), ())| *instant)
    }

    /// Whether any waiting job has a wake handle outside.
    pub(super) fn has_outside_handle(&mut self) -> bool {
        while let Some(&token) = self.holders.last() {
            if let Some(Some(task)) = self.slots.get(token)
                && task.waits
                && task.job.has_outside_handle()
            {
                return true;
            }
            self.listed[token] = false;
            self.holders.pop();
        }
        false
    }

    fn end_wait(&mut self, token: usize, outcome: Outcome, poll: &Poll, queue: &Queue) {
        if let Some(job) = self.withdraw(token, poll) {
            if job.waiting() == Wait::Resume {
                // A plain pause does not: kept, one wake would end all pauses to come.
                job.consume_wake();
            }
            job.set_outcome(outcome);
            queue.push(job);
        }
    }

    /// Takes the job off everything it waits for; `None` if it does not wait.
    fn withdraw(&mut self, token: usize, poll: &Poll) -> Option<Raw> {
        let task = self.slots.get_mut(token)?.as_mut()?;
        if !std::mem::take(&mut task.waits) {
            return None;
        }
        for fd in std::mem::take(&mut task.fds) {
            poll.remove(fd, token);
        }
        if let Some(instant) = deadline(task.wait) {
            self.deadlines.remove(&(instant, token));
        }
        Some(task.job)
    }
}

impl Task {
    fn register(&mut self, fd: RawFd, interest: Interest, poll: &Poll) -> io::Result<()> {
        poll.add(fd, interest, self.job.token())?;
        self.fds.push(fd);
        Ok(())
    }
}

fn deadline(wait: Wait) -> Option<Instant> {
    match wait {
        Wait::Wake { until } | Wait::Fd { until, .. } => until,
        Wait::Resume | Wait::Yield => None,
    }
}
