//! Every order of two events that can meet a job of C's, in every state that it can be in: it
//! ends exactly once, whoever cancelled it is told, and nothing is left. (Jobs of Rust's:
//! `arch-tests/lifecycle.rs`.)

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::sync::{OnceLock, mpsc};
use std::thread;

use super::api::*;
use crate::common;

/// What the job does when the events come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// They come from its own code ...
    Running,
    /// ... which must not pause ...
    Blocked,
    /// ... or from that of a job inside it.
    Nested,
    /// It has paused, without a wait context ...
    Bare,
    /// ... with a descriptor in one ...
    Descriptor,
    /// ... with a callback ...
    Callback,
    /// ... and was given up.
    GivenUpOnWake,
    GivenUpToDrain,
    Finished,
}

const STATES: [State; 9] = [
    State::Running,
    State::Blocked,
    State::Nested,
    State::Bare,
    State::Descriptor,
    State::Callback,
    State::GivenUpOnWake,
    State::GivenUpToDrain,
    State::Finished,
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Resume,
    CancelNow,
    CancelOnWake,
    CancelDrain,
    Wake,
    WakeFromThread,
    WakeFromHandler,
    DeviceCompletes,
    Poll,
    NextWoken,
    ContextFreed,
    PoolShutDown,
    Forked,
    ThreadExits,
}

const EVENTS: [Event; 14] = [
    Event::Resume,
    Event::CancelNow,
    Event::CancelOnWake,
    Event::CancelDrain,
    Event::Wake,
    Event::WakeFromThread,
    Event::WakeFromHandler,
    Event::DeviceCompletes,
    Event::Poll,
    Event::NextWoken,
    Event::ContextFreed,
    Event::PoolShutDown,
    Event::Forked,
    Event::ThreadExits,
];

/// One job and all that knows of it. Shared with the job, and perhaps another thread, by its
/// address: all of it may change at any time.
struct Case {
    state: State,
    inside: [Event; 2],
    job: AtomicPtr<libc::c_void>,
    ctx: AtomicPtr<libc::c_void>,
    wake: Wake,
    fd: Fd,
    /// How often the function has returned, the owner has seen that, and was told.
    returned: AtomicUsize,
    finished: AtomicUsize,
    told: AtomicUsize,
    cancelled: AtomicUsize,
}

unsafe extern "C" fn body(args: Data) -> c_int {
    // SAFETY: started with the address of a case, which outlives the job.
    let case = unsafe { &*ptr::with_exposed_provenance::<Case>(word(args)) };
    case.job.store(ASYNC_get_current_job(), SeqCst);
    let inside = || case.inside.into_iter().for_each(|event| case.apply_inside(event));
    let pause = || (ASYNC_pause_job(), ASYNC_pause_job());
    match case.state {
        State::Finished => {}
        State::Running => (inside(), pause()).0,
        State::Blocked => {
            ASYNC_block_pause();
            inside();
            assert!(ASYNC_pause_job() <= 1);
            ASYNC_unblock_pause();
            pause();
        }
        State::Nested => {
            let mut nested = ptr::null_mut();
            let started = start(&mut nested, ptr::null_mut(), from_nested, word(args));
            pause();
            if started.0 == PAUSE {
                // Another thread may have adopted the outer one, and wants this, too.
                // SAFETY: any handle.
                unsafe { siding_job_adopt(nested) };
                assert_eq!(start(&mut nested, ptr::null_mut(), from_nested, 0).0, FINISH);
            }
        }
        _ => drop(pause()),
    }
    case.returned.fetch_add(1, SeqCst);
    7
}

unsafe extern "C" fn from_nested(args: Data) -> c_int {
    // SAFETY: as in `body`.
    let case = unsafe { &*ptr::with_exposed_provenance::<Case>(word(args)) };
    case.inside.into_iter().for_each(|event| case.apply_inside(event));
    ASYNC_pause_job()
}

unsafe extern "C" fn ended(arg: Data, ret: c_int) {
    assert_eq!(ret, 7);
    // SAFETY: a case.
    let case = unsafe { &*arg.cast_const().cast::<Case>() };
    case.told.fetch_add(1, SeqCst);
}

fn takes_away(event: &Event) -> bool {
    matches!(event, Event::Forked | Event::ThreadExits | Event::ContextFreed)
}

