//! What only C has: wait contexts whose changes count from pause to pause, and the woken.

use super::{Model, State};
use crate::script::{Code, Kind, Script};

/// All descriptors, those added and those deleted, newest first.
pub type Fds = (Vec<i32>, Vec<i32>, Vec<i32>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Added,
    Kept,
    Deleted,
}

#[derive(Default)]
pub struct Context {
    entries: Vec<(u8, Standing)>,
    freed: bool,
}

impl Model {
    pub fn start_c(&mut self, kind: Kind, script: Script, at: Option<usize>) -> (usize, Code) {
        let context = at.map(|at| self.place(at));
        self.start_with(kind, script, context)
    }

    pub fn new_context(&mut self) {
        self.contexts.push(Context::default());
    }

    /// Contexts are named by their place among those that are not freed.
    fn place(&self, at: usize) -> usize {
        let there = (0..self.contexts.len()).filter(|place| !self.contexts[*place].freed);
        there.into_iter().nth(at).expect("it is there")
    }

    pub fn free_context(&mut self, at: usize) {
        let place = self.place(at);
        self.contexts[place].freed = true;
        for (key, standing) in std::mem::take(&mut self.contexts[place].entries).into_iter().rev() {
            if standing != Standing::Deleted {
                self.log.tell(usize::MAX, key + 1, Code::Guard);
            }
        }
    }

    /// The context that a job shows.
    pub fn context_of(&self, id: usize) -> Option<usize> {
        let place = self.jobs[id].context.filter(|place| !self.contexts[*place].freed)?;
        Some(self.contexts[..place].iter().filter(|context| !context.freed).count())
    }

    pub fn set_fd(&mut self, at: usize, key: u8) -> Code {
        let place = self.place(at);
        self.contexts[place].entries.push((key, Standing::Added));
        Code::Done
    }

    pub fn clear_fd(&mut self, at: usize, key: u8) -> Code {
        let place = self.place(at);
        let entries = &mut self.contexts[place].entries;
        let is_it = |entry: &(u8, Standing)| entry.0 == key && entry.1 != Standing::Deleted;
        match entries.iter().rposition(is_it) {
            None => return Code::None,
            Some(newest) if entries[newest].1 == Standing::Added => {
                entries.remove(newest);
            }
            Some(newest) => entries[newest].1 = Standing::Deleted,
        }
        Code::Done
    }

    pub fn fds(&self, at: usize) -> Fds {
        let entries = &self.contexts[self.place(at)].entries;
        let those = |wanted: fn(Standing) -> bool| {
            let wanted = entries.iter().rev().filter(|(_, standing)| wanted(*standing));
            wanted.map(|(key, _)| i32::from(*key) + 1).collect()
        };
        (
            those(|standing| standing != Standing::Deleted),
            those(|standing| standing == Standing::Added),
            those(|standing| standing == Standing::Deleted),
        )
    }

    /// The last act of a pause that was resumed.
    pub fn reset_context(&mut self, id: usize) {
        let Some(place) = self.jobs[id].context else { return };
        let entries = &mut self.contexts[place].entries;
        entries.retain(|(_, standing)| *standing != Standing::Deleted);
        entries.iter_mut().for_each(|entry| entry.1 = Standing::Kept);
    }

    pub fn wake_c(&mut self, id: usize) {
        if self.jobs[id].state != State::Ended && !self.woken.contains(&id) {
            self.woken.push(id);
        }
    }

    /// Whether this may be named as a paused job that was woken and has not been named since.
    pub fn names(&mut self, id: Option<usize>) -> bool {
        self.woken.retain(|id| self.jobs[*id].state != State::Ended);
        match id {
            None => self.woken.is_empty(),
            Some(id) => self.woken.extract_if(.., |woken| *woken == id).count() == 1,
        }
    }
}
