//! Three ways to wait for the same workers.

use std::error::Error;
use std::rc::Rc;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{mem, thread};

use siding::offload::Workers;
use siding::scheduler::{self, Scheduler, Turn};

use crate::work::{Run, Wait};

/// A job for every chunk, all on this thread. A job that waits is paused.
pub fn jobs(run: &Arc<Run>, workers: usize, mut watch: bool) -> Result<(), Box<dyn Error>> {
    let workers = Rc::new(Workers::new(workers)?);
    let scheduler = Scheduler::new()?;
    loop {
        while scheduler.live() < run.most_at_once()
            && let Some(chunk) = run.next_chunk()
        {
            let (run_of_job, workers) = (Arc::clone(run), Rc::clone(&workers));
            scheduler
                .spawn(move || run_of_job.process(chunk, &*workers))
                .map_err(|error| format!("cannot have {} jobs: {error}", scheduler.live() + 1))?;
        }
        if mem::take(&mut watch) {
            let spawner = scheduler.spawner();
            scheduler.spawn(move || watch::job(spawner)).map_err(|refused| refused.error)?;
        }
        if scheduler.turn(None)? == Turn::Idle {
            return Ok(());
        }
        run.all_started();
    }
}

impl Wait for Workers {
    fn offload<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Box<dyn Error>> {
        Ok(Workers::offload(self, closure)?)
    }

    fn sleep(&self, time: Duration) -> Result<(), Box<dyn Error>> {
        Ok(scheduler::sleep(time)?)
    }
}

/// Many threads. One that waits is blocked.
pub fn threads(run: &Arc<Run>, workers: usize) -> Result<(), Box<dyn Error>> {
    let counter = Counter::open(workers)?;
    thread::scope(|scope| {
        for n in 1..=run.most_at_once() {
            let counter = counter.clone();
            let body = move || {
                while let Some(chunk) = run.next_chunk() {
                    run.process(chunk, &counter);
                }
            };
            if let Err(error) = thread::Builder::new().spawn_scoped(scope, body) {
                run.abandon();
                return Err(format!("cannot have {n} threads: {error}").into());
            }
        }
        run.all_started();
        Ok(())
    })
}

/// This thread alone. When it waits, nothing goes on.
pub fn blocking(run: &Arc<Run>, workers: usize) -> Result<(), Box<dyn Error>> {
    let counter = Counter::open(workers)?;
    while let Some(chunk) = run.next_chunk() {
        run.process(chunk, &counter);
    }
    Ok(())
}

/// Where a thread hands its work to workers and blocks until it is done.
#[derive(Clone)]
struct Counter(Sender<Errand>);

type Errand = Box<dyn FnOnce() + Send>;

impl Counter {
    fn open(workers: usize) -> Result<Self, Box<dyn Error>> {
        let (sender, receiver) = mpsc::channel::<Errand>();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..workers {
            let receiver = Arc::clone(&receiver);
            let next = move || receiver.lock().ok()?.recv().ok();
            thread::Builder::new().spawn(move || {
                while let Some(errand) = next() {
                    errand();
                }
            })?;
        }
        Ok(Counter(sender))
    }
}

impl Wait for Counter {
    fn offload<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Box<dyn Error>> {
        let (answer, answered) = mpsc::sync_channel(1);
        let errand = move || drop(answer.send(closure()));
        self.0.send(Box::new(errand)).map_err(|_| "the workers are gone")?;
        Ok(answered.recv()?)
    }

    fn sleep(&self, time: Duration) -> Result<(), Box<dyn Error>> {
        thread::sleep(time);
        Ok(())
    }
}
