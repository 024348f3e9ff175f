//! Driven by another loop, which polls the scheduler's descriptor.

use super::*;

fn is_readable(scheduler: &Scheduler, within: Duration) -> bool {
    let fd = scheduler.as_fd().as_raw_fd();
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd.
    unsafe { libc::poll(&raw mut poll, 1, within.as_millis() as i32) == 1 }
}

/// That another loop, which calls `turn` whenever the descriptor is readable, rests.
fn comes_to_rest(scheduler: &Scheduler) {
    for _ in 0..5 {
        assert_eq!(turn(scheduler), Turn::Waiting);
        if !is_readable(scheduler, Duration::from_millis(5)) {
            return;
        }
    }
    panic!("the descriptor stays readable");
}

#[test]
fn the_descriptor_is_readable_from_a_wake_to_the_next_turn() {
    let scheduler = scheduler();
    let (left, job) = parks(&scheduler);
    comes_to_rest(&scheduler);
    left.borrow().as_ref().unwrap().wake();
    assert!(is_readable(&scheduler, Duration::ZERO));
    assert_eq!(turn(&scheduler), Turn::Idle);
    assert!(job.join().unwrap().is_ok());
}

#[test]
fn the_descriptor_is_readable_from_a_spawn_to_the_next_turn() {
    let scheduler = scheduler();
    assert_eq!(turn(&scheduler), Turn::Idle);
    assert!(!is_readable(&scheduler, Duration::ZERO));
    let (left, parked) = parks(&scheduler); // while it has no jobs
    assert!(is_readable(&scheduler, Duration::ZERO));
    comes_to_rest(&scheduler);
    let job = scheduler.spawner().spawn(|| 7).unwrap(); // while they wait
    assert!(is_readable(&scheduler, Duration::ZERO));
    comes_to_rest(&scheduler);
    assert_eq!(job.join().unwrap(), 7);
    left.take().unwrap().wake();
    assert_eq!(turn(&scheduler), Turn::Idle);
    assert!(parked.join().unwrap().is_ok());
    assert!(!is_readable(&scheduler, Duration::from_millis(5)));
}

#[test]
fn a_wake_that_an_earlier_scheduler_did_not_see_disturbs_no_later_one() {
    let first = scheduler();
    let (left, _job) = parks(&first);
    comes_to_rest(&first);
    left.take().unwrap().wake();
    drop(first);
    let second = scheduler();
    let _parked = parks(&second);
    comes_to_rest(&second);
}

#[test]
fn a_turn_that_ends_before_its_timeout_leaves_the_descriptor_quiet() {
    let scheduler = scheduler();
    let (left, _job) = parks(&scheduler);
    let _other = parks(&scheduler);
    turn(&scheduler);
    let wake = left.take().unwrap();
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        wake.wake();
    });
    while left.borrow().is_some() || !thread.is_finished() {
        scheduler.turn(Some(Duration::from_millis(30))).unwrap();
    }
    thread.join().unwrap();
    thread::sleep(Duration::from_millis(40));
    comes_to_rest(&scheduler);
}

#[test]
fn it_turns_no_more_often_than_there_is_cause() {
    const WAKES: usize = 50;
    let scheduler = scheduler();
    let (send, receive) = std::sync::mpsc::channel::<Wake>();
    let body = move || {
        for _ in 0..WAKES {
            send.send(wake_handle().unwrap()).unwrap();
            park().unwrap();
        }
    };
    scheduler.spawn(body).unwrap();
    let thread = thread::spawn(move || {
        for wake in receive {
            thread::sleep(Duration::from_micros(500));
            wake.wake();
        }
    });
    let mut turns = 0;
    loop {
        turns += 1;
        match turn(&scheduler) {
            Turn::Idle => break,
            Turn::Waiting => assert!(is_readable(&scheduler, Duration::from_secs(20)), "lost"),
            // A wake that came at the end of the turn: there is no event for it.
            _ => {}
        }
    }
    thread.join().unwrap();
    assert!(turns <= 10 * WAKES, "{turns}");
}

#[test]
fn a_turn_with_a_timeout_waits_for_it_and_reports_no_deadlock() {
    let scheduler = scheduler();
    scheduler.spawn(park).unwrap();
    let start = Instant::now();
    let timeout = Duration::from_millis(5);
    while start.elapsed() < timeout {
        assert_eq!(scheduler.turn(Some(timeout)).unwrap(), Turn::Waiting);
    }
}

#[test]
fn the_next_deadline_is_the_earliest_one() {
    let scheduler = scheduler();
    assert_eq!(scheduler.next_deadline(), None);
    let start = Instant::now();
    for seconds in [300, 100, 200] {
        scheduler.spawn(move || sleep(Duration::from_secs(seconds))).unwrap();
    }
    turn(&scheduler);
    let after = scheduler.next_deadline().unwrap() - start;
    assert!((Duration::from_secs(100)..Duration::from_secs(200)).contains(&after));
}
