//! Batches of all cases in turn, so that a noisy neighbour hits every case alike.

use std::io;
use std::mem::MaybeUninit;
use std::time::Instant;

use perf_event::events::Hardware;
use perf_event::{Builder, Counter, Group};

use crate::row::Row;

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Batches of each case.
    pub rounds: usize,
    /// Nanoseconds of a batch.
    pub batch: f64,
}

impl Effort {
    pub const FULL: Effort = Effort { rounds: 60, batch: 4e6 };
    pub const QUICK: Effort = Effort { rounds: 8, batch: 1e6 };
}

/// Seconds since some moment.
pub type Clock = fn() -> f64;

/// One thing to measure: runs `n` operations.
struct Case {
    row: Row,
    clock: Clock,
    /// Operations of a batch at least.
    least: usize,
    run: Box<dyn FnMut(usize)>,
    samples: Vec<f64>,
}

/// Measures, interleaved, and keeps every sample.
pub struct Bench {
    section: &'static str,
    effort: Effort,
    cases: Vec<Case>,
}

impl Bench {
    pub fn new(section: &'static str, effort: Effort) -> Self {
        Bench { section, effort, cases: Vec::new() }
    }

    /// By the CPU time of this thread: what else runs on its core is not counted.
    pub fn case(&mut self, name: &str, who: &str, run: impl FnMut(usize) + 'static) {
        self.case_by(thread_time, 100, name, who, run);
    }

    pub fn case_by(
        &mut self,
        clock: Clock,
        least: usize,
        name: &str,
        who: &str,
        run: impl FnMut(usize) + 'static,
    ) {
        let row = Row::new(self.section, name, who);
        self.cases.push(Case { row, clock, least, run: Box::new(run), samples: Vec::new() });
    }

    /// A row for each case. What the cases hold is left alone: jobs that never finish.
    pub fn run(mut self) -> Vec<Row> {
        let sizes: Vec<usize> =
            self.cases.iter_mut().map(|case| case.size(self.effort.batch)).collect();
        for _ in 0..self.effort.rounds {
            for (case, &n) in self.cases.iter_mut().zip(&sizes) {
                let time = case.time(n / 10 + 1, n);
                case.samples.push(time);
            }
        }
        let mut counters = Counters::open().ok();
        for (case, &n) in self.cases.iter_mut().zip(&sizes) {
            (case.row.min, case.row.median) = least_and_median(&mut case.samples);
            if let Some(counters) = &mut counters {
                case.row.counted = counters.count(n, &mut case.run).unwrap_or([f64::NAN; 3]);
            }
        }
        let rows = self.cases.iter().map(|case| case.row.clone()).collect();
        std::mem::forget(self.cases);
        rows
    }
}

impl Case {
    /// Nanoseconds an operation, over `n` of them after `warm_up`.
    fn time(&mut self, warm_up: usize, n: usize) -> f64 {
        (self.run)(warm_up);
        let start = (self.clock)();
        (self.run)(n);
        ((self.clock)() - start) * 1e9 / n as f64
    }

    /// How many operations fill a batch of `batch` nanoseconds.
    fn size(&mut self, batch: f64) -> usize {
        let each = self.time(100, 1000).max(0.1);
        ((batch / each) as usize).max(self.least)
    }
}

pub fn least_and_median(samples: &mut [f64]) -> (f64, f64) {
    samples.sort_by(f64::total_cmp);
    (samples[0], samples[samples.len() / 2])
}

pub fn wall_time() -> f64 {
    thread_local!(static BEGIN: Instant = Instant::now());
    BEGIN.with(|begin| begin.elapsed().as_secs_f64())
}

pub fn thread_time() -> f64 {
    cpu_time(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Of all threads together.
pub fn process_time() -> f64 {
    cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn cpu_time(clock: libc::clockid_t) -> f64 {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: a live timespec to be filled in.
    unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    // SAFETY: zeroes are a valid timespec, and so is what the kernel wrote.
    let time = unsafe { time.assume_init() };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// The processor's own counters, where the kernel gives access to them: on most virtual
/// machines there are none.
pub struct Counters {
    group: Group,
    events: [Counter; 3],
}

impl Counters {
    pub fn open() -> io::Result<Self> {
        let mut group = Group::new()?;
        let mut add = |event| group.add(&Builder::new(event));
        let events = [
            add(Hardware::CPU_CYCLES)?,
            add(Hardware::INSTRUCTIONS)?,
            add(Hardware::BRANCH_MISSES)?,
        ];
        Ok(Counters { group, events })
    }

    /// Cycles, instructions and mispredicted branches an operation.
    fn count(&mut self, n: usize, run: &mut dyn FnMut(usize)) -> io::Result<[f64; 3]> {
        self.group.reset()?;
        self.group.enable()?;
        run(n);
        self.group.disable()?;
        let counts = self.group.read()?;
        Ok([0, 1, 2].map(|i| counts[&self.events[i]] as f64 / n as f64))
    }
}

/// A migration in the middle of a batch would be measured with it.
pub fn pin_to_one_core() {
    // SAFETY: a set of zeros is an empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: no preconditions.
    let core = unsafe { libc::sched_getcpu() };
    // SAFETY: a core that the kernel has just named lies within the set.
    unsafe { libc::CPU_SET(core.max(0) as usize, &mut set) };
    // SAFETY: the set is read, and outlives the call.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
}
