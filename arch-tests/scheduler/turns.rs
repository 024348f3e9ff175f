//! Who runs when.

use super::*;

#[test]
fn an_empty_scheduler_is_idle() {
    assert_eq!(scheduler().turn(None).unwrap(), Turn::Idle);
}

#[test]
fn jobs_that_yield_take_turns() {
    let scheduler = scheduler();
    let log = Rc::new(RefCell::new(Vec::new()));
    for name in 0..3 {
        let log = Rc::clone(&log);
        let body = move || {
            for _ in 0..3 {
                log.borrow_mut().push(name);
                yield_now().unwrap();
            }
        };
        scheduler.spawn(body).unwrap();
    }
    scheduler.run().unwrap();
    assert_eq!(*log.borrow(), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
}

/// Where nobody waits for a descriptor, so that the kernel is not asked.
#[test]
fn a_yielding_job_does_not_starve_a_woken_one() {
    let scheduler = scheduler();
    let (send, receive) = mpsc::channel::<Wake>();
    let thread = thread::spawn(move || {
        let wake = receive.recv().unwrap();
        thread::sleep(Duration::from_millis(3));
        wake.wake();
    });
    let parks = move || {
        send.send(wake_handle().unwrap()).unwrap();
        park().unwrap();
    };
    let parked = scheduler.spawn(parks).unwrap();
    let start = Instant::now();
    let yields = move || {
        while !parked.is_finished() && start.elapsed() < LONG {
            yield_now().unwrap();
        }
        parked.is_finished()
    };
    let yielder = scheduler.spawn(yields).unwrap();
    scheduler.run().unwrap();
    assert!(yielder.join().unwrap(), "starved");
    thread.join().unwrap();
}

#[test]
fn a_ready_descriptor_does_not_starve_a_yielder() {
    let (mut reader, mut writer) = UnixStream::pair().unwrap();
    writer.write_all(&[0; 1000]).unwrap();
    let scheduler = scheduler();
    let greedy = scheduler
        .spawn(move || {
            for _ in 0..1000 {
                wait_fd(&reader, Interest::Readable, None).unwrap();
                reader.read_exact(&mut [0]).unwrap();
            }
        })
        .unwrap();
    let turns = scheduler
        .spawn(move || {
            let mut turns = 0;
            while !greedy.is_finished() {
                turns += 1;
                yield_now().unwrap();
            }
            turns
        })
        .unwrap();
    scheduler.run().unwrap();
    assert!(turns.join().unwrap() > 100);
}

#[test]
fn it_does_not_run_inside_its_own_jobs() {
    let scheduler = Rc::new(scheduler());
    let inner = Rc::clone(&scheduler);
    let job = scheduler.spawn(move || inner.run()).unwrap();
    scheduler.run().unwrap();
    assert!(matches!(job.join().unwrap(), Err(RunError::Reentered)));
}

#[test]
fn a_job_may_run_a_scheduler_of_its_own() {
    let scheduler = scheduler();
    let job = scheduler
        .spawn(|| {
            let inner = super::scheduler();
            let jobs: Vec<_> = (0..10)
                .map(|i| {
                    inner.spawn(move || {
                        yield_now().unwrap();
                        i
                    })
                })
                .collect();
            inner.run().unwrap();
            jobs.into_iter().map(|job| job.unwrap().join().unwrap()).sum::<i32>()
        })
        .unwrap();
    scheduler.run().unwrap();
    assert_eq!(job.join().unwrap(), 45);
}

#[test]
fn ten_thousand_jobs_run() {
    let scheduler = scheduler();
    let count = Rc::new(Cell::new(0));
    for _ in 0..10_000 {
        let count = Rc::clone(&count);
        let body = move || {
            yield_now().unwrap();
            count.set(count.get() + 1);
        };
        scheduler.spawn(body).unwrap();
    }
    scheduler.run().unwrap();
    assert_eq!(count.get(), 10_000);
}

#[test]
fn jobs_with_fp_control_words_of_their_own_take_part() {
    let scheduler = scheduler();
    let options = Options::new().save_fp_control(true);
    let yields = || (0..50).for_each(|_| yield_now().unwrap());
    let jobs: Vec<_> = (0..10)
        .map(|i| {
            let options = if i % 2 == 0 { options.clone() } else { Options::new() };
            scheduler.spawn_with(&options, yields).unwrap()
        })
        .collect();
    scheduler.run().unwrap();
    assert!(jobs.into_iter().all(|job| job.join().is_ok()));
}
