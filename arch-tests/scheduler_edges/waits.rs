//! Several waits at once, and waits that fail.

use super::*;

fn full(stream: &Stream) {
    stream.set_nonblocking(true).unwrap();
    let mut stream = stream;
    let full = loop {
        if let Err(error) = stream.write(&[0; 4096]) {
            break error.kind();
        }
    };
    assert_eq!(full, ErrorKind::WouldBlock);
}

fn waiter(
    scheduler: &Scheduler,
    stream: &Rc<Stream>,
    interest: Interest,
    within: Option<Duration>,
) -> JoinHandle<Result<(), WaitError>> {
    let stream = Rc::clone(stream);
    let deadline = within.map(|within| Instant::now() + within);
    scheduler.spawn(move || wait_fd(&*stream, interest, deadline)).unwrap()
}

#[test]
fn a_hang_up_ends_the_waits_of_a_reader_and_a_writer() {
    let scheduler = scheduler();
    let (ours, theirs) = pair().unwrap();
    full(&ours);
    let ours = Rc::new(ours);
    let reader = waiter(&scheduler, &ours, Interest::Readable, None);
    let writer = waiter(&scheduler, &ours, Interest::Writable, None);
    assert_eq!(turn(&scheduler), Turn::Waiting);
    drop(theirs);
    run_until_finished(&scheduler, &reader);
    run_until_finished(&scheduler, &writer);
    assert!(reader.join().unwrap().is_ok());
    assert!(writer.join().unwrap().is_ok());
}

#[test]
fn a_descriptor_that_is_given_away_stays_open_while_it_is_waited_for() {
    let scheduler = scheduler();
    let (ours, mut theirs) = pair().unwrap();
    let reader = scheduler.spawn(move || wait_fd(ours, Interest::Readable, None)).unwrap();
    assert_eq!(turn(&scheduler), Turn::Waiting);
    theirs.write_all(b"x").unwrap();
    run_until_finished(&scheduler, &reader);
    assert!(reader.join().unwrap().is_ok());
}

#[test]
fn a_reader_goes_on_waiting_when_a_writer_on_its_descriptor_is_done() {
    let scheduler = scheduler();
    let (ours, mut theirs) = pair().unwrap();
    let ours = Rc::new(ours);
    let reader = waiter(&scheduler, &ours, Interest::Readable, None);
    let writer = waiter(&scheduler, &ours, Interest::Writable, None);
    run_until_finished(&scheduler, &writer);
    turn(&scheduler);
    assert!(!reader.is_finished());
    theirs.write_all(b"x").unwrap();
    run_until_finished(&scheduler, &reader);
}

#[test]
fn all_who_wait_for_a_descriptor_go_on_when_it_is_ready() {
    let scheduler = scheduler();
    let (ours, mut theirs) = pair().unwrap();
    full(&ours);
    let ours = Rc::new(ours);
    let readers: Vec<_> =
        (0..500).map(|_| waiter(&scheduler, &ours, Interest::Readable, None)).collect();
    let writer = waiter(&scheduler, &ours, Interest::Writable, None);
    assert_eq!(turn(&scheduler), Turn::Waiting);
    theirs.write_all(b"x").unwrap();
    readers.iter().for_each(|reader| run_until_finished(&scheduler, reader));
    assert!(!writer.is_finished());
    drop(theirs);
    run_until_finished(&scheduler, &writer);
    assert_eq!(turn(&scheduler), Turn::Idle);
}

#[test]
fn a_reader_goes_on_waiting_when_another_one_is_cancelled() {
    let scheduler = scheduler();
    let (ours, mut theirs) = pair().unwrap();
    let ours = Rc::new(ours);
    let first = waiter(&scheduler, &ours, Interest::Readable, None);
    let second = waiter(&scheduler, &ours, Interest::Readable, None);
    turn(&scheduler);
    assert!(first.cancel());
    theirs.write_all(b"x").unwrap();
    run_until_finished(&scheduler, &second);
    assert!(second.join().unwrap().is_ok());
}

