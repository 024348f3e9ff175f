//! The model: jobs as data, on one thread, in the words of the documentation. Nothing here
//! calls the library.

mod c;
mod pool;
mod scheduler;

use crate::script::{Code, Kind, Log, Script, Step, WHOLE};

use c::Context;
pub use c::Fds;
pub use pool::Pool;
use scheduler::Scheduler;
pub use scheduler::Turn;

/// All that there is.
#[derive(Default)]
pub struct Model {
    pub log: Log,
    pub jobs: Vec<Job>,
    pub pool: Pool,
    /// Whose wake handles were left outside.
    pub published: Vec<usize>,
    /// How many panics are under way on the thread.
    panics: usize,
    scheduler: Option<Scheduler>,
    contexts: Vec<Context>,
    /// Who was woken and has not been named since.
    pub woken: Vec<usize>,
}

pub struct Job {
    script: Script,
    kind: Kind,
    pub state: State,
    /// The step that it has paused in.
    pending: Option<(u8, Step)>,
    pub wait: Wait,
    timed_out: bool,
    blocks: usize,
    guards: Vec<u8>,
    children: Vec<usize>,
    spawned: Vec<usize>,
    /// Whose end it waits for.
    joining: Option<usize>,
    cancelled: bool,
    pub notified: bool,
    /// The rest is for a scheduler's job: its token, whether its wake is in the inbox, how it
    /// ended, and who waits for that.
    token: Option<usize>,
    queued: bool,
    pub result: Option<Code>,
    waiter: Option<usize>,
    context: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Fresh,
    Running,
    Paused,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Resume,
    Yield,
    Wake,
    WakeUntil,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Paused,
    Finished,
    Panicked,
}

impl End {
    pub fn code(self) -> Code {
        match self {
            End::Paused => Code::Paused,
            End::Finished => Code::Finished,
            End::Panicked => Code::Panicked,
        }
    }
}

/// What a paused job is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    GoOn,
    Unwind,
    Fail,
}

enum Flow {
    Next(Code),
    Pause,
    Unwind,
    Return,
}

impl Model {
    /// Starts a job that nobody but its owner drives; nothing but the code if there is none.
    pub fn start(&mut self, kind: Kind, script: Script) -> (usize, Code) {
        self.start_with(kind, script, None)
    }

    fn start_with(&mut self, kind: Kind, script: Script, context: Option<usize>) -> (usize, Code) {
        let id = self.add(kind, script);
        self.jobs[id].context = context;
        if !self.pool.take(kind.own_stack) {
            return (id, self.refused(id, Code::NoJobs));
        }
        let end = self.run(id, How::GoOn);
        (id, self.came_back(id, end))
    }

    pub fn resume(&mut self, id: usize, timed_out: bool) -> Code {
        self.jobs[id].timed_out = timed_out;
        let end = self.run(id, How::GoOn);
        self.came_back(id, end)
    }

    fn came_back(&mut self, id: usize, end: End) -> Code {
        if end != End::Paused {
            self.ended(id);
        }
        end.code()
    }

    pub fn cancel(&mut self, id: usize) -> End {
        let job = &mut self.jobs[id];
        job.cancelled = true;
        if job.state == State::Fresh {
            self.log.tell(id, WHOLE, Code::Closure);
            self.ended(id);
            return End::Panicked;
        }
        let mut how = if job.kind.returns { How::Fail } else { How::Unwind };
        loop {
            let end = self.run(id, how);
            if end != End::Paused {
                self.ended(id);
                return end;
            }
            how = How::Unwind;
        }
    }

    pub fn wake(&mut self, id: usize) {
        let job = &mut self.jobs[id];
        if job.state == State::Ended {
            return;
        }
        job.notified = true;
        if job.token.is_some()
            && !job.queued
            && let Some(scheduler) = &mut self.scheduler
        {
            job.queued = true;
            scheduler.inbox.push(id);
        }
    }