fn set_up(state: State, inside: [Event; 2]) -> Box<Case> {
    let mut case = Box::new(Case {
        state,
        inside,
        job: AtomicPtr::default(),
        ctx: AtomicPtr::default(),
        wake: Wake::default(),
        fd: eventfd(),
        returned: AtomicUsize::new(0),
        finished: AtomicUsize::new(0),
        told: AtomicUsize::new(0),
        cancelled: AtomicUsize::new(0),
    });
    if state != State::Bare {
        case.ctx.store(ASYNC_WAIT_CTX_new(), SeqCst);
    }
    let (ctx, key) = (case.ctx.load(SeqCst), ptr::null_mut());
    if matches!(state, State::Descriptor | State::GivenUpOnWake | State::GivenUpToDrain) {
        // SAFETY: a live context.
        assert_eq!(unsafe { ASYNC_WAIT_CTX_set_wait_fd(ctx, key, case.fd, key, None) }, 1);
    }
    let (mut job, address) = (ptr::null_mut(), (&raw const *case).expose_provenance());
    if start(&mut job, ctx, body, address).0 == FINISH {
        case.finished.store(1, SeqCst);
    }
    case.job.store(job, SeqCst);
    if !job.is_null() {
        let mut wake = Wake::default();
        // SAFETY: a live job.
        assert_eq!(unsafe { siding_get_wake(job, &mut wake) }, 1);
        case.wake = wake;
    }
    if state == State::Callback {
        let arg = (&raw mut case.wake).cast();
        // SAFETY: a live context; the handle stays as long as the case.
        unsafe { ASYNC_WAIT_CTX_set_callback(ctx, Some(siding_wake_callback), arg) };
    }
    match state {
        State::GivenUpOnWake => case.apply_outside(Event::CancelOnWake),
        State::GivenUpToDrain => case.apply_outside(Event::CancelDrain),
        _ => true,
    };
    case
}

impl Case {
    fn apply_inside(&self, event: Event) {
        if !takes_away(&event) {
            self.apply_outside(event);
        }
    }

    /// Whether anything can follow.
    fn apply_outside(&self, event: Event) -> bool {
        let (job, wake) = (self.job.load(SeqCst), self.wake);
        match event {
            Event::Resume => self.resume(),
            Event::CancelNow => self.cancel(NOW),
            Event::CancelOnWake => self.cancel(ON_WAKE),
            Event::CancelDrain => self.cancel(DRAIN),
            // SAFETY: a handle, perhaps a stale one, or of zeros.
            Event::Wake => unsafe { siding_wake(wake) },
            Event::WakeFromThread => wake_from_thread(wake),
            Event::WakeFromHandler => wake_from_handler(wake),
            Event::DeviceCompletes => {
                signal(self.fd);
                // SAFETY: any handle may be asked about.
                if !unsafe { ASYNC_get_wait_ctx(job) }.is_null() && self.state == State::Callback {
                    // SAFETY: the handle is there.
                    unsafe { siding_wake_callback((&raw const self.wake).cast_mut().cast()) };
                }
            }
            Event::Poll => drop(siding_orphans_poll()),
            Event::NextWoken => {
                let woken = siding_next_woken();
                assert!(woken.is_null() || woken == job);
            }
            Event::ContextFreed => {
                // SAFETY: freed once; NULL is none.
                unsafe { ASYNC_WAIT_CTX_free(self.ctx.swap(ptr::null_mut(), SeqCst)) };
            }
            Event::PoolShutDown => ASYNC_cleanup_thread(),
            Event::Forked => common::passes(|| self.finish()),
            Event::ThreadExits => return false,
        }
        true
    }

    /// Of a job that runs, was given up, or has ended, an error.
    fn resume(&self) {
        let mut job = self.job.load(SeqCst);
        if job.is_null() {
            return;
        }
        match start(&mut job, ptr::null_mut(), body, 0) {
            (PAUSE, None) | (ERR, None) => {}
            (FINISH, Some(7)) => drop(self.finished.fetch_add(1, SeqCst)),
            other => panic!("{other:?}"),
        }
    }

    fn cancel(&self, mode: c_int) {
        let (job, arg) = (self.job.load(SeqCst), ptr::from_ref(self).cast_mut().cast());
        // SAFETY: any handle; the case outlives the job.
        let cancelled = unsafe { siding_job_cancel(job, mode, Some(ended), arg) };
        self.cancelled.fetch_add(cancelled as usize, SeqCst);
    }

    /// Whatever has not happened yet.
    fn finish(&self) {
        self.apply_outside(Event::DeviceCompletes);
        for _ in 0..4 {
            // One wake ends one pause.
            self.apply_outside(Event::Wake);
            siding_orphans_poll();
            self.resume();
        }
        if self.returned.load(SeqCst) == 0 {
            // Of a thread that has ended, or of the parent.
            // SAFETY: any handle.
            let adopted = unsafe { siding_job_adopt(self.job.load(SeqCst)) };
            assert_eq!(adopted, 1, "{:?} {:?}", self.state, self.inside);
            self.cancel(NOW);
        }
        assert_eq!(siding_orphans_poll(), 0);
        self.apply_outside(Event::ContextFreed);
        ASYNC_cleanup_thread();
        let [returned, finished, told] =
            [&self.returned, &self.finished, &self.told].map(|count| count.load(SeqCst));
        assert_eq!((returned, finished + told), (1, 1), "{finished} {told}");
        self.late();
    }

