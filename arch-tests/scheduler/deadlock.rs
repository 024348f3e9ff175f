//! What nothing can wake.

use super::*;

fn jobs_in_deadlock(scheduler: &Scheduler) -> usize {
    match scheduler.run() {
        Err(RunError::Deadlock(jobs)) => jobs,
        other => panic!("no deadlock: {other:?}"),
    }
}

#[test]
fn a_job_that_nothing_can_wake_is_reported() {
    let scheduler = scheduler();
    scheduler.spawn(park).unwrap();
    assert_eq!(jobs_in_deadlock(&scheduler), 1);
}

#[test]
fn two_jobs_that_wait_for_each_other_are_reported() {
    let scheduler = scheduler();
    let first = Rc::new(RefCell::new(None));
    let of_first = Rc::clone(&first);
    let second = scheduler
        .spawn(move || {
            yield_now().unwrap();
            let first: siding::scheduler::JoinHandle<()> = of_first.take().unwrap();
            let _ = first.join();
        })
        .unwrap();
    let handle = scheduler.spawn(move || drop(second.join())).unwrap();
    *first.borrow_mut() = Some(handle);
    assert_eq!(jobs_in_deadlock(&scheduler), 2);
}

#[test]
fn it_is_none_while_somebody_has_a_wake_handle() {
    let scheduler = scheduler();
    let (send, receive) = mpsc::channel::<Wake>();
    let body = move || {
        send.send(wake_handle().unwrap()).unwrap();
        park().unwrap();
    };
    scheduler.spawn(body).unwrap();
    let thread = thread::spawn(move || {
        let wake = receive.recv().unwrap();
        thread::sleep(Duration::from_millis(20));
        wake.wake();
    });
    assert!(scheduler.run().is_ok());
    thread.join().unwrap();
}

#[test]
fn it_is_reported_when_the_last_wake_handle_goes() {
    let scheduler = scheduler();
    let (send, receive) = mpsc::channel::<Wake>();
    let body = move || {
        send.send(wake_handle().unwrap()).unwrap();
        let _ = park();
    };
    scheduler.spawn(body).unwrap();
    let thread = thread::spawn(move || {
        let wake = receive.recv().unwrap();
        thread::sleep(Duration::from_millis(20));
        drop(wake);
    });
    assert_eq!(jobs_in_deadlock(&scheduler), 1);
    thread.join().unwrap();
}

#[test]
fn the_jobs_stay_and_can_still_be_cancelled() {
    let scheduler = scheduler();
    let job = scheduler.spawn(park).unwrap();
    jobs_in_deadlock(&scheduler);
    assert!(job.cancel());
    assert!(scheduler.run().is_ok());
}
