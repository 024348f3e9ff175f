//! Pools that are set up again or freed while they are in use.

use std::ffi::c_int;

use crate::api::*;
use crate::common;

/// How many jobs can be paused in addition, up to `most`; then they run to their ends.
fn room(most: usize) -> usize {
    let start = |_| {
        let mut job = Job::new();
        (job.start(|| pause_then(0)) == Pause).then_some(job)
    };
    let mut jobs: Vec<Job> = (0..most).map_while(start).collect();
    jobs.iter_mut().for_each(|job| _ = job.finish());
    jobs.len()
}

#[test]
fn a_limit_above_int_max_is_refused() {
    for max_size in [c_int::MAX as usize + 1, usize::MAX] {
        for init_size in [0, 1, max_size] {
            assert_eq!(init(max_size, init_size), 0);
            assert_raised(INVALID_POOL_SIZE);
        }
    }
    on_a_thread(|| assert_eq!(init(c_int::MAX as usize, 1), 1));
}

#[test]
fn a_second_init_adjusts_the_pool() {
    on_a_thread(|| {
        assert_eq!((init(1, 1), room(9)), (1, 1));
        assert_eq!((init(1, 0), room(9)), (1, 1)); // not one more
        assert_eq!((init(4, 4), room(9)), (1, 4));
        let mut jobs = [Job::paused(1), Job::paused(2)];
        assert_eq!((init(2, 0), room(9)), (1, 0)); // paused ones count
        assert_eq!((init(3, 3), room(9)), (1, 1));
        jobs.iter_mut().for_each(|job| _ = job.finish());
        assert_eq!((init(0, 0), room(9)), (1, 9));
    });
}

#[test]
fn a_second_init_does_not_leak() {
    common::passes(|| {
        let memory = || {
            init(64, 64);
            let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
            statm.split(' ').next().unwrap().parse::<usize>().unwrap()
        };
        // Each of them has 64 stacks. What the test itself needs is little.
        let first = memory();
        let leaked = 64 * (256 << 10) / 4096;
        for _ in 0..50 {
            assert!(memory() < first + leaked / 8);
        }
    });
}

#[test]
fn init_inside_a_job_adjusts_the_pool() {
    on_a_thread(|| {
        let mut first = Job::new();
        first.start(|| pause_then(init(2, 2)));
        assert_eq!(room(9), 1);
        let mut second = Job::new();
        second.start(|| pause_then(init(3, 0)));
        assert_eq!(room(9), 1);
        assert_eq!((first.finish(), second.finish()), (1, 1));
        assert_eq!(room(9), 3);
    });
}

#[test]
fn paused_jobs_outlive_a_cleanup() {
    on_a_thread(|| {
        let mut jobs: Vec<Job> = (0..10).map(Job::paused).collect();
        cleanup_thread();
        for (n, job) in jobs.iter_mut().enumerate() {
            assert!(!wait_ctx_of(job.handle).is_null());
            assert_eq!(job.finish(), n as c_int);
        }
        assert_quiet();
        assert_eq!(room(5), 5);
        assert_eq!((init(1, 1), room(5)), (1, 1));
    });
}

#[test]
fn a_cleanup_inside_a_job_leaves_it_alone() {
    on_a_thread(|| {
        init(3, 3);
        let mut outer = Job::new();
        outer.start(|| {
            let mut inner = Job::new();
            inner.start(|| {
                let before = current();
                cleanup_thread();
                assert_eq!(current(), before);
                pause_then(2)
            });
            cleanup_thread();
            assert!(!current().is_null());
            inner.finish() + pause_then(3)
        });
        assert_eq!(outer.finish(), 5);
        assert_eq!(room(5), 5);
    });
}
