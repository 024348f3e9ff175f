//! A synchronous parser, fed from sockets of tokio's: in jobs, and for comparison on threads
//! for blocking work.
//!
//! `cargo run --release --example sync_in_async`

use std::error::Error;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, value_parser};
use tokio::runtime::Builder;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::sleep;

use streams::senders::{self, Content};
use streams::{feed, measure};

/// JSON from many sockets at once, through a parser that blocks.
#[derive(Parser)]
struct Arguments {
    /// Streams at once
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = value_parser!(u32).range(1..=10_000))]
    streams: u32,

    /// Objects in each
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = value_parser!(u64).range(1..=1_000_000))]
    objects: u64,

    /// Bytes that a stream gets at a time
    #[arg(long, default_value_t = 1000, value_name = "BYTES", value_parser = value_parser!(u32).range(1..))]
    piece: u32,

    /// Compressed: the decoder takes most of the memory then
    #[arg(long)]
    gzip: bool,

    /// Runs of each kind, in turn; the best counts
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = value_parser!(u32).range(1..=100))]
    runs: u32,
}

type Failure = Box<dyn Error + Send + Sync>;
type Task = JoinHandle<Result<u64, Failure>>;

struct Cost {
    seconds: f64,
    cpu: f64,
    /// For each stream, while all wait.
    memory: f64,
    threads: usize,
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

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let content = Content::new(arguments.objects, arguments.gzip)?;
    let (streams, gzip) = (arguments.streams as usize, arguments.gzip);
    println!(
        "{streams} streams, each {} KiB of JSON, sent as {} KiB, {} bytes at a time",
        content.text / 1024,
        content.bytes.len() / 1024,
        arguments.piece
    );
    let (mut jobs, mut threads) = (Vec::new(), Vec::new());
    for _ in 0..arguments.runs {
        jobs.push(once(arguments, &content, |socket| spawn_local(feed::in_a_job(socket, gzip)))?);
        threads.push(once(arguments, &content, |socket| {
            spawn_local(feed::on_a_thread(socket, gzip))
        })?);
    }
    println!(
        "\n{:<20}{:>8}{:>8}{:>8}{:>14}{:>10}",
        "", "s", "MiB/s", "CPU s", "KiB for each", "threads"
    );
    for (name, costs) in [("block_on in jobs", jobs), ("spawn_blocking", threads)] {
        let seconds = costs.iter().map(|cost| cost.seconds).fold(f64::MAX, f64::min);
        let cpu = costs.iter().map(|cost| cost.cpu).fold(f64::MAX, f64::min);
        // What the first run has touched stays with the process: later ones seem cheaper.
        let memory = costs.iter().map(|cost| cost.memory).fold(0.0, f64::max);
        let rate = (content.text * streams) as f64 / seconds / f64::from(1 << 20);
        let most = costs.iter().map(|cost| cost.threads).max().unwrap_or(0);
        println!(
            "{name:<20}{seconds:>8.3}{rate:>8.0}{cpu:>8.2}{:>14.1}{most:>10}",
            memory / 1024.0
        );
    }
    println!(
        "\nJobs share one thread, the others all cores; the sender's CPU time counts in both."
    );
    println!("Memory: task, stack, parser; not the kernel's share of sockets and threads.");
    Ok(())
}

/// All streams from the first byte to the last.
fn once(
    arguments: &Arguments,
    content: &Content,
    parse: impl Fn(UnixStream) -> Task,
) -> Result<Cost, Failure> {
    let streams = arguments.streams as usize;
    let before = measure::memory();
    let (sockets, go) = senders::start(content.clone(), streams, arguments.piece as usize)?;
    let runtime =
        Builder::new_current_thread().enable_all().max_blocking_threads(streams).build()?;
    LocalSet::new().block_on(&runtime, async {
        let tasks: Vec<_> = sockets.into_iter().map(parse).collect();
        // Until each parser has seen the first piece and waits for more.
        sleep(Duration::from_millis(500)).await;
        let grown = measure::memory().saturating_sub(before);
        let (threads, start, cpu) = (measure::threads(), Instant::now(), measure::cpu_time());
        go.send(())?;
        for task in tasks {
            let sum = task.await??;
            if sum != content.sum {
                return Err(format!("{sum} instead of {}", content.sum).into());
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let cpu = measure::cpu_time() - cpu;
        Ok(Cost { seconds, cpu, memory: grown as f64 / streams as f64, threads })
    })
}