    /// Late events are for nobody.
    fn late(&self) {
        let next = paused(ptr::null_mut(), pause_often, 1);
        self.apply_outside(Event::Wake);
        assert!(siding_next_woken().is_null());
        let before = self.finished.load(SeqCst);
        self.resume();
        self.cancel(NOW);
        let mut next = next;
        assert_eq!(start(&mut next, ptr::null_mut(), pause_often, 0), (FINISH, Some(1)));
        assert_eq!((self.finished.load(SeqCst), self.returned.load(SeqCst)), (before, 1));
        ASYNC_cleanup_thread();
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
                // SAFETY: a handle, perhaps a stale one, or of zeros.
                unsafe { siding_wake(wake) };
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

/// One that the C library of Windows knows, too, and nobody sends.
const SIGNAL: c_int = libc::SIGTERM;

fn wake_from_handler(wake: Wake) {
    static SLOT: AtomicUsize = AtomicUsize::new(0);
    static GENERATION: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn handler(_: c_int) {
        let (slot, generation) = (SLOT.load(SeqCst), GENERATION.load(SeqCst) as u64);
        // SAFETY: a handle.
        unsafe { siding_wake(Wake { slot, generation }) };
    }
    SLOT.store(wake.slot, SeqCst);
    GENERATION.store(wake.generation as usize, SeqCst);
    // SAFETY: the handler does what handlers may.
    unsafe { libc::signal(SIGNAL, handler as *const () as libc::sighandler_t) };
    // SAFETY: the signal is handled.
    assert_eq!(unsafe { libc::raise(SIGNAL) }, 0);
}

fn run(state: State, events: [Event; 2]) {
    let before = stats();
    // In a thread of its own, which may end in between.
    let begin = move || {
        let case = set_up(state, events);
        let inside = matches!(state, State::Running | State::Blocked | State::Nested);
        for event in events.into_iter().filter(|event| !inside || takes_away(event)) {
            if !case.apply_outside(event) {
                return (case, true);
            }
        }
        case.finish();
        (case, false)
    };
    let outcome = match events.contains(&Event::ThreadExits) {
        true => thread::spawn(begin).join(),
        false => Ok(begin()),
    };
    let (case, left) = outcome.unwrap_or_else(|_| panic!("{state:?} {events:?}"));
    if left {
        case.finish();
    }
    close(case.fd);
    let after = stats();
    assert_eq!(
        (after.live, after.orphaned, after.paused, after.pool),
        (before.live, before.orphaned, 0, 0),
        "{state:?} {events:?}"
    );
}

fn all(choose: impl Fn([Event; 2]) -> bool) {
    let mut held = None;
    // It is the other form of the switch that tries them all; an emulator takes long.
    let some = if cfg!(siding_outline) { 3 } else { 1 };
    let pairs = || EVENTS.into_iter().flat_map(|first| EVENTS.map(|second| [first, second]));
    for state in STATES {
        for events in
            pairs().filter(|events| choose(*events)).skip(state as usize % some).step_by(some)
        {
            run(state, events);
            // The first ones leave an inbox or two, and a scheduler for orphans.
            if state == State::Finished {
                let now = (device::open(), stats().stack_bytes);
                assert_eq!(now, *held.get_or_insert(now), "{events:?}");
            }
        }
    }
}

#[test]
fn in_every_state_after_any_two_events_a_c_job_ends_once_and_nothing_is_left() {
    thread::spawn(|| all(|events| !events.contains(&Event::Forked))).join().unwrap();
}

#[test]
fn and_before_and_after_a_fork_in_both_processes() {
    thread::spawn(|| all(|events| events.contains(&Event::Forked))).join().unwrap();
}

/// A descriptor that was closed too early, or is a file: nothing can come of waiting for it.
#[test]
fn a_cancelled_job_whose_descriptor_cannot_be_polled_ends_at_once() {
    for fd in [-1, 999_999] {
        for mode in [ON_WAKE, DRAIN] {
            let ctx = ASYNC_WAIT_CTX_new();
            let key = ptr::null_mut();
            // SAFETY: a live context.
            assert_eq!(unsafe { ASYNC_WAIT_CTX_set_wait_fd(ctx, key, fd, key, None) }, 1);
            let job = paused(ctx, pause_often, 3);
            // SAFETY: a paused job.
            assert_eq!(unsafe { siding_job_cancel(job, mode, None, ptr::null_mut()) }, 1);
            assert_eq!(siding_orphans_poll(), 0);
            // SAFETY: no job has it.
            unsafe { ASYNC_WAIT_CTX_free(ctx) };
        }
    }
}
