//! What ends a wait.

use super::*;

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    let scheduler = scheduler();
    let log = Rc::new(RefCell::new(Vec::new()));
    let start = Instant::now();
    for millis in [30, 10, 20] {
        let log = Rc::clone(&log);
        let body = move || {
            let waited = park_until(start + Duration::from_millis(millis));
            assert!(matches!(waited, Err(WaitError::TimedOut)));
            log.borrow_mut().push(millis);
        };
        scheduler.spawn(body).unwrap();
    }
    scheduler.run().unwrap();
    assert_eq!(*log.borrow(), [10, 20, 30]);
}

#[test]
fn a_sleep_is_no_shorter_than_asked() {
    let scheduler = scheduler();
    let job = scheduler
        .spawn(|| {
            let start = Instant::now();
            sleep(Duration::from_millis(5)).unwrap();
            start.elapsed()
        })
        .unwrap();
    scheduler.run().unwrap();
    assert!(job.join().unwrap() >= Duration::from_millis(5));
}

#[test]
fn a_wait_for_a_descriptor_times_out() {
    let scheduler = scheduler();
    let (reader, _writer) = UnixStream::pair().unwrap();
    let job = scheduler
        .spawn(move || {
            let deadline = Instant::now() + Duration::from_millis(5);
            wait_fd(&reader, Interest::Readable, Some(deadline))
        })
        .unwrap();
    scheduler.run().unwrap();
    assert!(matches!(job.join().unwrap(), Err(WaitError::TimedOut)));
}

#[test]
fn a_park_times_out() {
    let scheduler = scheduler();
    let job = scheduler.spawn(|| park_until(Instant::now() + Duration::from_millis(5))).unwrap();
    scheduler.run().unwrap();
    assert!(matches!(job.join().unwrap(), Err(WaitError::TimedOut)));
}

#[test]
fn several_jobs_wait_for_one_descriptor() {
    let scheduler = scheduler();
    let (reader, mut writer) = UnixStream::pair().unwrap();
    let reader = Rc::new(reader);
    let jobs: Vec<_> = (0..5)
        .map(|_| {
            let reader = Rc::clone(&reader);
            scheduler.spawn(move || wait_fd(&*reader, Interest::Readable, None)).unwrap()
        })
        .collect();
    let body = move || {
        sleep(Duration::from_millis(2)).unwrap();
        writer.write_all(b"x").unwrap();
    };
    scheduler.spawn(body).unwrap();
    scheduler.run().unwrap();
    assert!(jobs.into_iter().all(|job| job.join().unwrap().is_ok()));
}

#[test]
fn one_descriptor_is_waited_for_both_ways() {
    let scheduler = scheduler();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ours = Rc::new(ours);
    let reader = Rc::clone(&ours);
    let readable = scheduler.spawn(move || wait_fd(&*reader, Interest::Readable, None)).unwrap();
    let writable = scheduler.spawn(move || wait_fd(&*ours, Interest::Writable, None)).unwrap();
    let body = move || {
        writable.join().unwrap().unwrap();
        theirs.write_all(b"x").unwrap();
    };
    scheduler.spawn(body).unwrap();
    scheduler.run().unwrap();
    assert!(readable.join().unwrap().is_ok());
}

#[test]
fn a_number_that_is_used_again_is_another_descriptor() {
    let scheduler = scheduler();
    let job = scheduler
        .spawn(|| {
            let mut numbers = Vec::new();
            for _ in 0..10 {
                let (reader, mut writer) = UnixStream::pair().unwrap();
                writer.write_all(b"x").unwrap();
                numbers.push(reader.as_raw_fd());
                wait_fd(&reader, Interest::Readable, None).unwrap();
            }
            numbers
        })
        .unwrap();
    scheduler.run().unwrap();
    let numbers = job.join().unwrap();
    assert!(numbers.iter().any(|number| *number == numbers[0]));
}

#[test]
fn a_regular_file_cannot_be_waited_for() {
    let scheduler = scheduler();
    let file = File::open("/proc/self/exe").unwrap();
    let job = scheduler.spawn(move || wait_fd(&file, Interest::Readable, None)).unwrap();
    scheduler.run().unwrap();
    let Err(WaitError::Io(error)) = job.join().unwrap() else { panic!("it cannot") };
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}

#[test]
fn a_paused_job_goes_on_when_a_descriptor_of_its_wait_context_is_readable() {
    let scheduler = scheduler();
    let (reader, mut writer) = UnixStream::pair().unwrap();
    let ctx = WaitCtx::new();
    ctx.set_wait_fd(job::Key::of(&0_u8), reader.as_raw_fd()).unwrap();
    let options = Options::new().wait_ctx(ctx);
    let job = scheduler
        .spawn_with(&options, move || {
            job::pause().unwrap();
            let mut byte = [0];
            (&reader).read_exact(&mut byte).unwrap();
            byte[0]
        })
        .unwrap();
    scheduler.spawn(move || writer.write_all(b"x").unwrap()).unwrap();
    scheduler.run().unwrap();
    assert_eq!(job.join().unwrap(), b'x');
}

#[test]
fn a_blocked_job_does_not_wait() {
    let scheduler = scheduler();
    let job = scheduler
        .spawn(|| {
            let _blocked = job::block_pause();
            (park(), yield_now())
        })
        .unwrap();
    scheduler.run().unwrap();
    assert!(matches!(job.join().unwrap(), (Err(WaitError::Blocked), Ok(()))));
}

#[test]
fn an_idle_scheduler_rests_until_there_is_cause_to_turn() {
    let scheduler = scheduler();
    scheduler.spawn(|| sleep(Duration::from_millis(50)).unwrap()).unwrap();
    let mut turns = 1; // as many as `run` takes
    while scheduler.turn(None).unwrap() != Turn::Idle {
        turns += 1;
    }
    assert!(turns < 10, "{turns}");
}