    fn add(&mut self, kind: Kind, script: Script) -> usize {
        let id = self.log.next_job();
        assert_eq!(id, self.jobs.len());
        self.jobs.push(Job {
            script,
            kind,
            state: State::Fresh,
            pending: None,
            wait: Wait::Resume,
            timed_out: false,
            blocks: 0,
            guards: Vec::new(),
            children: Vec::new(),
            spawned: Vec::new(),
            joining: None,
            cancelled: false,
            notified: false,
            token: None,
            queued: false,
            result: None,
            waiter: None,
            context: None,
        });
        id
    }

    /// Its closure comes back, and is dropped.
    fn refused(&mut self, id: usize, code: Code) -> Code {
        self.jobs[id].state = State::Ended;
        self.log.tell(id, WHOLE, Code::Closure);
        code
    }

    fn ended(&mut self, id: usize) {
        let job = &mut self.jobs[id];
        job.state = State::Ended;
        job.notified = false;
        self.pool.put(job.kind.own_stack);
    }

    fn run(&mut self, id: usize, how: How) -> End {
        self.jobs[id].state = State::Running;
        let mut at = WHOLE;
        let mut flow = Flow::Next(Code::Done);
        if let Some((number, step)) = self.jobs[id].pending.take() {
            at = number;
            flow = self.go_on(id, number, step, how);
        }
        loop {
            match flow {
                Flow::Next(code) => {
                    if at != WHOLE {
                        self.log.tell(id, at, code);
                    }
                    let Some((number, step)) = self.jobs[id].script.next() else {
                        return self.leave(id, End::Finished);
                    };
                    at = number;
                    flow = self.step(id, number, step);
                }
                Flow::Pause => {
                    self.jobs[id].state = State::Paused;
                    return End::Paused;
                }
                Flow::Return => return self.leave(id, End::Finished),
                Flow::Unwind => {
                    self.panics += 1;
                    let end = self.leave(id, End::Panicked);
                    self.panics -= 1;
                    return end;
                }
            }
        }
    }

    /// The locals of a job, in the order in which they are dropped.
    fn leave(&mut self, id: usize, end: End) -> End {
        for child in std::mem::take(&mut self.jobs[id].children) {
            self.cancel(child);
        }
        for guard in std::mem::take(&mut self.jobs[id].guards) {
            self.log.tell(id, guard, Code::Guard);
        }
        self.log.tell(id, WHOLE, Code::Closure);
        end
    }

    fn step(&mut self, id: usize, number: u8, step: Step) -> Flow {
        let job = &mut self.jobs[id];
        match step {
            Step::Pause | Step::CatchPause => self.pause(id, number, step),
            Step::Yield => match self.wait(id, number, step, Wait::Yield) {
                Flow::Next(Code::NotDriven | Code::Blocked) => Flow::Next(Code::Done),
                flow => flow,
            },
            Step::Park => self.wait(id, number, step, Wait::Wake),
            Step::ParkUntil => self.wait(id, number, step, Wait::WakeUntil),
            Step::Block => {
                job.blocks += 1;
                Flow::Next(Code::Done)
            }
            Step::Unblock => {
                job.blocks = job.blocks.saturating_sub(1);
                Flow::Next(Code::Done)
            }
            Step::Guard => {
                job.guards.push(number);
                Flow::Next(Code::Done)
            }
            Step::WakeSelf => {
                self.wake(id);
                self.wake_c(id);
                Flow::Next(Code::Done)
            }
            Step::Publish => {
                self.published.push(id);
                Flow::Next(Code::Done)
            }
            Step::Coroutine => Flow::Next(Code::Done),
            Step::SetFd(key) | Step::ClearFd(key) => {
                let Some(at) = self.context_of(id) else { return Flow::Next(Code::None) };
                let set = matches!(step, Step::SetFd(_));
                Flow::Next(if set { self.set_fd(at, key) } else { self.clear_fd(at, key) })
            }
            Step::Panic => Flow::Unwind,
            Step::Return => Flow::Return,
            _ => self.step_with_others(id, number, step),
        }
    }

