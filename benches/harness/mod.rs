//! Batches of all cases in turn, so that a noisy neighbour hits every case alike.

use std::time::Instant;

/// One thing to measure: runs `n` operations.
pub struct Case {
    /// Cases of one group are compared with each other.
    pub group: &'static str,
    /// Who does it.
    pub name: &'static str,
    run: Box<dyn FnMut(usize)>,
    samples: Vec<f64>,
}

/// Measures, interleaved, and keeps every sample.
pub struct Bench {
    pub cases: Vec<Case>,
    rounds: usize,
    batch: f64,
}

impl Bench {
    /// `--quick` takes a tenth of the time; `--test`, as `cargo test --benches` passes it,
    /// only sees that everything runs.
    pub fn from_args() -> Self {
        let has = |flag: &str| std::env::args().any(|arg| arg == flag);
        let (rounds, batch) = if has("--test") {
            (1, 1e4)
        } else if has("--quick") {
            (12, 1e6)
        } else {
            (40, 4e6)
        };
        pin_to_one_core();
        Bench { cases: Vec::new(), rounds, batch }
    }

    pub fn case(
        &mut self,
        group: &'static str,
        name: &'static str,
        run: impl FnMut(usize) + 'static,
    ) {
        self.cases.push(Case { group, name, run: Box::new(run), samples: Vec::new() });
    }

    pub fn run(&mut self) {
        let sizes: Vec<usize> = self.cases.iter_mut().map(|case| case.size(self.batch)).collect();
        for _ in 0..self.rounds {
            for (case, &n) in self.cases.iter_mut().zip(&sizes) {
                let time = case.time(n / 10 + 1, n);
                case.samples.push(time);
            }
        }
        for case in &mut self.cases {
            case.samples.sort_by(f64::total_cmp);
        }
    }

    /// One line a case: min and median in ns, and what they are of `reference`'s in the
    /// same group.
    pub fn print(&self, reference: &str) {
        println!("{:<26} {:<24} {:>8} {:>8}   of {reference}", "case", "", "min", "median");
        let mut group = "";
        for case in &self.cases {
            if case.group != group {
                group = case.group;
                println!();
            }
            let other = self.cases.iter().find(|c| c.group == case.group && c.name == reference);
            let ratio = other.map_or(String::new(), |other| {
                format!("{:>6.2} {:>6.2}", case.min() / other.min(), case.median() / other.median())
            });
            let (min, median) = (case.min(), case.median());
            println!("{:<26} {:<24} {min:>8.2} {median:>8.2}   {ratio}", case.group, case.name);
        }
    }
}

impl Case {
    pub fn min(&self) -> f64 {
        self.samples[0]
    }

    pub fn median(&self) -> f64 {
        self.samples[self.samples.len() / 2]
    }

    /// Nanoseconds an operation, over `n` of them after `warm_up`.
    fn time(&mut self, warm_up: usize, n: usize) -> f64 {
        (self.run)(warm_up);
        let start = Instant::now();
        (self.run)(n);
        start.elapsed().as_nanos() as f64 / n as f64
    }

    /// How many operations fill a batch of `batch` nanoseconds.
    fn size(&mut self, batch: f64) -> usize {
        let each = self.time(100, 1000).max(0.1);
        (batch / each).max(100.0) as usize
    }
}

/// A migration in the middle of a batch would be measured with it.
#[allow(unsafe_code)]
fn pin_to_one_core() {
    // SAFETY: a set of zeros is an empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: no preconditions.
    let core = unsafe { libc::sched_getcpu() };
    // SAFETY: a core that the kernel has just named lies within the set.
    unsafe { libc::CPU_SET(core.max(0) as usize, &mut set) };
    // SAFETY: the set is read, and outlives the call.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
}
