//! What a run costs, from the kernel's books and by the clock.

use std::fmt;
use std::fs;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ops::Sub;
use std::time::{Duration, Instant};

use siding::job::{self, Job, Progress};

/// Bytes of memory this process occupies, its page tables included.
pub fn memory() -> u64 {
    // `smaps_rollup` counts exactly; `statm` may be off by some pages a core.
    field("/proc/self/smaps_rollup", "Rss:") + field("/proc/self/status", "VmPTE:")
}

/// A number of kB; 0 where the kernel does not tell.
fn field(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse().ok()).unwrap_or(0) * 1024
}

/// CPU time and what the kernel's scheduler did, for the whole process.
pub struct Usage {
    user: Duration,
    system: Duration,
    /// How often a thread was put aside for another.
    pub switches: i64,
}

impl Usage {
    pub fn now() -> Self {
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: a live rusage to be filled in.
        #[allow(unsafe_code)]
        let rc = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
        assert_eq!(rc, 0, "getrusage knows RUSAGE_SELF");
        // SAFETY: zeroes are a valid rusage, and so is what the kernel wrote.
        #[allow(unsafe_code)]
        let usage = unsafe { usage.assume_init() };
        Usage {
            user: duration(usage.ru_utime),
            system: duration(usage.ru_stime),
            switches: usage.ru_nvcsw + usage.ru_nivcsw,
        }
    }

    pub fn cpu(&self) -> Duration {
        self.user + self.system
    }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}

impl Sub for Usage {
    type Output = Usage;

    fn sub(self, before: Usage) -> Usage {
        Usage {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
            switches: self.switches - before.switches,
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [all, user, system] = [self.cpu(), self.user, self.system].map(|t| t.as_secs_f64());
        write!(f, "{all:.2} s ({user:.2} user, {system:.2} system)")
    }
}

/// Nanoseconds for one pause and resume of a job that pauses in a function of its own:
/// the best of some batches, because others use this machine too.
pub fn pause_and_resume() -> f64 {
    const BATCHES: usize = 20;
    const TRIPS: usize = 20_000;

    #[inline(never)]
    fn pause() -> bool {
        black_box(job::pause().is_ok())
    }
    let Ok(Progress::Paused(mut job)) = job::start(|| while pause() {}) else { return f64::NAN };
    let mut best = Duration::MAX;
    for _ in 0..BATCHES {
        let start = Instant::now();
        for _ in 0..TRIPS {
            job = resumed(job);
        }
        best = best.min(start.elapsed());
    }
    best.as_nanos() as f64 / TRIPS as f64
}

#[inline(always)]
fn resumed(job: Job<()>) -> Job<()> {
    match job.resume() {
        Progress::Paused(job) => job,
        Progress::Finished(()) => unreachable!("it pauses for ever"),
    }
}