    fn step_with_others(&mut self, id: usize, number: u8, step: Step) -> Flow {
        let job = &mut self.jobs[id];
        Flow::Next(match step {
            Step::Child(kind, count) => {
                let script = job.script.split(count);
                let (child, code) = self.start(kind, script);
                self.keep_child(id, child, code)
            }
            Step::ResumeChild => match job.children.pop() {
                Some(child) => {
                    let code = self.resume(child, false);
                    self.keep_child(id, child, code)
                }
                None => Code::None,
            },
            Step::DropChild => match job.children.pop() {
                Some(child) => {
                    self.cancel(child);
                    Code::Done
                }
                None => Code::None,
            },
            Step::Spawn(kind, count) => {
                let script = job.script.split(count);
                let (spawned, code) = self.spawn(kind, script);
                if code == Code::Done {
                    self.jobs[id].spawned.push(spawned);
                }
                code
            }
            Step::Join => {
                job.joining = job.spawned.pop();
                return self.join(id, number, step);
            }
            _ => match job.spawned.last() {
                Some(&spawned) => self.cancel_spawned(spawned),
                None => Code::None,
            },
        })
    }

    fn keep_child(&mut self, id: usize, child: usize, code: Code) -> Code {
        if code == Code::Paused {
            self.jobs[id].children.push(child);
        }
        code
    }

    fn pause(&mut self, id: usize, number: u8, step: Step) -> Flow {
        let job = &mut self.jobs[id];
        if job.cancelled {
            return self.unwelcome(id, step);
        }
        if job.blocks > 0 {
            return Flow::Next(Code::Done);
        }
        job.wait = Wait::Resume;
        job.pending = Some((number, step));
        Flow::Pause
    }

    fn wait(&mut self, id: usize, number: u8, step: Step, wait: Wait) -> Flow {
        let job = &mut self.jobs[id];
        if job.cancelled {
            return self.unwelcome(id, step);
        }
        if !job.kind.driven {
            return Flow::Next(Code::NotDriven);
        }
        if job.blocks > 0 {
            return Flow::Next(Code::Blocked);
        }
        if wait != Wait::Yield && std::mem::take(&mut job.notified) {
            return Flow::Next(Code::Done);
        }
        job.wait = wait;
        job.timed_out = false;
        job.pending = Some((number, step));
        Flow::Pause
    }

    /// A pause in a job that is being cancelled.
    fn unwelcome(&self, id: usize, step: Step) -> Flow {
        // While the thread panics, the error has to do.
        let unwinds = !self.jobs[id].kind.returns && self.panics == 0;
        match (unwinds, step) {
            (true, Step::CatchPause) => Flow::Next(Code::Caught),
            (true, _) => Flow::Unwind,
            (false, _) => Flow::Next(Code::Cancelled),
        }
    }

    fn go_on(&mut self, id: usize, number: u8, step: Step, how: How) -> Flow {
        let job = &mut self.jobs[id];
        job.wait = Wait::Resume;
        let parked = matches!(step, Step::Park | Step::ParkUntil | Step::Join);
        match (how, step) {
            (How::Unwind, Step::CatchPause) => Flow::Next(Code::Caught),
            (How::Unwind, _) => Flow::Unwind,
            (How::Fail, _) => self.stop_joining(id, Code::Cancelled),
            (How::GoOn, Step::Pause | Step::CatchPause) => {
                self.reset_context(id);
                Flow::Next(Code::Done)
            }
            (How::GoOn, _) if job.timed_out => self.stop_joining(id, Code::TimedOut),
            (How::GoOn, _) => {
                if parked {
                    job.notified = false;
                }
                if step == Step::Join {
                    self.join(id, number, step)
                } else {
                    Flow::Next(Code::Done)
                }
            }
        }
    }

    fn join(&mut self, id: usize, number: u8, step: Step) -> Flow {
        let Some(other) = self.jobs[id].joining else { return Flow::Next(Code::None) };
        loop {
            if let Some(result) = self.jobs[other].result {
                return self.stop_joining(id, result);
            }
            self.jobs[other].waiter = Some(id);
            match self.wait(id, number, step, Wait::Wake) {
                Flow::Next(Code::Done) => {}
                Flow::Next(code) => return self.stop_joining(id, code),
                flow => return flow,
            }
        }
    }

    fn stop_joining(&mut self, id: usize, code: Code) -> Flow {
        if let Some(other) = self.jobs[id].joining.take() {
            self.jobs[other].waiter = None;
        }
        Flow::Next(code)
    }
}
