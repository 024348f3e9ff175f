//! Signs the SHA-256 digest of every chunk of some files with ECDSA P-256 and verifies every
//! signature. Signing happens on worker threads; who waits for them is what `--mode` is
//! about: paused jobs on one thread, blocked threads, or a thread that does one at a time.
//!
//! `cargo run --release --example offload -- --help`

use std::error::Error;
use std::io::{self, IsTerminal, Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, thread};

use clap::{Parser, ValueEnum, value_parser};
use indicatif::{ProgressBar, ProgressStyle};

use parts::measure::{self, Usage};
use parts::work::Run;
use parts::{chunks, modes};

/// Sign the chunks of files on worker threads and verify every signature.
#[derive(Parser)]
struct Arguments {
    /// Files, or directories of files [default: the sources of this example's package]
    files: Vec<PathBuf>,

    /// Who waits while a worker signs
    #[arg(long, value_enum, default_value_t = Mode::Jobs)]
    mode: Mode,

    /// Most jobs (or threads) at once
    #[arg(long, default_value_t = 2000, value_name = "N", value_parser = value_parser!(u32).range(1..=1_000_000))]
    jobs: u32,

    /// Threads that sign and verify [default: one a core]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1024))]
    workers: Option<u32>,

    /// Bytes that each signature covers
    #[arg(long, default_value_t = 128, value_name = "BYTES", value_parser = value_parser!(u32).range(1..))]
    chunk: u32,

    /// Pretend that the signer is this many milliseconds away
    #[arg(long, default_value_t = 0, value_name = "MS", value_parser = value_parser!(u64).range(..=60_000))]
    latency: u64,

    /// Show the jobs live, with --mode jobs on a terminal; q ends that
    #[arg(long)]
    watch: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Mode {
    /// Jobs of one thread, paused while they wait
    Jobs,
    /// One thread, which does one signature at a time
    Blocking,
    /// As many threads as there may be jobs
    Threads,
}

/// With some more the standard library aborts: each thread takes four mappings, and there
/// are 65,530 for a process.
const MOST_THREADS: usize = 10_000;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            // What is wrong, in one line and without the usage.
            let text = error.to_string();
            let lines: Vec<_> = text.lines().map(str::trim).take_while(|l| !l.is_empty()).collect();
            eprintln!("{}", lines.join(" "));
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let (mode, at_once) = (arguments.mode, arguments.jobs as usize);
    if mode == Mode::Threads && at_once > MOST_THREADS {
        return Err(format!("{at_once} threads are too many, {MOST_THREADS} are enough").into());
    }
    let cores = thread::available_parallelism()?.get();
    let workers = arguments.workers.map_or(cores, |workers| workers as usize);
    let (files, chunks) = chunks::read(&arguments.files, arguments.chunk as usize)?;
    let total = chunks.len();
    let at_once = if mode == Mode::Blocking { 1 } else { total.min(at_once) };
    writeln!(stdout(), "{files}: {total} chunks of up to {} bytes", arguments.chunk)?;
    writeln!(stdout(), "{}: up to {at_once} at once, {workers} workers", mode.name())?;

    let latency = Duration::from_millis(arguments.latency);
    let watch = arguments.watch && mode == Mode::Jobs && stdout().is_terminal();
    let bar = if watch { ProgressBar::hidden() } else { progress_bar(total as u64)? };
    let run = Arc::new(Run::new(chunks, at_once, latency, bar));
    let (start, before) = (Instant::now(), Usage::now());
    let done = match mode {
        Mode::Jobs => modes::jobs(&run, workers, watch),
        Mode::Blocking => modes::blocking(&run, workers),
        Mode::Threads => modes::threads(&run, workers),
    };
    let (time, usage) = (start.elapsed(), Usage::now() - before);
    run.bar.finish_and_clear();
    done?;
    report(&run, mode, time, &usage)?;
    run.outcome()
}

fn report(run: &Run, mode: Mode, time: Duration, usage: &Usage) -> io::Result<()> {
    let row = |name: &str, value: fmt::Arguments<'_>| writeln!(stdout(), "  {name:<32}{value}");
    let verified = run.verified() as f64;
    writeln!(stdout())?;
    row("chunks", format_args!("{}", run.total()))?;
    row("signatures verified", format_args!("{}", run.verified()))?;
    row("wall time", format_args!("{:.2} s", time.as_secs_f64()))?;
    row("signatures/s", format_args!("{:.0}", verified / time.as_secs_f64()))?;
    row("CPU time", format_args!("{usage}"))?;
    row("CPU time a chunk", format_args!("{:.0} us", usage.cpu().as_secs_f64() / verified * 1e6))?;
    row("thread switches by the kernel", format_args!("{}", usage.switches))?;
    row(mode.peak(), format_args!("{}", run.most_waiting()))?;
    match run.memory_each() {
        Some(bytes) => row("memory for each of them", format_args!("{:.1} KiB", bytes / 1024.0))?,
        None => row("memory for each of them", format_args!("not measured below 100"))?,
    }
    if mode == Mode::Jobs {
        row("one pause and resume", format_args!("{:.1} ns", measure::pause_and_resume()))?;
    }
    writeln!(stdout(), "\n{}", mode.remark())
}

fn progress_bar(total: u64) -> Result<ProgressBar, Box<dyn Error>> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} verified, {msg}")?;
    Ok(ProgressBar::new(total).with_style(style))
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Jobs => "jobs on one thread",
            Mode::Blocking => "one blocking thread",
            Mode::Threads => "blocking threads",
        }
    }

    fn peak(self) -> &'static str {
        match self {
            Mode::Jobs => "most jobs paused at once",
            Mode::Blocking | Mode::Threads => "most threads blocked at once",
        }
    }

    /// What to make of the figures.
    fn remark(self) -> &'static str {
        match self {
            Mode::Jobs => {
                "Signing takes the workers as long in every mode; jobs make waiting cheap.\n\
                 Compare --mode threads and --mode blocking, then each with --latency 50."
            }
            Mode::Threads => {
                "The memory is without the threads' kernel stacks, which no process is shown.\n\
                 Signing takes the workers as long in every mode. Compare --mode jobs."
            }
            Mode::Blocking => "No more than one worker was busy at any time. Compare --mode jobs.",
        }
    }
}
