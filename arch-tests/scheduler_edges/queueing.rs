//! Cancelling what is queued, in all places of the queue.

use super::*;

/// Jobs that leave their number at each turn and yield.
fn counting(scheduler: &Scheduler, jobs: usize) -> (Rc<RefCell<Vec<usize>>>, Vec<JoinHandle<()>>) {
    let log = Rc::new(RefCell::new(Vec::new()));
    let spawn = |name| {
        let log = Rc::clone(&log);
        let body = move || {
            loop {
                log.borrow_mut().push(name);
                yield_now().unwrap();
            }
        };
        scheduler.spawn(body).unwrap()
    };
    let jobs = (0..jobs).map(spawn).collect();
    (log, jobs)
}

#[test]
fn the_others_keep_their_turns_when_queued_jobs_are_cancelled() {
    let scheduler = scheduler();
    let (log, jobs) = counting(&scheduler, 200);
    turn(&scheduler);
    for job in jobs.iter().skip(1).step_by(3) {
        assert!(job.cancel());
    }
    let left: Vec<usize> = (0..200).filter(|n| n % 3 != 1).collect();
    for _ in 0..3 {
        log.borrow_mut().clear();
        assert_eq!(turn(&scheduler), Turn::Busy);
        assert_eq!(*log.borrow(), left);
    }
}

#[test]
fn a_job_cancelled_by_another_one_of_the_same_turn_does_not_run() {
    let scheduler = scheduler();
    let victims: Rc<RefCell<Vec<JoinHandle<()>>>> = Rc::default();
    let theirs = Rc::clone(&victims);
    let cancels = scheduler
        .spawn(move || {
            yield_now().unwrap();
            theirs.borrow().iter().skip(1).step_by(2).all(JoinHandle::cancel)
        })
        .unwrap();
    let (log, jobs) = counting(&scheduler, 10);
    *victims.borrow_mut() = jobs;
    turn(&scheduler);
    log.borrow_mut().clear();
    turn(&scheduler);
    assert!(cancels.join().unwrap());
    assert_eq!(*log.borrow(), [0, 2, 4, 6, 8]);
}

#[test]
fn jobs_cancelled_before_they_ran_leave_the_queue() {
    let scheduler = scheduler();
    let (log, _jobs) = counting(&scheduler, 3);
    for _ in 0..1000 {
        assert!(scheduler.spawn(|| unreachable!("never runs")).unwrap().cancel());
    }
    assert_eq!(turn(&scheduler), Turn::Busy);
    assert_eq!(*log.borrow(), [0, 1, 2]);
}

#[test]
fn a_turn_gives_no_job_a_second_one_when_others_are_cancelled_and_spawned_in_it() {
    let scheduler = scheduler();
    let (log, jobs) = counting(&scheduler, 60);
    let spawner = scheduler.spawner();
    let body = move || {
        jobs.iter().step_by(2).all(JoinHandle::cancel)
            && (0..100).all(|_| spawner.spawn(yield_now).is_ok())
    };
    let first = scheduler.spawn(body).unwrap();
    turn(&scheduler);
    assert!(first.join().unwrap());
    let (more, _jobs) = counting(&scheduler, 1);
    log.borrow_mut().clear();
    turn(&scheduler);
    assert_eq!(*log.borrow(), (1..60).step_by(2).collect::<Vec<_>>());
    assert_eq!(*more.borrow(), [0]);
}
