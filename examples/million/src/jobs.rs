//! The same as jobs of a scheduler, which yield to each other.

use std::cell::Cell;
use std::error::Error;
use std::time::Duration;

use siding::job::Options;
use siding::scheduler::{JoinHandle, Scheduler, yield_now};
use siding::stack::{self, PooledStack, StackConfig};

use crate::guard;
use crate::measure::{self, Random, Usage};
use crate::{CHUNK, Figures, Plan};

/// What all jobs read at each turn.
#[derive(Clone, Copy)]
enum Command {
    Yield,
    /// The job of this number hits its guard.
    HitGuard(usize),
    Finish,
}

thread_local! {
    static COMMAND: Cell<Command> = const { Cell::new(Command::Yield) };
    /// How many guards were deadly.
    static DEADLY: Cell<u32> = const { Cell::new(0) };
}

fn body(number: usize, stack: StackConfig) {
    loop {
        match COMMAND.get() {
            Command::HitGuard(chosen) if chosen == number => {
                DEADLY.set(DEADLY.get() + u32::from(guard::kills(stack)));
            }
            Command::Finish => return,
            _ => {}
        }
        if yield_now().is_err() {
            return;
        }
    }
}

/// # Errors
///
/// If there is not enough memory or address space.
pub fn run(plan: &Plan) -> Result<Figures, Box<dyn Error>> {
    let mut figures = Figures::default();
    COMMAND.set(Command::Yield);
    let scheduler = Scheduler::new()?;
    let before = Usage::now();
    let mut jobs = Vec::with_capacity(plan.jobs);
    let mut outcome = Ok(());
    let spawn = || outcome = spawn(&scheduler, &mut jobs, plan);
    figures.create = measure::time_each(plan.jobs, spawn);
    outcome?;
    figures.usage = Usage::now() - before;
    plan.step("round robin of the jobs");
    figures.in_order = Some(measure::rounds(plan.jobs, || turn(&scheduler)));

    let tenth = plan.jobs / 10;
    let cancel = || jobs.iter().step_by(10).take(tenth).for_each(|job| assert!(job.cancel()));
    figures.cancel = measure::time_each(tenth, cancel);
    plan.step("hitting two guards");
    let mut random = Random(plan.seed);
    for guard in &mut figures.guards {
        let chosen = loop {
            let chosen = random.below(plan.jobs);
            if !jobs[chosen].is_finished() {
                break chosen;
            }
        };
        COMMAND.set(Command::HitGuard(chosen));
        let before = DEADLY.get();
        turn(&scheduler);
        *guard = DEADLY.get() > before;
    }
    plan.step("finishing the jobs");
    COMMAND.set(Command::Finish);
    figures.finish =
        measure::time_each(plan.jobs - tenth, || scheduler.run().expect("no job waits"));
    stack::set_pool_limit(0);
    Ok(figures)
}

/// What a turn takes when the stacks lie in another order than that of the turns.
///
/// # Errors
///
/// As [`run`].
pub fn run_at_random(plan: &Plan) -> Result<(f64, f64), Box<dyn Error>> {
    COMMAND.set(Command::Yield);
    // Taken and returned in this order: the pool gives out the last one first.
    stack::reserve(plan.stack, plan.jobs)?;
    let stacks: Result<Vec<_>, _> = (0..plan.jobs).map(|_| PooledStack::new(plan.stack)).collect();
    let mut stacks = stacks?;
    measure::shuffle(&mut stacks);
    drop(stacks);

    let scheduler = Scheduler::new()?;
    let mut jobs = Vec::with_capacity(plan.jobs);
    spawn(&scheduler, &mut jobs, plan)?;
    plan.step("round robin of the jobs in another order");
    let times = measure::rounds(plan.jobs, || turn(&scheduler));
    COMMAND.set(Command::Finish);
    scheduler.run()?;
    stack::set_pool_limit(0);
    Ok(times)
}

fn spawn(
    scheduler: &Scheduler,
    jobs: &mut Vec<JoinHandle<()>>,
    plan: &Plan,
) -> Result<(), Box<dyn Error>> {
    let config = plan.stack;
    let options = Options::new().stack(config);
    while jobs.len() < plan.jobs {
        let chunk = CHUNK.min(plan.jobs - jobs.len());
        stack::reserve(plan.stack, chunk)?;
        for number in jobs.len()..jobs.len() + chunk {
            let job = scheduler.spawn_with(&options, move || body(number, config));
            jobs.push(job.map_err(|refused| refused.error)?);
        }
        plan.bar.inc(chunk as u64);
    }
    // Up to their first pause.
    turn(scheduler);
    Ok(())
}

/// One turn for each job.
fn turn(scheduler: &Scheduler) {
    scheduler.turn(Some(Duration::ZERO)).expect("a turn");
}
