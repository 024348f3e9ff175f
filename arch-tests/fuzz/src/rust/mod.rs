//! Sequences through the Rust API.

mod body;

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::time::{Duration, Instant};

use siding::job::{self, Job, NotStarted, Options, Outcome, Progress, StartError, Wait, Wake};
use siding::scheduler::{Config, JoinError, JoinHandle, Scheduler, Spawner, Turn, WaitError};
use siding::stack::{self, StackConfig};

use crate::input::Input;
use crate::model::{self, Model};
use crate::script::{Code, Kind, Log, Script};

/// What jobs can reach.
pub struct World {
    log: Log,
    published: RefCell<Vec<Wake>>,
    spawner: RefCell<Option<Spawner>>,
    /// Deadlines that have all passed, each later than the one before.
    passed: Cell<Instant>,
}

impl World {
    fn passed(&self) -> Instant {
        let next = self.passed.get() + Duration::from_nanos(1);
        self.passed.set(next);
        next
    }
}

/// The library and the model, side by side.
struct Both {
    world: Rc<World>,
    model: Model,
    /// Paused jobs and handles, each with its number in the model.
    jobs: Vec<(usize, Kind, Job<()>)>,
    wakes: Vec<(usize, Wake)>,
    scheduler: Option<Scheduler>,
    spawned: Vec<(usize, JoinHandle<()>)>,
}

pub fn run(input: &mut Input<'_>) {
    job::cleanup_thread();
    let passed = Instant::now();
    std::hint::black_box(&passed);
    let world = World {
        log: Log::default(),
        published: RefCell::default(),
        spawner: RefCell::default(),
        passed: Cell::new(passed.checked_sub(Duration::from_secs(1)).unwrap_or(passed)),
    };
    let mut both = Both {
        world: Rc::new(world),
        model: Model::default(),
        jobs: Vec::new(),
        wakes: Vec::new(),
        scheduler: None,
        spawned: Vec::new(),
    };
    while !input.is_empty() {
        both.call(input);
        both.compare();
    }
    both.end();
}

impl Both {
    fn call(&mut self, input: &mut Input<'_>) {
        match input.byte() % 20 {
            0..3 => self.start(input),
            3..6 => self.resume(input),
            6 => self.cancel(input),
            7 => self.take_handle(input),
            8 | 9 => self.wake(input),
            10 => self.copy_or_drop_handle(input),
            11 => self.size_pool(input),
            12 => self.open_or_close_scheduler(input),
            13 | 14 => self.spawn(input),
            15..18 => self.turn(),
            18 => self.ask_spawned(input),
            _ => self.size_stacks(input),
        }
    }

    fn start(&mut self, input: &mut Input<'_>) {
        let (kind, script) = (Kind::read(input.byte()), Script::read(input));
        let (id, expected) = self.model.start(kind, script.clone());
        let (code, job) = body::start(&self.world, kind, script);
        assert_eq!(code, expected, "starting {id}");
        self.jobs.extend(job.map(|job| (id, kind, job)));
    }

    fn resume(&mut self, input: &mut Input<'_>) {
        let Some(at) = input.place(self.jobs.len()) else { return };
        let timed_out = input.one_in(4);
        let (id, kind, job) = self.jobs.remove(at);
        let expected = self.model.resume(id, timed_out);
        let outcome = if timed_out { Outcome::TimedOut } else { Outcome::Ready };
        let progress = panic::catch_unwind(AssertUnwindSafe(|| job.resume_with(outcome)));
        let (code, job) = body::progress(progress);
        assert_eq!(code, expected, "resuming {id}");
        self.jobs.extend(job.map(|job| (id, kind, job)));
    }

    fn cancel(&mut self, input: &mut Input<'_>) {
        let Some(at) = input.place(self.jobs.len()) else { return };
        let (id, _, job) = self.jobs.swap_remove(at);
        self.model.cancel(id);
        job.cancel();
    }

    fn take_handle(&mut self, input: &mut Input<'_>) {
        let Some(at) = input.place(self.jobs.len()) else { return };
        self.wakes.push((self.jobs[at].0, self.jobs[at].2.wake_handle()));
    }

    fn wake(&mut self, input: &mut Input<'_>) {
        let Some(at) = input.place(self.wakes.len()) else { return };
        self.model.wake(self.wakes[at].0);
        self.wakes[at].1.wake();
    }

    fn copy_or_drop_handle(&mut self, input: &mut Input<'_>) {
        let Some(at) = input.place(self.wakes.len()) else { return };
        if input.one_in(2) {
            let (id, wake) = &self.wakes[at];
            self.wakes.push((*id, wake.clone()));
        } else {
            self.wakes.swap_remove(at);
        }
    }

    fn size_pool(&mut self, input: &mut Input<'_>) {
        let (max, init) = (usize::from(input.byte() % 12), usize::from(input.byte() % 12));
        if max == 11 {
            job::cleanup_thread();
            self.model.pool.cleanup();
        } else {
            assert_eq!(job::init_thread(max, init).is_ok(), self.model.pool.init(max, init));
        }
    }

    fn size_stacks(&mut self, input: &mut Input<'_>) {
        if input.one_in(2) {
            stack::set_pool_limit(usize::from(input.byte() % 16));
        } else {
            stack::reserve(StackConfig::DEFAULT, usize::from(input.byte() % 16)).unwrap();
        }
    }

