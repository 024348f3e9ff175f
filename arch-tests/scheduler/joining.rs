//! What a job gives to who waits for its end.

use super::*;

#[test]
fn a_job_gives_its_value() {
    let scheduler = scheduler();
    let job = scheduler.spawn(|| 42).unwrap();
    scheduler.run().unwrap();
    assert_eq!(job.join().unwrap(), 42);
}

#[test]
fn a_job_gives_its_panic() {
    let scheduler = scheduler();
    let job = scheduler.spawn(|| panic!("on purpose")).unwrap();
    scheduler.run().unwrap();
    let Err(JoinError::Panicked(payload)) = job.join() else { panic!("it panicked") };
    assert_eq!(payload.downcast_ref(), Some(&"on purpose"));
}

#[test]
fn a_job_waits_for_another() {
    let scheduler = scheduler();
    let slow = scheduler.spawn(|| sleep(Duration::from_millis(5)).map(|()| 7)).unwrap();
    let waits = scheduler.spawn(move || slow.join().unwrap().unwrap() + 1).unwrap();
    scheduler.run().unwrap();
    assert_eq!(waits.join().unwrap(), 8);
}

#[test]
fn outside_a_job_an_unfinished_one_cannot_be_waited_for() {
    let scheduler = scheduler();
    let job = scheduler.spawn(|| ()).unwrap();
    assert!(matches!(job.join(), Err(JoinError::Wait(WaitError::NotDriven))));
}

#[test]
fn a_job_runs_on_when_nobody_wants_its_value() {
    let scheduler = scheduler();
    let done = Rc::new(Cell::new(false));
    let ours = Rc::clone(&done);
    drop(scheduler.spawn(move || ours.set(true)).unwrap());
    scheduler.run().unwrap();
    assert!(done.get());
}

#[test]
fn a_job_spawns_others() {
    let scheduler = scheduler();
    let spawner = scheduler.spawner();
    let job = scheduler
        .spawn(move || {
            let children: Vec<_> = (0..100).map(|i| spawner.spawn(move || i).unwrap()).collect();
            children.into_iter().map(|child| child.join().unwrap()).sum::<i32>()
        })
        .unwrap();
    scheduler.run().unwrap();
    assert_eq!(job.join().unwrap(), 4950);
}
