//! A million guarded stacks, and what each of them costs.
//!
//! Coroutines first, then the same as jobs of a scheduler: all are made and run to their
//! first pause, take turns in order and at random, a tenth is cancelled, two of the guards
//! are hit (in forked children, which must die of it), and the rest runs to its end.
//!
//! `cargo run --release --example million -- --help`

use std::error::Error;
use std::io::{self, Write, stdout};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, ValueEnum, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use siding::stack::{StackConfig, guard_mode};

use million::{Figures, Plan, coroutines, jobs};

/// Make many guarded coroutines and jobs, and print what each of them costs.
#[derive(Parser)]
struct Arguments {
    /// How many there are at once
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = value_parser!(u32).range(10..=10_000_000))]
    jobs: u32,

    /// KiB of stack for each of them, of which they touch one page
    #[arg(long, default_value_t = 16, value_name = "KIB", value_parser = value_parser!(u32).range(16..=1 << 20))]
    stack: u32,

    /// In which order they lie in memory that take turns
    #[arg(long, value_enum, default_value_t = Order::Both)]
    order: Order,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Order {
    /// One after the other
    Sequential,
    /// So that nobody can guess the next one
    Random,
    /// The one, then the other
    Both,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("error: a guard was hit, and did not kill");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all guards held.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} made {msg}")?;
    let count = arguments.jobs as usize;
    let (sequential, random) =
        (arguments.order != Order::Random, arguments.order != Order::Sequential);
    let runs = if random { 3 } else { 2 };
    let plan = Plan {
        jobs: count,
        // This is Rust code, which touches every page it passes: one page of guard is enough.
        stack: StackConfig::with_size((arguments.stack as usize) << 10).guard(4 << 10),
        sequential,
        random,
        seed: SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64 | 1,
        bar: ProgressBar::new(count as u64 * runs).with_style(style),
    };
    writeln!(
        stdout(),
        "{count} stacks of {} KiB, guards by {:?}; CPU times for each of them\n",
        arguments.stack,
        guard_mode(),
    )?;
    let coroutines = coroutines::run(&plan)?;
    let mut jobs = jobs::run(&plan)?;
    if random {
        jobs.at_random = Some(jobs::run_at_random(&plan)?);
    }
    plan.bar.finish_and_clear();
    report(&coroutines, &jobs, count)?;
    Ok(coroutines.guards.iter().chain(&jobs.guards).all(|&deadly| deadly))
}

fn report(coroutines: &Figures, jobs: &Figures, count: usize) -> io::Result<()> {
    let row = |name: &str, value: &dyn Fn(&Figures) -> String| {
        writeln!(stdout(), "  {name:<34}{:>20}{:>20}", value(coroutines), value(jobs))
    };
    let each = |bytes: i64| format!("{} B", bytes / count as i64);
    writeln!(stdout(), "  {:<34}{:>20}{:>20}", "", "coroutines", "scheduler's jobs")?;
    row("make, up to the first pause", &|f| format!("{:.2} us", f.create / 1e3))?;
    row("resident memory", &|f| each(f.usage.resident))?;
    row("page tables", &|f| each(f.usage.page_tables))?;
    row("both", &|f| each(f.usage.resident + f.usage.page_tables))?;
    row("slabs, mappings, all in all", &|f| format!("{}, {}", f.usage.slabs, f.usage.mappings))?;
    row("a turn, in order: min, median", &|f| turn(f.in_order))?;
    row("a turn, at random: min, median", &|f| turn(f.at_random))?;
    row("cancel a tenth", &|f| format!("{:.2} us", f.cancel / 1e3))?;
    row("two guards, at random, are", &|f| {
        f.guards.map(|deadly| if deadly { "deadly" } else { "missing" }).join(", ")
    })?;
    row("finish the rest", &|f| format!("{:.2} us", f.finish / 1e3))
}

fn turn(times: Option<(f64, f64)>) -> String {
    times.map_or("-".into(), |(min, median)| format!("{min:.1}, {median:.1} ns"))
}