#[test]
fn a_reader_goes_on_waiting_when_another_one_times_out() {
    let scheduler = scheduler();
    let (ours, mut theirs) = pair().unwrap();
    let ours = Rc::new(ours);
    let patient = waiter(&scheduler, &ours, Interest::Readable, None);
    let hasty = waiter(&scheduler, &ours, Interest::Readable, Some(Duration::from_millis(2)));
    run_until_finished(&scheduler, &hasty);
    assert!(matches!(hasty.join().unwrap(), Err(WaitError::TimedOut)));
    theirs.write_all(b"x").unwrap();
    run_until_finished(&scheduler, &patient);
    assert!(patient.join().unwrap().is_ok());
}

#[cfg(unix)]
#[test]
fn a_number_closed_and_used_again_while_it_is_not_waited_for_is_another_descriptor() {
    let scheduler = scheduler();
    let job = scheduler
        .spawn(|| {
            let (first, _writer) = pair().unwrap();
            let soon = Instant::now() + Duration::from_millis(1);
            let _ = wait_fd(&first, Interest::Readable, Some(soon));
            // Registered with the poller, and kept open under another number.
            let _kept = first.try_clone().unwrap();
            let (second, mut writer) = pair().unwrap();
            // SAFETY: closes the first one and gives its number to the second: no other
            // thread can have it in between.
            let number = unsafe { libc::dup2(second.as_raw_fd(), first.as_raw_fd()) };
            assert_eq!(number, first.as_raw_fd());
            writer.write_all(b"x").unwrap();
            wait_fd(&first, Interest::Readable, None).is_ok()
        })
        .unwrap();
    run_until_finished(&scheduler, &job);
    assert!(job.join().unwrap());
}

#[cfg(unix)]
#[test]
fn a_hang_up_of_what_is_no_longer_waited_for_ends_no_wait_for_its_number() {
    let scheduler = scheduler();
    let job = scheduler
        .spawn(|| {
            let soon = || Some(Instant::now() + Duration::from_millis(1));
            let (first, other_end) = pair().unwrap();
            let _ = wait_fd(&first, Interest::Readable, soon());
            let _kept = first.try_clone().unwrap();
            let (second, _writer) = pair().unwrap();
            // SAFETY: as above.
            let number = unsafe { libc::dup2(second.as_raw_fd(), first.as_raw_fd()) };
            assert_eq!(number, first.as_raw_fd());
            drop(other_end);
            wait_fd(&first, Interest::Readable, soon())
        })
        .unwrap();
    run_until_finished(&scheduler, &job);
    assert!(matches!(job.join().unwrap(), Err(WaitError::TimedOut)));
}

#[cfg(unix)]
#[test]
fn a_descriptor_that_is_not_open_cannot_be_waited_for() {
    for fd in [-1, i32::MAX] {
        let scheduler = scheduler();
        let wait = job::Wait::Fd { fd, interest: Interest::Readable, until: None };
        let job = scheduler.spawn(move || job::wait(wait)).unwrap();
        scheduler.run().unwrap();
        let Err(WaitError::Io(error)) = job.join().unwrap() else { panic!("it cannot") };
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }
}

fn number(stream: &Stream) -> AsyncFd {
    #[cfg(unix)]
    return stream.as_raw_fd();
    #[cfg(windows)]
    return std::os::windows::io::AsRawSocket::as_raw_socket(stream) as AsyncFd;
}

/// A job with that wait context pauses once.
fn pauses_with(scheduler: &Scheduler, fds: &[AsyncFd]) -> JoinHandle<Result<(), WaitError>> {
    let ctx = WaitCtx::new();
    for (n, fd) in fds.iter().enumerate() {
        ctx.set_wait_fd(n.into(), *fd).unwrap();
    }
    let body = || {
        job::pause().unwrap();
        yield_now()
    };
    scheduler.spawn_with(&Options::new().wait_ctx(ctx), body).unwrap()
}

