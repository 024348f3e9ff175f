//! What it costs, from the kernel's books and by the clock.

use std::fs;
use std::mem::MaybeUninit;
use std::ops::Sub;
use std::time::Duration;

use siding::stack;

/// What this process occupies.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    pub resident: i64,
    pub page_tables: i64,
    pub mappings: i64,
    pub slabs: i64,
}

impl Usage {
    pub fn now() -> Self {
        Usage {
            // `smaps_rollup` counts exactly; `statm` may be off by some pages a core.
            resident: field("/proc/self/smaps_rollup", "Rss:"),
            page_tables: field("/proc/self/status", "VmPTE:"),
            mappings: fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count())
                as i64,
            slabs: stack::stats().slabs as i64,
        }
    }
}

impl Sub for Usage {
    type Output = Usage;

    fn sub(self, before: Usage) -> Usage {
        Usage {
            resident: self.resident - before.resident,
            page_tables: self.page_tables - before.page_tables,
            mappings: self.mappings - before.mappings,
            slabs: self.slabs - before.slabs,
        }
    }
}

/// A number of kB, in bytes; 0 where the kernel does not tell.
fn field(file: &str, name: &str) -> i64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse().ok()).unwrap_or(0) * 1024
}

/// Nanoseconds of CPU time for each of `count`, of this thread, the kernel's work for it
/// included: other programs have less influence on that than on time as it passes.
pub fn time_each(count: usize, run: impl FnOnce()) -> f64 {
    let start = cpu_time();
    run();
    (cpu_time() - start).as_nanos() as f64 / count as f64
}

/// The least and the median of many rounds over `count`, of each round's time for one.
pub fn rounds(count: usize, mut round: impl FnMut()) -> (f64, f64) {
    const TURNS: usize = 200_000;
    let repeat = TURNS.div_ceil(count);
    let time = |_| time_each(count * repeat, || (0..repeat).for_each(|_| round()));
    let mut times: Vec<f64> = (0..if repeat == 1 { 7 } else { 30 }).map(time).collect();
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}

#[allow(unsafe_code)]
fn cpu_time() -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: a live timespec to be filled in.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, time.as_mut_ptr()) };
    // SAFETY: zeroes are a valid timespec, and so is what the kernel wrote.
    let time = unsafe { time.assume_init() };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Puts them into an order that no prefetcher guesses; the same one each time.
pub fn shuffle<T>(items: &mut [T]) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for i in (1..items.len()).rev() {
        items.swap(i, random.below(i + 1));
    }
}

/// Marsaglia's xorshift.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        for shift in [13, -7, 17] {
            self.0 ^= if shift > 0 { self.0 << shift } else { self.0 >> -shift };
        }
        (self.0 % limit as u64) as usize
    }
}
