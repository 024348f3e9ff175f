//! The parts of the example: coroutines, the same as jobs of a scheduler, what they cost,
//! and whether their guards hold.

use indicatif::ProgressBar;
use siding::stack::StackConfig;

use measure::Usage;

pub mod coroutines;
pub mod guard;
pub mod jobs;
pub mod measure;

/// Stacks that are made ready together.
pub const CHUNK: usize = 4096;

/// What is to be done.
pub struct Plan {
    pub jobs: usize,
    pub stack: StackConfig,
    pub sequential: bool,
    pub random: bool,
    /// Chooses the guards that are hit.
    pub seed: u64,
    /// Shown on a terminal, nowhere else.
    pub bar: ProgressBar,
}

impl Plan {
    pub fn step(&self, what: &'static str) {
        self.bar.set_message(what);
        self.bar.tick();
    }
}

/// What came out: nanoseconds for each, the least and the median where there are two.
#[derive(Default)]
pub struct Figures {
    pub create: f64,
    pub usage: Usage,
    pub in_order: Option<(f64, f64)>,
    pub at_random: Option<(f64, f64)>,
    pub cancel: f64,
    pub guards: [bool; 2],
    pub finish: f64,
}
