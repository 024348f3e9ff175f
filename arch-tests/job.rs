//! Jobs: start, pause, resume, finish; who is current; nesting, cancelling and pools.
#![allow(unsafe_code, reason = "C functions")]

mod block;
mod cancel;
mod catching;
mod crossing;
mod machine_state;
mod nesting;
mod pool;
mod threads;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Once;

use siding::job::{self, Job, Options, Progress};

const RETURN: Options = Options::new().cancel_mode(job::CancelMode::Return);

/// What most tests start, so that the way into a job is compiled for each type of result and not
/// for each closure.
type Body<T> = Box<dyn FnOnce() -> T>;

fn start<T: 'static>(body: impl FnOnce() -> T + 'static) -> Progress<T> {
    start_boxed(Box::new(body))
}

fn start_boxed<T: 'static>(body: Body<T>) -> Progress<T> {
    job::start(body).expect("there is a job to be had")
}

#[track_caller]
fn paused<T: Debug>(progress: Progress<T>) -> Job<T> {
    match progress {
        Progress::Paused(job) => job,
        Progress::Finished(value) => panic!("finished with {value:?}"),
    }
}

#[track_caller]
fn finished<T>(progress: Progress<T>) -> T {
    match progress {
        Progress::Finished(value) => value,
        Progress::Paused(job) => panic!("paused: {job:?}"),
    }
}

fn pause() {
    job::pause().expect("not cancelled");
}

/// A job that has just paused, and will run `body`.
fn about_to<T: Debug + 'static>(body: impl FnOnce() -> T + 'static) -> Job<T> {
    let body: Body<T> = Box::new(body);
    paused(start_boxed(Box::new(|| {
        pause();
        body()
    })))
}

/// Runs `f`, which must panic, and returns the payload.
#[track_caller]
fn panic_of<T>(f: impl FnOnce() -> T) -> Box<dyn Any + Send> {
    panic::catch_unwind(AssertUnwindSafe(f)).err().expect("a panic")
}

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<&'static str>>>);

impl Log {
    fn add(&self, event: &'static str) {
        self.0.borrow_mut().push(event);
    }

    fn events(&self) -> Vec<&'static str> {
        self.0.borrow().clone()
    }

    fn on_drop(&self, event: &'static str) -> OnDrop<impl FnMut() + use<>> {
        let log = self.clone();
        OnDrop(move || log.add(event))
    }
}

/// Runs a closure in its destructor.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A flag or count that a job shares with its test.
fn shared<T>(value: T) -> (Rc<Cell<T>>, Rc<Cell<T>>) {
    let cell = Rc::new(Cell::new(value));
    (Rc::clone(&cell), cell)
}

thread_local! {
    static REPORTED: Cell<u32> = const { Cell::new(0) };
}

/// How many panics of this thread reach the panic hook while `f` runs.
fn panics_reported(f: impl FnOnce()) -> u32 {
    static COUNTING: Once = Once::new();
    COUNTING.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            REPORTED.set(REPORTED.get() + 1);
            usual(info);
        }));
    });
    let before = REPORTED.get();
    f();
    REPORTED.get() - before
}
