//! A limit on live jobs: failing, waiting, and in which order.

use super::*;
use siding::job::StartError;
use siding::scheduler::{Config, Spawner};
use siding::stack::{StackConfig, StackError};

fn limited(jobs: usize) -> Scheduler {
    Scheduler::with_config(Config::new().max_jobs(jobs)).unwrap()
}

#[test]
fn beyond_the_limit_spawning_fails_and_gives_the_closure_back() {
    let scheduler = limited(2);
    let first = scheduler.spawn(park).unwrap();
    scheduler.spawn(|| ()).unwrap();
    let refused = scheduler.spawn(park).unwrap_err();
    assert!(matches!(refused.error, StartError::Full));
    assert!(scheduler.spawner().spawn(park).is_err());
    assert_eq!(scheduler.live(), 2);
    assert!(first.cancel());
    scheduler.spawn(refused.closure).unwrap();
    assert!(scheduler.spawn(park).is_err());
}

#[test]
fn a_result_that_the_stack_cannot_hold_is_refused() {
    let scheduler = Scheduler::new().unwrap();
    let refused = scheduler.spawn(|| [0_u8; 200 << 10]).unwrap_err();
    assert!(matches!(refused.error, StartError::Stack(StackError::TooSmall { .. })));
}

#[test]
fn who_waits_for_room_can_spawn_any_number_of_jobs_and_never_exceeds_the_limit() {
    let scheduler = limited(3);
    let spawner = scheduler.spawner();
    let body = move || {
        for n in 0..100_u32 {
            spawner.wait_for_room().unwrap();
            spawner.spawn(move || (0..n % 4).for_each(|_| yield_now().unwrap())).unwrap();
        }
    };
    let all = scheduler.spawn(body).unwrap();
    for _ in 0..10_000 {
        turn(&scheduler);
        assert!(scheduler.live() <= 3);
    }
    all.join().unwrap();
}

type Waiter = JoinHandle<Result<(), WaitError>>;

/// Jobs that wait for room, each to spawn one that logs its number and ends.
fn waiters(scheduler: &Scheduler, jobs: u32) -> (Rc<RefCell<Vec<u32>>>, Vec<Waiter>) {
    let log = Rc::new(RefCell::new(Vec::new()));
    let spawn = |n| {
        let (log, spawner): (_, Spawner) = (Rc::clone(&log), scheduler.spawner());
        let body = move || {
            spawner.wait_for_room()?;
            spawner.spawn(move || log.borrow_mut().push(n)).unwrap();
            park()
        };
        scheduler.spawn(body).unwrap()
    };
    let jobs = (0..jobs).map(spawn).collect();
    (log, jobs)
}

#[test]
fn those_who_wait_for_room_go_on_in_turn() {
    let scheduler = limited(5);
    let (log, _jobs) = waiters(&scheduler, 4);
    let last = scheduler.spawn(yield_now).unwrap();
    turn(&scheduler);
    assert!(!last.is_finished() && log.borrow().is_empty());
    (0..10).for_each(|_| _ = turn(&scheduler));
    assert_eq!(*log.borrow(), [0, 1, 2, 3]);
}

#[test]
fn another_wake_does_not_cost_a_waiter_its_turn() {
    let scheduler = limited(4);
    let (spawner, first) = (scheduler.spawner(), Rc::new(RefCell::new(None)));
    let handle = Rc::clone(&first);
    let body = move || {
        *handle.borrow_mut() = wake_handle();
        spawner.wait_for_room()?;
        park()
    };
    scheduler.spawn(body).unwrap();
    let (log, _jobs) = waiters(&scheduler, 2);
    let last = scheduler.spawn(park).unwrap();
    turn(&scheduler);
    first.take().unwrap().wake();
    turn(&scheduler);
    assert!(last.cancel());
    (0..10).for_each(|_| _ = turn(&scheduler));
    assert!(log.borrow().is_empty(), "the first has gone on, and nobody has ended since");
}

#[test]
fn a_waiter_cancelled_before_or_after_its_turn_came_does_not_keep_the_next_one_waiting() {
    for woken in [false, true] {
        let scheduler = limited(4);
        let (log, jobs) = waiters(&scheduler, 3);
        let last = scheduler.spawn(park).unwrap();
        turn(&scheduler);
        if woken {
            assert!(last.cancel());
        }
        assert!(jobs[0].cancel());
        (0..10).for_each(|_| _ = turn(&scheduler));
        assert_eq!(*log.borrow(), [1, 2], "woken: {woken}");
    }
}

#[test]
fn a_waiter_that_finds_its_room_taken_waits_for_the_next() {
    let scheduler = limited(2);
    let spawner = scheduler.spawner();
    let waiter = scheduler.spawn(move || spawner.wait_for_room()).unwrap();
    let mut last = scheduler.spawn(park).unwrap();
    turn(&scheduler);
    for _ in 0..3 {
        assert!(last.cancel());
        last = scheduler.spawn(park).unwrap();
        turn(&scheduler);
        assert!(!waiter.is_finished());
    }
    assert!(last.cancel());
    turn(&scheduler);
    assert!(waiter.is_finished() && waiter.join().unwrap().is_ok());
}

#[test]
fn a_waiter_from_another_scheduler_that_is_cancelled_after_its_turn_came_passes_it_on() {
    let (here, there) = (scheduler(), limited(1));
    let last = there.spawn(park).unwrap();
    let wait = || {
        let spawner = there.spawner();
        here.spawn(move || spawner.wait_for_room()).unwrap()
    };
    let (first, second) = (wait(), wait());
    turn(&here);
    assert!(last.cancel() && first.cancel());
    (0..3).for_each(|_| _ = turn(&here));
    assert!(second.is_finished() && second.join().unwrap().is_ok());
}

#[test]
fn when_all_wait_for_room_that_is_a_deadlock() {
    let scheduler = limited(2);
    waiters(&scheduler, 2);
    assert!(matches!(scheduler.run(), Err(RunError::Deadlock(2))));
}

#[test]
fn outside_a_job_nobody_waits_for_room() {
    let scheduler = limited(1);
    let spawner = scheduler.spawner();
    assert!(spawner.wait_for_room().is_ok());
    scheduler.spawn(park).unwrap();
    assert!(matches!(spawner.wait_for_room(), Err(WaitError::NotDriven)));
}

#[test]
fn options_of_the_scheduler_are_those_of_jobs_spawned_without_any() {
    let tiny = Options::new().stack(StackConfig::with_size(1));
    let scheduler = Scheduler::with_config(Config::new().options(tiny)).unwrap();
    let too_small =
        |error| matches!(error, StartError::Stack(StackError::TooSmall { size: 1, .. }));
    assert!(too_small(scheduler.spawn(park).unwrap_err().error));
    assert!(too_small(scheduler.spawner().spawn(park).unwrap_err().error));
    assert!(scheduler.spawn_with(&Options::new(), park).is_ok());
}

#[test]
fn a_scheduler_that_is_dropped_unwinds_those_who_wait_for_room() {
    let held = Rc::new(());
    let scheduler = limited(1);
    let (spawner, holds) = (scheduler.spawner(), Rc::clone(&held));
    scheduler
        .spawn(move || {
            let _holds = holds;
            spawner.wait_for_room()
        })
        .unwrap();
    turn(&scheduler);
    drop(scheduler);
    assert_eq!(Rc::strong_count(&held), 1);
}
