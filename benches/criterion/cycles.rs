//! The cases of `single` in ticks of the processor's counter: `rdtsc`, `cntvct_el0`, `rdtime`,
//! `mftb`, `stck`, which programs may read on any Linux. It runs at a frequency of its own, printed first,
//! whatever that of the core is at the moment; the core's cycles are in `ci/bench`'s table
//! where the kernel gives access to them.
//!
//! `cargo bench --bench cycles`

use std::time::{Duration, Instant};

use criterion::measurement::{Measurement, ValueFormatter};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

mod cases;

#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
mod counter {
    #[cfg(target_arch = "x86")]
    use core::arch::x86::{_mm_lfence, _rdtsc};
    #[cfg(target_arch = "x86_64")]
    use core::arch::x86_64::{_mm_lfence, _rdtsc};

    pub const NAME: &str = "rdtsc";

    pub fn read() -> u64 {
        // SAFETY: every processor with SSE2 has it.
        unsafe { _mm_lfence() };
        // SAFETY: Linux lets programs read it.
        let ticks = unsafe { _rdtsc() };
        // SAFETY: as above.
        unsafe { _mm_lfence() };
        ticks
    }
}

#[cfg(target_arch = "aarch64")]
mod counter {
    pub const NAME: &str = "cntvct_el0";

    pub fn read() -> u64 {
        let ticks;
        // SAFETY: Linux lets programs read it.
        unsafe { core::arch::asm!("isb", "mrs {}, cntvct_el0", "isb", out(reg) ticks) };
        ticks
    }
}

#[cfg(target_arch = "riscv64")]
mod counter {
    /// Not `rdcycle`, which newer kernels keep for themselves.
    pub const NAME: &str = "rdtime";

    pub fn read() -> u64 {
        let ticks;
        // SAFETY: Linux lets programs read it.
        unsafe { core::arch::asm!("fence", "rdtime {}", "fence", out(reg) ticks) };
        ticks
    }
}

#[cfg(target_arch = "s390x")]
mod counter {
    /// It waits for what comes before it, as does what comes after.
    pub const NAME: &str = "stck";

    pub fn read() -> u64 {
        let mut ticks = 0;
        // SAFETY: stores the time of day, which programs may ask for, into the local.
        unsafe { core::arch::asm!("stck 0({})", in(reg_addr) &raw mut ticks) };
        ticks
    }
}

#[cfg(target_arch = "powerpc64")]
mod counter {
    pub const NAME: &str = "mftb";

    pub fn read() -> u64 {
        let ticks;
        // SAFETY: Linux lets programs read it.
        unsafe { core::arch::asm!("isync", "mfspr {}, 268", "isync", out(reg) ticks) };
        ticks
    }
}

#[cfg(target_arch = "arm")]
mod counter {
    pub const NAME: &str = "cntvct";

    pub fn read() -> u64 {
        let (low, high): (u32, u32);
        // SAFETY: Linux lets programs read it, where the processor has it: ARMv7 with the
        // virtualization extensions, and ARMv8.
        unsafe {
            core::arch::asm!("isb", "mrrc p15, 1, {}, {}, c14", "isb", out(reg) low, out(reg) high);
        }
        u64::from(high) << 32 | u64::from(low)
    }
}

struct Ticks;

impl Measurement for Ticks {
    type Intermediate = u64;
    type Value = u64;

    fn start(&self) -> u64 {
        counter::read()
    }

    fn end(&self, start: u64) -> u64 {
        counter::read() - start
    }

    fn add(&self, a: &u64, b: &u64) -> u64 {
        a + b
    }

    fn zero(&self) -> u64 {
        0
    }

    fn to_f64(&self, value: &u64) -> f64 {
        *value as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &Ticks
    }
}

impl ValueFormatter for Ticks {
    fn scale_values(&self, _: f64, _: &mut [f64]) -> &'static str {
        "ticks"
    }

    fn scale_throughputs(&self, _: f64, _: &Throughput, _: &mut [f64]) -> &'static str {
        "ticks"
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        "ticks"
    }
}

/// Ticks a second, by the clock.
fn frequency() -> f64 {
    let (start, ticks) = (Instant::now(), counter::read());
    std::thread::sleep(Duration::from_millis(200));
    let (time, ticks) = (start.elapsed(), counter::read() - ticks);
    ticks as f64 / time.as_secs_f64()
}

fn all(c: &mut Criterion<Ticks>) {
    println!("ticks of {}, {:.3} GHz", counter::NAME, frequency() * 1e-9);
    cases::all(c);
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(Ticks);
    targets = all
}
criterion_main!(benches);
