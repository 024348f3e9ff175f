//! Every order of two events that can meet a scheduler's job, in every state that it can be in:
//! it ends exactly once, nobody else is woken, nothing is left. (C's jobs:
//! `c_extensions/lifecycle.rs`; longer sequences at random are tested elsewhere.)
#![allow(unsafe_code, reason = "a signal handler")]

use std::cell::RefCell;
use std::io::{PipeReader, PipeWriter, Write};
use std::panic;
use std::rc::Rc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use siding::job::{self, Callback, CancelMode, Job, Options, Progress, WaitCtx, WaitError, Wake};
use siding::offload::offload;
use siding::scheduler::{
    Interest, JoinHandle, RunError, Scheduler, Turn, park, sleep, wait_fd, yield_now,
};

use crate::common;

/// What the job does when the events come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// It has not had a turn.
    Fresh,
    /// The events come from its own code ...
    Running,
    /// ... which must not pause ...
    Blocked,
    /// ... or from that of a plain job inside it, which then pauses.
    Nested,
    Parked,
    Sleeping,
    /// For a descriptor.
    Polling,
    /// In a pause, with a wait context that has a descriptor and a callback.
    Paused,
    /// For a worker.
    Offloaded,
    /// In the queue.
    Yielding,
    Finished,
}

const STATES: [State; 11] = [
    State::Fresh,
    State::Running,
    State::Blocked,
    State::Nested,
    State::Parked,
    State::Sleeping,
    State::Polling,
    State::Paused,
    State::Offloaded,
    State::Yielding,
    State::Finished,
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Turn,
    Cancel,
    Wake,
    WakeTwice,
    WakeFromThread,
    WakeFromHandler,
    /// The descriptor is readable, the callback is called, the worker has done its work.
    DeviceCompletes,
    /// Nobody wants the value any more.
    HandleDropped,
    PoolShutDown,
    Forked,
    SchedulerDropped,
    ThreadExits,
}

const EVENTS: [Event; 12] = [
    Event::Turn,
    Event::Cancel,
    Event::Wake,
    Event::WakeTwice,
    Event::WakeFromThread,
    Event::WakeFromHandler,
    Event::DeviceCompletes,
    Event::HandleDropped,
    Event::PoolShutDown,
    Event::Forked,
    Event::SchedulerDropped,
    Event::ThreadExits,
];

/// One job and all that knows of it.
struct Case {
    scheduler: RefCell<Option<Scheduler>>,
    job: RefCell<Option<JoinHandle<()>>>,
    wake: RefCell<Option<Wake>>,
    device: RefCell<Option<Device>>,
    /// What comes from inside the job.
    inside: [Event; 2],
    /// How often the job has ended.
    ended: Arc<AtomicUsize>,
}

struct Device {
    writer: PipeWriter,
    ctx: WaitCtx,
    work: mpsc::Sender<()>,
}

impl Device {
    fn complete(mut self) {
        let _ = self.writer.write_all(b"x");
        if let Some(callback) = self.ctx.callback() {
            callback.call();
        }
        let _ = self.work.send(());
    }
}