#[test]
fn any_descriptor_of_a_wait_context_resumes_its_job() {
    let scheduler = scheduler();
    let (one, mut other_end) = pair().unwrap();
    let (two, _open) = pair().unwrap();
    let job = pauses_with(&scheduler, &[number(&one), number(&two)]);
    assert_eq!(turn(&scheduler), Turn::Waiting);
    other_end.write_all(b"x").unwrap();
    run_until_finished(&scheduler, &job);
}

#[test]
fn a_descriptor_may_be_in_a_wait_context_twice() {
    let scheduler = scheduler();
    let (one, mut other_end) = pair().unwrap();
    let job = pauses_with(&scheduler, &[number(&one), number(&one)]);
    turn(&scheduler);
    other_end.write_all(b"x").unwrap();
    run_until_finished(&scheduler, &job);
    // Nothing is left of its waits: this is a deadlock and seen as one.
    scheduler.spawn(park).unwrap();
    assert!(matches!(scheduler.run(), Err(RunError::Deadlock(1))));
}

/// A file on a disk and a closed descriptor: a job that is resumed without being told would
/// pause again, and so on.
#[cfg(unix)]
#[test]
fn a_pause_for_what_cannot_be_polled_is_an_error_and_the_next_wait_is_none() {
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    for fd in [-1, 999_999, file.as_raw_fd()] {
        let scheduler = scheduler();
        let ctx = WaitCtx::new();
        ctx.set_wait_fd(1.into(), fd).unwrap();
        let body = || (job::pause(), yield_now().is_ok(), sleep(Duration::from_millis(1)).is_ok());
        let job = scheduler.spawn_with(&Options::new().wait_ctx(ctx), body).unwrap();
        run_until_finished(&scheduler, &job);
        assert_eq!(job.join().unwrap(), (Err(job::Cancelled), true, true), "{fd}");
    }
}

#[cfg(unix)]
#[test]
fn a_wait_that_failed_does_not_fail_the_next_pause() {
    let scheduler = scheduler();
    let (one, mut other_end) = pair().unwrap();
    let ctx = WaitCtx::new();
    ctx.set_wait_fd(1.into(), one.as_raw_fd()).unwrap();
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let body = move || (wait_fd(&file, Interest::Readable, None).is_err(), job::pause());
    let job = scheduler.spawn_with(&Options::new().wait_ctx(ctx), body).unwrap();
    turn(&scheduler);
    other_end.write_all(b"x").unwrap();
    run_until_finished(&scheduler, &job);
    assert_eq!(job.join().unwrap(), (true, Ok(())));
}

#[test]
fn a_sleep_of_ages_is_no_error() {
    for ages in [Duration::from_secs(1 << 60), Duration::MAX] {
        let scheduler = scheduler();
        let sleeper = scheduler.spawn(move || sleep(ages)).unwrap();
        let (left, waiter) = parks(&scheduler);
        turn(&scheduler);
        let wake = left.take().unwrap();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(3));
            wake.wake();
        });
        run_until_finished(&scheduler, &waiter);
        thread.join().unwrap();
        assert!(!sleeper.is_finished());
    }
}

#[test]
fn data_arrives_in_order_through_ten_jobs() {
    let scheduler = scheduler();
    let mut streams: Vec<_> = (0..=10).map(|_| pair().unwrap()).collect();
    let (last_in, mut last_out) = streams.pop().unwrap();
    let mut to = last_in;
    let mut from_first = None;
    for (near, far) in streams {
        let mut from = far;
        let body = move || {
            for _ in 0..100 {
                let mut byte = [0];
                wait_fd(&from, Interest::Readable, None).unwrap();
                from.read_exact(&mut byte).unwrap();
                to.write_all(&byte).unwrap();
            }
        };
        scheduler.spawn(body).unwrap();
        to = near;
        from_first = Some(());
    }
    assert!(from_first.is_some());
    to.write_all(&std::array::from_fn::<u8, 100, _>(|i| i as u8)).unwrap();
    scheduler.run().unwrap();
    let mut bytes = [0; 100];
    last_out.read_exact(&mut bytes).unwrap();
    assert!(bytes.iter().enumerate().all(|(i, &byte)| byte == i as u8));
}
