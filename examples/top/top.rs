//! A running scheduler, live in the terminal: jobs by state, turns, pauses and wakes a second,
//! how deep stacks were used.
//!
//! `cargo run --release --example top -- --help`; q ends it.

use std::cell::Cell;
use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::{Parser, value_parser};
use siding::offload::offload;
use siding::scheduler::{Scheduler, Spawner, WaitError, sleep, yield_now};

/// Run jobs that wait, offload and take turns, and show their scheduler.
#[derive(Parser)]
struct Arguments {
    /// How many jobs there are
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = value_parser!(u32).range(1..=1_000_000))]
    jobs: u32,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let scheduler = Scheduler::new()?;
    let stop = Rc::new(Cell::new(false));
    spawn_work(&scheduler, arguments.jobs, &stop)?;
    let spawner = scheduler.spawner();
    let watched = scheduler.spawn(move || {
        let end = watch::job(spawner);
        stop.set(true);
        end
    });
    scheduler.run()?;
    Ok(watched.map_err(|refused| refused.error)?.join()??)
}

/// Jobs of four kinds, until `stop` is set.
fn spawn_work(
    scheduler: &Scheduler,
    jobs: u32,
    stop: &Rc<Cell<bool>>,
) -> Result<(), Box<dyn Error>> {
    for number in 0..jobs {
        let (stop, spawner) = (Rc::clone(stop), scheduler.spawner());
        let work = move || while !stop.get() && work(number, &spawner).is_ok() {};
        scheduler.spawn(work).map_err(|refused| refused.error)?;
    }
    Ok(())
}

fn work(number: u32, spawner: &Spawner) -> Result<(), WaitError> {
    match number % 10 {
        0 => drop(offload(move || deep(number % 7))),
        1 => drop(spawner.spawn(move || deep(number % 6))),
        2 => (0..100).try_for_each(|_| yield_now())?,
        _ => drop(std::hint::black_box(deep(number % 5))),
    }
    sleep(Duration::from_millis(10 + u64::from(number) % 90))
}

/// Uses some of the stack.
fn deep(levels: u32) -> u8 {
    let room = std::hint::black_box([levels as u8; 6000]);
    let below = if levels == 0 { 0 } else { deep(levels - 1) };
    room[levels as usize].wrapping_add(below)
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use watch::{Sample, Watch};

    use super::*;

    /// The picture of a scheduler with `jobs` jobs after some turns, as text.
    fn picture(jobs: u32) -> String {
        let scheduler = Scheduler::new().unwrap();
        let stop = Rc::new(Cell::new(false));
        spawn_work(&scheduler, jobs, &stop).unwrap();
        let mut watch = Watch::new(Terminal::new(TestBackend::new(100, 30)).unwrap());
        for _ in 0..3 {
            scheduler.turn(Some(Duration::from_millis(1))).unwrap();
            watch.draw(Sample::take(Some(scheduler.stats()))).unwrap();
        }
        stop.set(true);
        scheduler.run().unwrap();
        watch.backend().to_string()
    }

    /// The number that stands behind `name`.
    fn number(picture: &str, name: &str) -> u64 {
        let (_, rest) = picture.split_once(name).unwrap_or_else(|| panic!("{name}: {picture}"));
        let word = rest.split_whitespace().find(|word| word.parse::<u64>().is_ok());
        word.unwrap().parse().unwrap()
    }

    #[test]
    fn a_picture_shows_jobs_turns_and_stacks() {
        let picture = picture(200);
        assert!(number(&picture, "waiting ") + number(&picture, "ready ") >= 200, "{picture}");
        assert!(number(&picture, "turns ") > 0, "{picture}");
        assert!(number(&picture, "in use ") >= 200, "{picture}");
        assert!(picture.contains("high-water marks"), "{picture}");
        assert!(picture.contains('█'), "{picture}");
    }
}