/// Counts the end of the job, by its return or by being unwound.
struct Ends(Arc<AtomicUsize>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

thread_local! {
    /// What the thread ends with.
    static LEFT: RefCell<Option<Rc<Case>>> = const { RefCell::new(None) };
}

/// The job of this state, up to it.
fn set_up(state: State, mode: CancelMode, inside: [Event; 2], ended: Arc<AtomicUsize>) -> Rc<Case> {
    let scheduler = Scheduler::new().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let (work, working) = mpsc::channel();
    let ctx = WaitCtx::new();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
    ctx.set_wait_fd(job::Key::from(1), fd).unwrap();
    let case = Rc::new(Case {
        scheduler: RefCell::new(None),
        job: RefCell::new(None),
        wake: RefCell::new(None),
        device: RefCell::new(Some(Device { writer, ctx: ctx.clone(), work })),
        inside,
        ended: Arc::clone(&ended),
    });
    let (ends, weak) = (Ends(ended), Rc::downgrade(&case));
    let options = Options::new().cancel_mode(mode).wait_ctx(ctx.clone());
    let body = move || {
        let _ends = ends;
        let case = weak.upgrade().expect("it runs inside a test");
        let wake = job::wake_handle().unwrap();
        *case.wake.borrow_mut() = Some(wake.clone());
        ctx.set_callback(Some(Callback::new(move || wake.wake())));
        let within = Rc::downgrade(&case);
        let inside = move || within.upgrade().iter().for_each(|case| case.inside());
        drop(case);
        live(state, inside, &reader, working);
        drop(reader);
    };
    *case.job.borrow_mut() = Some(scheduler.spawn_with(&options, body).unwrap());
    *case.scheduler.borrow_mut() = Some(scheduler);
    if state != State::Fresh {
        case.turn();
    }
    case
}

/// What the job does.
fn live(
    state: State,
    inside: impl FnOnce() + 'static,
    reader: &PipeReader,
    working: mpsc::Receiver<()>,
) {
    // Any answer is right, as long as there is one.
    match state {
        State::Fresh | State::Finished => {}
        State::Running => inside(),
        State::Blocked => {
            let block = job::block_pause();
            inside();
            assert!(matches!(park(), Err(WaitError::Blocked | WaitError::Cancelled)));
            drop(block);
            let _ = park();
        }
        State::Nested => {
            let nested = move || {
                inside();
                let _ = job::pause();
            };
            let nested: Option<Job<()>> = match job::start(nested).unwrap() {
                Progress::Paused(job) => Some(job),
                Progress::Finished(()) => None,
            };
            let _ = park();
            drop(nested);
        }
        State::Parked => drop(park()),
        State::Sleeping => drop(sleep(Duration::from_secs(1000))),
        State::Polling => drop(wait_fd(reader, Interest::Readable, None)),
        State::Paused => drop(job::pause()),
        State::Offloaded => drop(offload(move || working.recv())),
        State::Yielding => (0..3).for_each(|_| drop(yield_now())),
    }
}

impl Case {
    fn turn(&self) {
        if let Some(scheduler) = &*self.scheduler.borrow() {
            match scheduler.turn(Some(Duration::ZERO)) {
                Ok(_) | Err(RunError::Reentered) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn inside(&self) {
        for event in self.inside {
            // These take away what runs the job.
            if !matches!(event, Event::SchedulerDropped | Event::ThreadExits | Event::Forked) {
                self.apply(event);
            }
        }
    }

    /// Whether anything can follow.
    fn apply(&self, event: Event) -> bool {
        let wake = || {
            if let Some(wake) = &*self.wake.borrow() {
                wake.wake();
            }
        };
        match event {
            Event::Turn => self.turn(),
            Event::Cancel => {
                let job = self.job.borrow();
                job.as_ref().map(JoinHandle::cancel);
            }
            Event::Wake => wake(),
            Event::WakeTwice => (wake(), wake()).1,
            Event::WakeFromThread => {
                if let Some(wake) = &*self.wake.borrow() {
                    wake_from_thread(wake.clone());
                }
            }
            Event::WakeFromHandler => {
                if let Some(wake) = &*self.wake.borrow() {
                    wake_from_handler(wake);
                }
            }
            Event::DeviceCompletes => self.device.take().into_iter().for_each(Device::complete),
            Event::HandleDropped => drop(self.job.take()),
            Event::PoolShutDown => job::cleanup_thread(),
            Event::Forked => common::passes(|| {
                // The parent's worker may have been in the middle of using the channel.
                std::mem::forget(self.device.take());
                self.finish();
            }),
            Event::SchedulerDropped => drop(self.scheduler.take()),
            Event::ThreadExits => return false,
        }
        true
    }

    /// Whatever has not happened yet.
    fn finish(&self) {
        if let Some(job) = self.job.take() {
            job.cancel();
        }
        drop(self.scheduler.take());
        assert_eq!(self.ended.load(Ordering::SeqCst), 1, "it has ended once");
        self.device.take().into_iter().for_each(Device::complete);
        job::cleanup_thread();
        let (jobs, stacks) = (siding::stats().jobs, siding::stack::stats());
        assert_eq!((jobs.running, jobs.paused, jobs.free, stacks.live), (0, 0, 0, 0));
    }

    /// A late wake is for nobody: certainly not for the job that has the slot now.
    fn late_wake(&self) {
        let scheduler = Scheduler::new().unwrap();
        let next = scheduler.spawn(park).unwrap();
        scheduler.turn(Some(Duration::ZERO)).unwrap();
        self.apply(Event::WakeTwice);
        assert_eq!(scheduler.turn(Some(Duration::ZERO)).unwrap(), Turn::Waiting);
        assert!(!next.is_finished() && next.cancel());
    }
}

/// One thread for all of them: emulators take long to start one.
fn wake_from_thread(wake: Wake) {
    type Order = (Wake, mpsc::Sender<()>);
    static THREAD: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let thread = THREAD.get_or_init(|| {
        let (orders, received) = mpsc::channel::<Order>();
        let obey = move || {
            for (wake, done) in received {
                wake.wake();
                drop(wake);
                done.send(()).unwrap();
            }
        };
        thread::spawn(obey);
        orders
    });
    let (done, wait) = mpsc::channel();
    thread.send((wake, done)).unwrap();
    wait.recv().unwrap();
}

fn wake_from_handler(wake: &Wake) {
    static WAKE: AtomicPtr<Wake> = AtomicPtr::new(std::ptr::null_mut());
    extern "C" fn handler(_: libc::c_int) {
        // SAFETY: set for as long as the signal is raised.
        if let Some(wake) = unsafe { WAKE.load(Ordering::SeqCst).as_ref() } {
            wake.wake();
        }
    }
    WAKE.store(std::ptr::from_ref(wake).cast_mut(), Ordering::SeqCst);
    // SAFETY: the handler does what handlers may.
    unsafe { libc::signal(libc::SIGUSR2, handler as *const () as libc::sighandler_t) };
    // SAFETY: the signal is handled.
    assert_eq!(unsafe { libc::raise(libc::SIGUSR2) }, 0);
    WAKE.store(std::ptr::null_mut(), Ordering::SeqCst);
}

/// In a thread of its own, if it is to end.
fn run(state: State, mode: CancelMode, events: [Event; 2]) {
    let ended = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&ended);
    let outcome = match events.contains(&Event::ThreadExits) {
        true => thread::spawn(move || run_here(state, mode, events, theirs)).join(),
        false => {
            let run = move || run_here(state, mode, events, theirs);
            panic::catch_unwind(panic::AssertUnwindSafe(run))
        }
    };
    outcome.unwrap_or_else(|_| panic!("{state:?}, {mode:?}, {events:?}"));
    assert_eq!(ended.load(Ordering::SeqCst), 1, "{state:?}, {mode:?}, {events:?}");
}

fn run_here(state: State, mode: CancelMode, events: [Event; 2], ended: Arc<AtomicUsize>) {
    let case = set_up(state, mode, events, ended);
    let inside = matches!(state, State::Running | State::Blocked | State::Nested);
    let takes_away = |event: &Event| {
        matches!(event, Event::SchedulerDropped | Event::ThreadExits | Event::Forked)
    };
    for event in events.into_iter().filter(|event| !inside || takes_away(event)) {
        if !case.apply(event) {
            LEFT.set(Some(case));
            return;
        }
    }
    case.finish();
    case.late_wake();
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// All pairs that `choose` agrees to.
fn all(choose: impl Fn([Event; 2]) -> bool) {
    let mut held = None;
    // It is the other form of the switch that tries them all; an emulator takes long.
    let some = if cfg!(siding_outline) { 3 } else { 1 };
    let pairs = || EVENTS.into_iter().flat_map(|first| EVENTS.map(|second| [first, second]));
    for state in STATES {
        for events in
            pairs().filter(|events| choose(*events)).skip(state as usize % some).step_by(some)
        {
            // What cancels may do either; each sort of pair has both somewhere.
            let number = events[0] as usize + events[1] as usize / 2 + state as usize;
            run(state, [CancelMode::Unwind, CancelMode::Return][number % 2], events);
            let stacks = siding::stack::stats();
            let now = [descriptors(), stacks.slabs, stacks.reserved, stacks.mappings];
            // The first ones leave an inbox or two, and workers; the tests before this one may
            // have left what goes away meanwhile.
            if state == State::Finished {
                let before = *held.get_or_insert(now);
                let more = now.iter().zip(&before).any(|(now, before)| now > before);
                assert!(!more, "{state:?} {events:?}: {before:?}, then {now:?}");
            }
        }
    }
}

#[test]
fn in_every_state_after_any_two_events_a_job_ends_once_and_nothing_is_left() {
    all(|events| !events.contains(&Event::Forked));
}

#[test]
fn and_before_and_after_a_fork_in_both_processes() {
    all(|events| events.contains(&Event::Forked));
}