    fn open_or_close_scheduler(&mut self, input: &mut Input<'_>) {
        if let Some(scheduler) = self.scheduler.take() {
            self.model.close_scheduler();
            drop(scheduler);
            return;
        }
        let max = usize::from(input.byte() % 16) + 1;
        let scheduler = Scheduler::with_config(Config::new().max_jobs(max)).unwrap();
        *self.world.spawner.borrow_mut() = Some(scheduler.spawner());
        self.scheduler = Some(scheduler);
        self.model.open_scheduler(max);
    }

    fn spawn(&mut self, input: &mut Input<'_>) {
        if self.scheduler.is_none() {
            self.open_or_close_scheduler(input);
        }
        let (kind, script) = (Kind::read(input.byte()), Script::read(input));
        let (id, expected) = self.model.spawn(kind, script.clone());
        let (code, handle) = body::spawn(&self.world, kind, script);
        assert_eq!(code, expected, "spawning {id}");
        // Dropping the handle lets the job run alone.
        self.spawned.extend(handle.filter(|_| !input.one_in(4)).map(|handle| (id, handle)));
    }

    fn turn(&mut self) {
        let Some(scheduler) = &self.scheduler else { return };
        let expected = self.model.turn();
        let turn = match scheduler.turn(Some(Duration::ZERO)) {
            Ok(Turn::Busy) => model::Turn::Busy,
            Ok(Turn::Waiting) => model::Turn::Waiting,
            Ok(Turn::Idle) => model::Turn::Idle,
            other => panic!("{other:?}"),
        };
        assert_eq!(turn, expected);
    }

    fn ask_spawned(&mut self, input: &mut Input<'_>) {
        let Some(at) = input.place(self.spawned.len()) else { return };
        let id = self.spawned[at].0;
        if input.one_in(2) {
            let ended = self.spawned[at].1.cancel();
            assert_eq!(ended, self.model.cancel_spawned(id) == Code::Ended, "cancelling {id}");
        } else {
            let (_, handle) = self.spawned.swap_remove(at);
            let expected = self.model.jobs[id].result.unwrap_or(Code::NotDriven);
            assert_eq!(joined(handle), expected, "joining {id}");
        }
    }

    /// What has happened, and what there is.
    fn compare(&mut self) {
        let published = self.world.published.take();
        let ids = std::mem::take(&mut self.model.published);
        assert_eq!(published.len(), ids.len());
        self.wakes.extend(ids.into_iter().zip(published));
        assert_eq!(self.world.log.take(), self.model.log.take());
        for (id, _, job) in &self.jobs {
            let wait = match job.waiting() {
                Wait::Resume => model::Wait::Resume,
                Wait::Yield => model::Wait::Yield,
                Wait::Wake { until: None } => model::Wait::Wake,
                Wait::Wake { until: Some(_) } => model::Wait::WakeUntil,
                other => panic!("{other:?}"),
            };
            assert_eq!(wait, self.model.jobs[*id].wait, "what {id} waits for");
        }
        for (id, handle) in &self.spawned {
            assert_eq!(handle.is_finished(), self.model.jobs[*id].result.is_some());
        }
        let live = self.scheduler.as_ref().map_or(0, Scheduler::live);
        assert_eq!(live, self.model.live());
        assert_eq!(job::current(), None);
    }

    fn end(mut self) {
        for (id, _, job) in std::mem::take(&mut self.jobs) {
            self.model.cancel(id);
            drop(job);
        }
        self.model.close_scheduler();
        drop(self.scheduler.take());
        self.compare();
        // Stale by now, all of them.
        for (_, wake) in &self.wakes {
            wake.wake();
        }
        job::cleanup_thread();
        self.model.pool.cleanup();
        assert_eq!(self.model.pool.census(), (0, 0));
        assert_eq!(Rc::strong_count(&self.world), 1, "every closure is gone");
    }
}

fn joined(handle: JoinHandle<()>) -> Code {
    match handle.join() {
        Ok(()) => Code::Finished,
        Err(JoinError::Panicked(_)) => Code::Panicked,
        Err(JoinError::Cancelled) => Code::Ended,
        Err(JoinError::Wait(error)) => waited(Err(error)),
    }
}

fn waited(result: Result<(), WaitError>) -> Code {
    match result {
        Ok(()) => Code::Done,
        Err(WaitError::Cancelled) => Code::Cancelled,
        Err(WaitError::TimedOut) => Code::TimedOut,
        Err(WaitError::NotDriven) => Code::NotDriven,
        Err(WaitError::Blocked) => Code::Blocked,
        Err(other) => panic!("{other:?}"),
    }
}

fn not_started<F>(refused: NotStarted<F>) -> Code {
    match refused.error {
        StartError::NoJobs => Code::NoJobs,
        StartError::Full => Code::Full,
        StartError::NoScheduler => Code::NoScheduler,
        other => panic!("{other:?}"),
    }
}

fn options(kind: Kind) -> Options {
    let mut options =
        Options::new().driven(kind.driven).wipe(kind.wipe).save_fp_control(kind.fp).cancel_mode(
            if kind.returns { job::CancelMode::Return } else { job::CancelMode::Unwind },
        );
    if kind.own_stack {
        options = options.stack(StackConfig::with_size(128 << 10));
    }
    options
}

type Came = std::thread::Result<Progress<()>>;
