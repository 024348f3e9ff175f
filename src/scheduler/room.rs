//! A limit on live jobs, and who waits for one of them to end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::rc::Weak;

use super::{Core, Spawner};
use crate::job::{self, Options, Ticket, WaitError};

/// How a scheduler is to be: see [`Scheduler::with_config`](super::Scheduler::with_config).
///
/// ```
/// use siding::job::{Options, StartError};
/// use siding::scheduler::{Config, Scheduler};
/// use siding::stack::StackConfig;
///
/// let small = Options::new().stack(StackConfig::with_size(64 << 10));
/// let scheduler = Scheduler::with_config(Config::new().options(small).max_jobs(2)).unwrap();
/// let spawner = scheduler.spawner();
/// scheduler.spawn(move || {
///     for n in 0..1000 {
///         spawner.wait_for_room().unwrap(); // or leave that out, and look at the error
///         spawner.spawn(move || n).unwrap();
///     }
/// }).unwrap();
/// scheduler.spawn(|| ()).unwrap();
/// assert!(matches!(scheduler.spawn(|| ()).unwrap_err().error, StartError::Full));
/// scheduler.run().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) options: Options,
    pub(super) max_jobs: usize,
}

impl Config {
    /// Default [`Options`], and as many jobs as memory allows.
    pub const fn new() -> Self {
        Config { options: Options::new(), max_jobs: usize::MAX }
    }

    /// The options of jobs that are spawned without any: their stacks, for example.
    pub fn options(self, options: Options) -> Self {
        Config { options, ..self }
    }

    /// No more than this many live jobs, whatever they do: beyond, spawning fails with
    /// [`StartError::Full`](crate::job::StartError::Full).
    pub fn max_jobs(self, jobs: usize) -> Self {
        Config { max_jobs: jobs, ..self }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// Jobs that wait until another one may be spawned, the first one first.
#[derive(Default)]
pub(super) struct Room {
    waiters: RefCell<VecDeque<(u64, Ticket)>>,
    /// Numbers the waiters.
    last: Cell<u64>,
}

impl Room {
    fn enter(&self, ticket: Ticket) -> u64 {
        self.last.update(|last| last + 1);
        self.waiters.borrow_mut().push_back((self.last.get(), ticket));
        self.last.get()
    }

    /// Where somebody stands. They are numbered in order.
    fn place_of(&self, number: u64) -> Option<usize> {
        self.waiters.borrow().binary_search_by_key(&number, |(number, _)| *number).ok()
    }

    /// Whether somebody still stood there.
    fn leave(&self, number: u64) -> bool {
        let place = self.place_of(number);
        place.is_some_and(|place| self.waiters.borrow_mut().remove(place).is_some())
    }

    pub(super) fn wake_next(&self) {
        let next = self.waiters.borrow_mut().pop_front();
        if let Some((_, ticket)) = next {
            ticket.wake();
        }
    }
}

/// The current job among the waiters. Dropped while it waits: it was cancelled, and who was
/// called passes that on.
struct Waiting<'a> {
    /// Not the scheduler itself, which would never go away then.
    scheduler: &'a Weak<Core>,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(core) = self.scheduler.upgrade()
            && !core.room.leave(self.number)
        {
            core.room.wake_next();
        }
    }
}

impl Spawner {
    /// Waits until the scheduler has fewer jobs than [`Config::max_jobs`]; the waiting one
    /// is among them. Until the caller pauses again, it can spawn one. Those who wait go on
    /// in turn, one for each job that ends.
    ///
    /// # Errors
    ///
    /// See [`WaitError`].
    pub fn wait_for_room(&self) -> Result<(), WaitError> {
        let mut waiting: Option<Waiting<'_>> = None;
        while let Some(core) = self.0.upgrade()
            && !core.has_room()
        {
            // Another wake of the job's does not cost it its place.
            let stands = |waiting: &Waiting<'_>| core.room.place_of(waiting.number).is_some();
            if !waiting.as_ref().is_some_and(stands) {
                let ticket = job::wake_ticket().ok_or(WaitError::NotDriven)?;
                let number = core.room.enter(ticket);
                let waits = || Waiting { scheduler: &self.0, number };
                waiting.get_or_insert_with(waits).number = number;
            }
            drop(core);
            job::park()?;
        }
        // It has what it was called for.
        if let Some(waiting) = waiting.map(ManuallyDrop::new)
            && let Some(core) = self.0.upgrade()
        {
            core.room.leave(waiting.number);
        }
        Ok(())
    }
}
