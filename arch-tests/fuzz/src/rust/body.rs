//! What a job does when its script is carried out.

use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;

use siding::coroutine::{Coroutine, CoroutineState, Yielder};
use siding::job::{self, BlockPause, Cancelled, Job, Progress};
use siding::scheduler::{JoinHandle, park, park_until, yield_now};

use super::{Came, World, joined, not_started, options, waited};
use crate::script::{Code, Kind, Script, Step, WHOLE};

/// A panic of a script's.
struct OnPurpose;

/// Tells when it is dropped.
struct Told(Rc<World>, usize, u8, Code);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.log.tell(self.1, self.2, self.3);
    }
}

/// The locals of a job, dropped in this order.
#[derive(Default)]
struct Locals {
    children: Vec<Job<()>>,
    blocks: Vec<BlockPause>,
    guards: Vec<Told>,
    spawned: Vec<JoinHandle<()>>,
}

pub fn start(world: &Rc<World>, kind: Kind, script: Script) -> (Code, Option<Job<()>>) {
    let closure = closure(world, script);
    let started = panic::catch_unwind(AssertUnwindSafe(|| options(kind).start(closure)));
    match started {
        Ok(Ok(started)) => progress(Ok(started)),
        Ok(Err(refused)) => (not_started(refused), None),
        Err(payload) => progress(Err(payload)),
    }
}

pub fn spawn(world: &Rc<World>, kind: Kind, script: Script) -> (Code, Option<JoinHandle<()>>) {
    let closure = closure(world, script);
    let spawner = world.spawner.borrow().clone();
    let Some(spawner) = spawner else { return (Code::NoScheduler, None) };
    match spawner.spawn_with(&options(kind), closure) {
        Ok(handle) => (Code::Done, Some(handle)),
        Err(refused) => (not_started(refused), None),
    }
}

/// How far a job got.
pub fn progress(came: Came) -> (Code, Option<Job<()>>) {
    match came {
        Ok(Progress::Paused(job)) => (Code::Paused, Some(job)),
        Ok(Progress::Finished(())) => (Code::Finished, None),
        Err(payload) => {
            assert!(payload.is::<OnPurpose>(), "a panic that no script asked for");
            (Code::Panicked, None)
        }
    }
}

fn closure(world: &Rc<World>, mut script: Script) -> impl FnOnce() + 'static {
    let id = world.log.next_job();
    let whole = Told(Rc::clone(world), id, WHOLE, Code::Closure);
    move || {
        let whole = whole;
        let mut locals = Locals::default();
        while let Some((number, step)) = script.next() {
            if step == Step::Return {
                break;
            }
            let code = locals.step(&whole.0, id, number, step, &mut script);
            whole.0.log.tell(id, number, code);
        }
    }
}

impl Locals {
    fn step(
        &mut self,
        world: &Rc<World>,
        id: usize,
        number: u8,
        step: Step,
        script: &mut Script,
    ) -> Code {
        match step {
            Step::Pause => return paused(job::pause()),
            Step::CatchPause => {
                return panic::catch_unwind(job::pause).map_or(Code::Caught, paused);
            }
            Step::Yield => return waited(yield_now()),
            Step::Park => return waited(park()),
            Step::ParkUntil => return waited(park_until(world.passed())),
            Step::Block => self.blocks.push(job::block_pause()),
            Step::Unblock => drop(self.blocks.pop()),
            Step::Guard => {
                self.guards.push(Told(Rc::clone(world), id, number, Code::Guard));
            }
            Step::WakeSelf => job::wake_handle().expect("in a job").wake(),
            Step::Publish => {
                world.published.borrow_mut().push(job::wake_handle().expect("in a job"));
            }
            Step::Coroutine => pause_in_a_coroutine(),
            Step::Panic => panic::resume_unwind(Box::new(OnPurpose)),
            _ => return self.step_with_others(world, step, script),
        }
        Code::Done
    }

    fn step_with_others(&mut self, world: &Rc<World>, step: Step, script: &mut Script) -> Code {
        match step {
            Step::Child(kind, count) => {
                let (code, child) = start(world, kind, script.split(count));
                self.children.extend(child);
                code
            }
            Step::ResumeChild => {
                let Some(child) = self.children.pop() else { return Code::None };
                let (code, child) =
                    progress(panic::catch_unwind(AssertUnwindSafe(|| child.resume())));
                self.children.extend(child);
                code
            }
            Step::DropChild => self.children.pop().map_or(Code::None, |child| {
                child.cancel();
                Code::Done
            }),
            Step::Spawn(kind, count) => {
                let (code, handle) = spawn(world, kind, script.split(count));
                self.spawned.extend(handle);
                code
            }
            Step::Join => self.spawned.pop().map_or(Code::None, joined),
            _ => match self.spawned.last() {
                Some(handle) if handle.cancel() => Code::Ended,
                Some(_) => Code::LeftAlone,
                None => Code::None,
            },
        }
    }
}

fn paused(result: Result<(), Cancelled>) -> Code {
    if result.is_ok() { Code::Done } else { Code::Cancelled }
}

/// It cannot: its frames lie on another stack.
fn pause_in_a_coroutine() {
    let mut coroutine = Coroutine::new(|yielder: &Yielder<(), ()>, ()| {
        assert_eq!(job::pause(), Ok(()));
        yielder.suspend(());
        assert_eq!(job::pause(), Ok(()));
    });
    assert_eq!(coroutine.resume(()), CoroutineState::Yielded(()));
    assert_eq!(coroutine.resume(()), CoroutineState::Complete(()));
}
