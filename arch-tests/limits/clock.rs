//! The clocks of this program may be set: `clock_gettime` is its own.

use std::sync::atomic::AtomicI64;
use std::time::SystemTime;

use super::*;

/// Seconds that are added to the clocks of the system.
static MONOTONIC: AtomicI64 = AtomicI64::new(0);
static REAL: AtomicI64 = AtomicI64::new(0);

/// In place of libc's, for all of std.
///
/// # Safety
/// As clock_gettime(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> i32 {
    // SAFETY: by this function's contract.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as i32;
    // SAFETY: by this function's contract.
    if let (0, Some(time)) = (result, unsafe { time.as_mut() }) {
        time.tv_sec = time.tv_sec.wrapping_add(added(clock) as _);
    }
    result
}

/// The same with 64 bits: what std calls where glibc's own type has fewer.
///
/// # Safety
/// As clock_gettime(2).
#[cfg(target_pointer_width = "32")]
#[unsafe(no_mangle)]
unsafe extern "C" fn __clock_gettime64(clock: libc::clockid_t, time: *mut [i64; 2]) -> i32 {
    /// The same number on all that have it.
    const CLOCK_GETTIME64: libc::c_long = 403;
    // SAFETY: by this function's contract.
    let result = unsafe { libc::syscall(CLOCK_GETTIME64, clock, time) } as i32;
    // SAFETY: by this function's contract.
    if let (0, Some([seconds, _])) = (result, unsafe { time.as_mut() }) {
        *seconds += added(clock);
    }
    result
}

fn added(clock: libc::clockid_t) -> i64 {
    match clock {
        libc::CLOCK_MONOTONIC => MONOTONIC.load(Relaxed),
        libc::CLOCK_REALTIME => REAL.load(Relaxed),
        _ => 0,
    }
}

const DAY: i64 = 24 * 60 * 60;

/// A job that sleeps, one that waits for a descriptor until an instant, and one that sets the
/// clock when both wait. What the two got, and whether it came soon.
fn around(set: fn()) -> (bool, Result<(), WaitError>, bool) {
    let scheduler = Scheduler::new().unwrap();
    let (reader, _writer) = UnixStream::pair().unwrap();
    let sleeps = scheduler.spawn(|| sleep(Duration::from_millis(20)).is_ok()).unwrap();
    let until = Instant::now() + Duration::from_millis(20);
    let reads = scheduler.spawn(move || wait_fd(&reader, Interest::Readable, Some(until))).unwrap();
    scheduler.spawn(set).unwrap();
    let stopwatch = thread::spawn(|| thread::sleep(Duration::from_secs(30)));
    scheduler.run().unwrap();
    let soon = !stopwatch.is_finished();
    (sleeps.join().unwrap(), reads.join().unwrap(), soon)
}

fn as_if_nothing_happened(set: fn()) {
    common::passes(move || {
        let (slept, read, soon) = around(set);
        assert!(
            slept && matches!(read, Err(WaitError::TimedOut)) && soon,
            "{slept} {read:?} {soon}"
        );
        all_is_well();
    });
}

#[test]
fn the_time_of_day_does_not_matter() {
    as_if_nothing_happened(|| REAL.store(DAY, Relaxed));
    as_if_nothing_happened(|| REAL.store(-DAY, Relaxed));
    // It can be set, or this shows nothing.
    common::passes(|| {
        let before = SystemTime::now();
        REAL.store(-DAY, Relaxed);
        assert!(SystemTime::now() < before);
    });
}

/// As after a migration of a virtual machine: what was to be waited for has come.
#[test]
fn a_leap_of_the_monotonic_clock_ends_the_waits_it_passes() {
    as_if_nothing_happened(|| MONOTONIC.store(365 * DAY, Relaxed));
}

/// Which cannot be, but has been seen. A second: a deadline is that much later then.
#[test]
fn a_step_back_of_the_monotonic_clock_only_delays() {
    as_if_nothing_happened(|| MONOTONIC.store(-1, Relaxed));
}
