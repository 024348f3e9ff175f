//! What a job does, step by step, and what it tells of that.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

use crate::input::Input;

/// One step of a job. Each ends with an [`Event`], unless the job is unwound in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Pause,
    /// Pauses, and catches what unwinds out of that.
    CatchPause,
    Yield,
    Park,
    /// Parks with a deadline that has passed.
    ParkUntil,
    Block,
    Unblock,
    /// Leaves a destructor behind.
    Guard,
    WakeSelf,
    /// Leaves a wake handle outside.
    Publish,
    /// Runs a coroutine that tries to pause this job.
    Coroutine,
    /// Starts a job with the next steps.
    Child(Kind, u8),
    ResumeChild,
    DropChild,
    /// Spawns a job with the next steps.
    Spawn(Kind, u8),
    Join,
    CancelSpawned,
    /// Adds a descriptor to the wait context, or takes it away.
    SetFd(u8),
    ClearFd(u8),
    Panic,
    Return,
}

/// How a job is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub returns: bool,
    pub driven: bool,
    pub own_stack: bool,
    pub wipe: bool,
    pub fp: bool,
}

impl Kind {
    pub fn read(byte: u8) -> Self {
        let has = |bit: u8| byte & bit != 0;
        Kind { returns: has(1), driven: has(2), own_stack: has(4), wipe: has(8), fp: has(16) }
    }
}

/// A part of some steps: a job's, whose children take parts of that.
#[derive(Clone, Debug)]
pub struct Script {
    steps: Rc<[Step]>,
    range: Range<usize>,
}

impl Script {
    pub fn read(input: &mut Input<'_>) -> Self {
        Script::of(input, step)
    }

    /// Of what C can do. (There `Coroutine` stands for what is refused in a job that runs.)
    pub fn read_c(input: &mut Input<'_>) -> Self {
        Script::of(input, step_of_c)
    }

    fn of(input: &mut Input<'_>, step: fn(&mut Input<'_>) -> Step) -> Self {
        let count = 1 + usize::from(input.byte() % 16);
        let steps: Rc<[Step]> = (0..count).map(|_| step(input)).collect();
        Script { range: 0..steps.len(), steps }
    }

    /// The next step, with the number by which events name it.
    pub fn next(&mut self) -> Option<(u8, Step)> {
        let at = self.range.next()?;
        Some((at as u8, self.steps[at]))
    }

    /// Takes the next `count` steps away.
    pub fn split(&mut self, count: u8) -> Self {
        let middle = self.range.end.min(self.range.start + usize::from(count));
        let taken = Script { steps: Rc::clone(&self.steps), range: self.range.start..middle };
        self.range.start = middle;
        taken
    }
}

fn step(input: &mut Input<'_>) -> Step {
    match input.byte() % 24 {
        0..3 => Step::Pause,
        3 => Step::CatchPause,
        4 | 5 => Step::Yield,
        6 | 7 => Step::Park,
        8 => Step::ParkUntil,
        9 => Step::Block,
        10 => Step::Unblock,
        11 => Step::Guard,
        12 => Step::WakeSelf,
        13 => Step::Publish,
        14 => Step::Coroutine,
        15 => Step::Child(Kind::read(input.byte()), input.byte() % 8),
        16 => Step::ResumeChild,
        17 => Step::DropChild,
        18 => Step::Spawn(Kind::read(input.byte()), input.byte() % 8),
        19 => Step::Join,
        20 => Step::CancelSpawned,
        21 => Step::Panic,
        22 => Step::Return,
        _ => Step::Pause,
    }
}

fn step_of_c(input: &mut Input<'_>) -> Step {
    match input.byte() % 16 {
        0..4 => Step::Pause,
        4 => Step::Block,
        5 => Step::Unblock,
        6 => Step::WakeSelf,
        7 => Step::Publish,
        8 => Step::Coroutine,
        9 | 10 => Step::Child(Kind::read(1), input.byte() % 8),
        11 => Step::ResumeChild,
        12 => Step::DropChild,
        13 => Step::SetFd(input.byte() % 4),
        14 => Step::ClearFd(input.byte() % 4),
        _ => Step::Return,
    }
}

/// What happened: which job, which of its steps, how.
pub type Event = (usize, u8, Code);

/// How a step, or a job, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Done,
    Cancelled,
    TimedOut,
    NotDriven,
    Blocked,
    /// Unwinding was caught.
    Caught,
    /// A job paused, ended by returning, ended by a panic.
    Paused,
    Finished,
    Panicked,
    /// There was none: child, handle.
    None,
    /// No job is to be had: of the thread, of the scheduler; no scheduler.
    NoJobs,
    Full,
    NoScheduler,
    /// A job was cancelled before its end, and was not.
    Ended,
    LeftAlone,
    /// A destructor: of a step, of the closure.
    Guard,
    Closure,
}

/// What was told so far, and numbers for jobs.
#[derive(Default)]
pub struct Log {
    events: RefCell<Vec<Event>>,
    jobs: Cell<usize>,
}

impl Log {
    pub fn tell(&self, job: usize, step: u8, code: Code) {
        self.events.borrow_mut().push((job, step, code));
    }

    pub fn take(&self) -> Vec<Event> {
        self.events.take()
    }

    pub fn next_job(&self) -> usize {
        self.jobs.replace(self.jobs.get() + 1)
    }
}

/// The step of an event that is about a whole job.
pub const WHOLE: u8 = u8::MAX;
