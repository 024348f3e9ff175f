//! Coroutines: a context with typed values, resumed by a plain loop.

use std::error::Error;

use siding::coroutine::{Coroutine, CoroutineState, Yielder};
use siding::stack::{self, StackConfig};

use crate::guard;
use crate::measure::{self, Random, Usage};
use crate::{CHUNK, Figures, Plan};

/// What to do in a turn.
#[derive(Clone, Copy)]
enum Turn {
    Yield,
    HitGuard,
    Finish,
}

/// Answers whether the guard was deadly, when it was to be hit.
type C = Coroutine<Turn, bool, ()>;

/// How many turns ahead a coroutine is brought into the cache.
const AHEAD: usize = 8;

fn body(stack: StackConfig, yielder: &Yielder<Turn, bool>, mut turn: Turn) {
    loop {
        let answer = match turn {
            Turn::Yield => false,
            Turn::HitGuard => guard::kills(stack),
            Turn::Finish => return,
        };
        turn = yielder.suspend(answer);
    }
}

/// # Errors
///
/// If there is not enough memory or address space.
pub fn run(plan: &Plan) -> Result<Figures, Box<dyn Error>> {
    let count = plan.jobs;
    let mut figures = Figures::default();
    let mut all: Vec<C> = Vec::with_capacity(count);
    let before = Usage::now();
    let mut outcome = Ok(());
    figures.create = measure::time_each(count, || outcome = create(&mut all, plan));
    outcome?;
    figures.usage = Usage::now() - before;

    plan.step("round robin of the coroutines");
    if plan.sequential {
        figures.in_order = Some(measure::rounds(count, || turn_each(&mut all)));
    }
    measure::shuffle(&mut all);
    if plan.random {
        figures.at_random = Some(measure::rounds(count, || turn_each(&mut all)));
    }
    let tenth: Vec<C> = all.drain(..count / 10).collect();
    figures.cancel = measure::time_each(tenth.len(), || drop(tenth));

    plan.step("hitting two guards");
    let mut random = Random(plan.seed);
    for guard in &mut figures.guards {
        let chosen = random.below(all.len());
        *guard = matches!(all[chosen].resume(Turn::HitGuard), CoroutineState::Yielded(true));
    }
    plan.step("finishing the coroutines");
    let rest = all.len();
    figures.finish = measure::time_each(rest, || finish(all));
    stack::set_pool_limit(0);
    Ok(figures)
}

fn create(all: &mut Vec<C>, plan: &Plan) -> Result<(), Box<dyn Error>> {
    let stack = plan.stack;
    while all.len() < plan.jobs {
        let chunk = CHUNK.min(plan.jobs - all.len());
        stack::reserve(stack, chunk)?;
        for _ in 0..chunk {
            let coroutine = C::try_new(stack, move |yielder, turn| body(stack, yielder, turn));
            let mut coroutine = coroutine.map_err(|refused| refused.error)?;
            coroutine.resume(Turn::Yield);
            all.push(coroutine);
        }
        plan.bar.inc(chunk as u64);
    }
    Ok(())
}

fn turn_each(all: &mut [C]) {
    for i in 0..all.len() {
        if let Some(soon) = all.get(i + AHEAD) {
            soon.prefetch();
        }
        all[i].resume(Turn::Yield);
    }
}

fn finish(all: Vec<C>) {
    for mut coroutine in all {
        coroutine.resume(Turn::Finish);
    }
}
