//! What belongs to the thread and not to the job, unless the job asks for its own.

use std::ffi::c_int;
use std::hint::black_box;

use siding::job::{Job, Options};

#[path = "../common/errno.rs"]
mod location;

use super::{OnDrop, finished, pause, paused, start};

unsafe extern "C" {
    safe fn fesetround(mode: c_int) -> c_int;
}

const TO_NEAREST: c_int = 0;

/// Each architecture has its own number for this mode.
fn round_up() {
    let found = [0x800, 0x40_0000, 2, 3].into_iter().find(|mode| {
        let known = fesetround(*mode) == 0;
        known && rounds_up()
    });
    assert!(found.is_some());
}

fn rounds_up() -> bool {
    black_box(1.0) + black_box(1e-30) > black_box(1.0)
}

/// Rounds to nearest again at the end of a test, whatever becomes of it.
fn rounding() -> OnDrop<impl FnMut()> {
    assert!(!rounds_up());
    OnDrop(|| assert_eq!(fesetround(TO_NEAREST), 0))
}

const OWN: Options = Options::new().save_fp_control(true);

/// A paused job that has set its rounding mode, and returns what it finds afterwards.
fn rounding_up(options: &Options) -> Job<bool> {
    let body = || {
        round_up();
        pause();
        rounds_up()
    };
    paused(options.start(body).unwrap())
}

/// A paused job that returns how it finds the rounding mode when it goes on.
fn looking(options: &Options) -> Job<bool> {
    let body = || {
        pause();
        rounds_up()
    };
    paused(options.start(body).unwrap())
}

#[test]
fn a_rounding_mode_set_in_a_job_with_its_own_stays_inside_when_it_pauses() {
    let _nearest = rounding();
    let _job = rounding_up(&OWN);
    assert!(!rounds_up());
}

#[test]
fn a_rounding_mode_set_in_a_job_with_its_own_is_there_again_when_it_goes_on() {
    let _nearest = rounding();
    assert!(finished(rounding_up(&OWN).resume()));
}

#[test]
fn a_rounding_mode_set_in_a_job_with_its_own_stays_inside_when_it_finishes() {
    let _nearest = rounding();
    finished(OWN.start(round_up).unwrap());
    assert!(!rounds_up());
}

#[test]
fn a_rounding_mode_set_in_a_job_with_its_own_stays_inside_when_it_panics() {
    let _nearest = rounding();
    let body = || {
        round_up();
        panic!("while rounding up");
    };
    super::panic_of(|| OWN.start::<(), _>(body));
    assert!(!rounds_up());
}

#[test]
fn a_rounding_mode_set_in_a_job_with_its_own_stays_inside_when_it_is_cancelled() {
    let _nearest = rounding();
    let (seen, inside) = super::shared(false);
    let body = || {
        round_up();
        let _look = OnDrop(move || inside.set(rounds_up()));
        pause();
    };
    drop(paused(OWN.start(body).unwrap()));
    assert!(seen.get(), "inside");
    assert!(!rounds_up(), "outside");
}

#[test]
fn a_rounding_mode_set_outside_does_not_reach_a_job_with_its_own() {
    let _nearest = rounding();
    let job = looking(&OWN);
    round_up();
    assert!(!finished(job.resume()));
    assert!(rounds_up());
}

#[test]
fn a_job_with_its_own_starts_with_the_rounding_mode_of_its_starter() {
    let _nearest = rounding();
    round_up();
    assert!(finished(OWN.start(rounds_up).unwrap()));
}

#[test]
fn nested_jobs_with_their_own_keep_three_rounding_modes_apart() {
    let _nearest = rounding();
    let body = || {
        round_up();
        let inner = paused(
            OWN.start(|| {
                fesetround(TO_NEAREST);
                pause();
                rounds_up()
            })
            .unwrap(),
        );
        let outer_sees = rounds_up();
        pause();
        (outer_sees, rounds_up(), finished(inner.resume()))
    };
    let outer = paused(OWN.start(body).unwrap());
    assert!(!rounds_up());
    assert_eq!(finished(outer.resume()), (true, true, false));
}

#[test]
fn without_the_option_a_rounding_mode_set_inside_is_seen_outside() {
    let _nearest = rounding();
    let _job = rounding_up(&Options::new());
    assert!(rounds_up());
}

#[test]
fn without_the_option_a_rounding_mode_set_outside_is_seen_inside() {
    let _nearest = rounding();
    let job = looking(&Options::new());
    round_up();
    assert!(finished(job.resume()));
}

#[test]
fn the_next_job_in_the_same_place_shares_unless_it_asks() {
    let _nearest = rounding();
    finished(OWN.start(|| ()).unwrap());
    finished(start(round_up));
    assert!(rounds_up());
}

fn errno() -> &'static std::cell::Cell<c_int> {
    // SAFETY: this thread's errno, which lives as long as the thread.
    unsafe { &*location::errno().cast() }
}

#[test]
fn errno_flows_out_of_a_job_that_finishes() {
    finished(start(|| ()));
    errno().set(0);
    finished(start(|| errno().set(71)));
    assert_eq!(errno().get(), 71);
}

#[test]
fn errno_flows_out_of_a_job_that_pauses_and_into_one_that_goes_on() {
    let job = start(|| {
        errno().set(72);
        pause();
        errno().get()
    });
    assert_eq!(errno().get(), 72);
    let job = paused(job);
    errno().set(73);
    assert_eq!(finished(job.resume()), 73);
}

#[test]
fn a_job_on_a_new_stack_starts_with_the_errno_of_its_starter() {
    let fresh = Options::new().stack(siding::stack::StackConfig::with_size(123 << 10));
    errno().set(74);
    assert_eq!(finished(fresh.start(|| errno().get()).unwrap()), 74);
}
