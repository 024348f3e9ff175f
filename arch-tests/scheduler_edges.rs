//! Where schedulers are likely to break: driven by another loop, several waits at once,
//! cancelling in every state, one inside another.
#![allow(unsafe_code, reason = "polls")]

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use siding::job::{self, CancelMode, Options, Wait, WaitCtx, WaitError, Wake};
use siding::scheduler::{
    Interest, JoinError, JoinHandle, RunError, Scheduler, Turn, park, sleep, wait_fd, wake_handle,
    yield_now,
};

fn scheduler() -> Scheduler {
    Scheduler::new().expect("a scheduler")
}

const NOT_AT_ALL: Option<Duration> = Some(Duration::ZERO);

fn turn(scheduler: &Scheduler) -> Turn {
    scheduler.turn(NOT_AT_ALL).unwrap()
}

/// Runs until a job has ended, and fails if that takes much too long.
fn run_until_finished<T>(scheduler: &Scheduler, job: &JoinHandle<T>) {
    let start = Instant::now();
    while !job.is_finished() {
        assert!(start.elapsed() < Duration::from_secs(20), "{job:?} hangs");
        scheduler.turn(Some(Duration::from_secs(5))).unwrap();
    }
}

/// Where a job leaves its wake handle, and a job that leaves it and parks.
type Left = Rc<RefCell<Option<Wake>>>;

fn parks(scheduler: &Scheduler) -> (Left, JoinHandle<Result<(), WaitError>>) {
    let left = Left::default();
    let leaves = Rc::clone(&left);
    let body = move || {
        *leaves.borrow_mut() = wake_handle();
        park()
    };
    let job = scheduler.spawn(body).unwrap();
    (left, job)
}

mod embedding {
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
        while turn(&scheduler) != Turn::Idle {
            turns += 1;
            assert!(is_readable(&scheduler, Duration::from_secs(20)), "a lost wake");
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
}

mod turns {
    use super::*;

    /// Jobs that count their turns and yield for ever.
    fn yielders(scheduler: &Scheduler, options: &Options, jobs: usize) -> Vec<Rc<Cell<u32>>> {
        let spawn = |_| {
            let count = Rc::new(Cell::new(0));
            let counts = Rc::clone(&count);
            let body = move || {
                loop {
                    counts.set(counts.get() + 1);
                    yield_now().unwrap();
                }
            };
            let _: JoinHandle<()> = scheduler.spawn_with(options, body).unwrap();
            count
        };
        (0..jobs).map(spawn).collect()
    }

    fn all_at(counts: &[Rc<Cell<u32>>], turns: u32) -> bool {
        counts.iter().all(|count| count.get() == turns)
    }

    #[test]
    fn in_one_turn_each_job_runs_once() {
        let scheduler = scheduler();
        let counts = yielders(&scheduler, &Options::new(), 300);
        for turns in 1..5 {
            assert_eq!(turn(&scheduler), Turn::Busy);
            assert!(all_at(&counts, turns));
        }
    }

    #[test]
    fn in_one_turn_each_job_runs_once_also_beside_fp_control_words_of_their_own() {
        let scheduler = scheduler();
        let mut counts = yielders(&scheduler, &Options::new(), 200);
        counts.extend(yielders(&scheduler, &Options::new().save_fp_control(true), 1));
        counts.extend(yielders(&scheduler, &Options::new(), 99));
        for turns in 1..5 {
            assert_eq!(turn(&scheduler), Turn::Busy);
            assert!(all_at(&counts, turns));
        }
    }

    #[test]
    fn a_job_spawned_in_a_turn_runs_in_the_next() {
        let scheduler = scheduler();
        let spawner = scheduler.spawner();
        let ran = Rc::new(Cell::new(false));
        let runs = Rc::clone(&ran);
        let parent =
            scheduler.spawn(move || spawner.spawn(move || runs.set(true)).is_ok()).unwrap();
        assert_eq!(turn(&scheduler), Turn::Busy);
        assert!(parent.join().unwrap());
        assert!(!ran.get());
        assert_eq!(turn(&scheduler), Turn::Idle);
        assert!(ran.get());
    }
}

mod waits {
    use super::*;

    fn full(stream: &UnixStream) {
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
        stream: &Rc<UnixStream>,
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
        let (ours, theirs) = UnixStream::pair().unwrap();
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
    fn a_reader_goes_on_waiting_when_a_writer_on_its_descriptor_is_done() {
        let scheduler = scheduler();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
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
    fn a_reader_goes_on_waiting_when_another_one_is_cancelled() {
        let scheduler = scheduler();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
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
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let ours = Rc::new(ours);
        let patient = waiter(&scheduler, &ours, Interest::Readable, None);
        let hasty = waiter(&scheduler, &ours, Interest::Readable, Some(Duration::from_millis(2)));
        run_until_finished(&scheduler, &hasty);
        assert!(matches!(hasty.join().unwrap(), Err(WaitError::TimedOut)));
        theirs.write_all(b"x").unwrap();
        run_until_finished(&scheduler, &patient);
        assert!(patient.join().unwrap().is_ok());
    }

    #[test]
    fn a_number_closed_and_used_again_while_it_is_not_waited_for_is_another_descriptor() {
        let scheduler = scheduler();
        let job = scheduler
            .spawn(|| {
                let (first, _writer) = UnixStream::pair().unwrap();
                let soon = Instant::now() + Duration::from_millis(1);
                let _ = wait_fd(&first, Interest::Readable, Some(soon));
                // Registered with the poller, and kept open under another number.
                let _kept = first.try_clone().unwrap();
                let number = first.as_raw_fd();
                drop(first);
                let (second, mut writer) = UnixStream::pair().unwrap();
                let reused = second.as_raw_fd() == number || writer.as_raw_fd() == number;
                writer.write_all(b"x").unwrap();
                let answer = wait_fd(&second, Interest::Readable, None);
                (reused, answer.is_ok())
            })
            .unwrap();
        run_until_finished(&scheduler, &job);
        assert_eq!(job.join().unwrap(), (true, true));
    }

    #[test]
    fn a_descriptor_that_is_not_open_cannot_be_waited_for() {
        for fd in [-1, i32::MAX] {
            let scheduler = scheduler();
            let wait = Wait::Fd { fd, interest: Interest::Readable, until: None };
            let job = scheduler.spawn(move || job::wait(wait)).unwrap();
            scheduler.run().unwrap();
            let Err(WaitError::Io(error)) = job.join().unwrap() else { panic!("it cannot") };
            assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        }
    }

    /// A job with that wait context pauses once.
    fn pauses_with(scheduler: &Scheduler, fds: &[i32]) -> JoinHandle<Result<(), WaitError>> {
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
        let (one, mut other_end) = UnixStream::pair().unwrap();
        let (two, _open) = UnixStream::pair().unwrap();
        let job = pauses_with(&scheduler, &[one.as_raw_fd(), two.as_raw_fd()]);
        assert_eq!(turn(&scheduler), Turn::Waiting);
        other_end.write_all(b"x").unwrap();
        run_until_finished(&scheduler, &job);
    }

    #[test]
    fn a_descriptor_may_be_in_a_wait_context_twice() {
        let scheduler = scheduler();
        let (one, mut other_end) = UnixStream::pair().unwrap();
        let job = pauses_with(&scheduler, &[one.as_raw_fd(), one.as_raw_fd()]);
        turn(&scheduler);
        other_end.write_all(b"x").unwrap();
        run_until_finished(&scheduler, &job);
        // Nothing is left of its waits: this is a deadlock and seen as one.
        scheduler.spawn(park).unwrap();
        assert!(matches!(scheduler.run(), Err(RunError::Deadlock(1))));
    }

    #[test]
    fn a_wait_context_that_cannot_be_polled_does_not_fail_the_next_wait() {
        let scheduler = scheduler();
        let job = pauses_with(&scheduler, &[-1]);
        run_until_finished(&scheduler, &job);
        assert!(job.join().unwrap().is_ok());
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
        let mut streams: Vec<_> = (0..=10).map(|_| UnixStream::pair().unwrap()).collect();
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
}

mod cancelling {
    use super::*;

    const RETURN: Options = Options::new().cancel_mode(CancelMode::Return);

    #[test]
    fn a_job_that_has_ended_cannot_be_cancelled() {
        let scheduler = scheduler();
        let job = scheduler.spawn(|| 3).unwrap();
        scheduler.run().unwrap();
        assert!(!job.cancel());
        assert_eq!(job.join().unwrap(), 3);
    }

    #[test]
    fn a_job_that_waits_for_a_nested_one_cannot_be_cancelled_by_it() {
        let scheduler = scheduler();
        let own: Rc<RefCell<Option<JoinHandle<_>>>> = Rc::default();
        let inside = Rc::clone(&own);
        let body = move || {
            let nested = move || inside.borrow().as_ref().unwrap().cancel();
            let Ok(job::Progress::Finished(cancelled)) = job::start(nested) else {
                panic!("it does not pause")
            };
            cancelled
        };
        *own.borrow_mut() = Some(scheduler.spawn(body).unwrap());
        scheduler.run().unwrap();
        assert!(!own.take().unwrap().join().unwrap());
    }

    #[test]
    fn a_job_in_return_mode_still_gives_its_value() {
        let scheduler = scheduler();
        let job = scheduler.spawn_with(&RETURN, || park().is_err()).unwrap();
        turn(&scheduler);
        assert!(job.cancel());
        assert!(job.join().unwrap());
    }

    #[test]
    fn a_yielding_job_in_return_mode_learns_of_it() {
        let scheduler = scheduler();
        let yields = || {
            let mut turns = 0;
            while yield_now().is_ok() {
                turns += 1;
            }
            turns
        };
        let _other = scheduler.spawn_with(&RETURN, yields).unwrap();
        let job = scheduler.spawn_with(&RETURN, yields).unwrap();
        (0..3).for_each(|_| assert_eq!(turn(&scheduler), Turn::Busy));
        assert!(job.cancel());
        assert_eq!(job.join().unwrap(), 2);
    }

    #[test]
    fn join_in_a_cancelled_job_returns_an_error() {
        let scheduler = scheduler();
        let never = scheduler.spawn(park).unwrap();
        let joins = move || matches!(never.join(), Err(JoinError::Wait(WaitError::Cancelled)));
        let job = scheduler.spawn_with(&RETURN, joins).unwrap();
        turn(&scheduler);
        assert!(job.cancel());
        assert!(job.join().unwrap());
    }

    #[test]
    fn a_job_whose_waiter_was_cancelled_ends_as_usual() {
        let scheduler = scheduler();
        let (left, first) = parks(&scheduler);
        let joins = scheduler.spawn(move || first.join().is_ok()).unwrap();
        turn(&scheduler);
        assert!(joins.cancel());
        left.take().unwrap().wake();
        scheduler.run().unwrap();
    }

    #[test]
    fn a_destructor_may_cancel_another_job_while_the_scheduler_is_dropped() {
        struct Cancels(Option<JoinHandle<Result<(), WaitError>>>, Rc<Cell<u32>>);
        impl Drop for Cancels {
            fn drop(&mut self) {
                if let Some(job) = self.0.take() {
                    job.cancel();
                }
                self.1.set(self.1.get() + 1);
            }
        }
        let scheduler = scheduler();
        let dropped = Rc::new(Cell::new(0));
        for _ in 0..5 {
            let victim = scheduler.spawn(park).unwrap();
            let cancels = Cancels(Some(victim), Rc::clone(&dropped));
            let body = move || {
                let _cancels = cancels;
                let _ = park();
            };
            scheduler.spawn(body).unwrap();
        }
        turn(&scheduler);
        drop(scheduler);
        assert_eq!(dropped.get(), 5);
    }

    #[test]
    fn after_a_deadlock_was_reported_the_jobs_can_still_be_woken() {
        let scheduler = scheduler();
        let (left, job) = parks(&scheduler);
        let other = scheduler.spawn(park).unwrap();
        turn(&scheduler);
        let handle = left.take().unwrap();
        handle.wake();
        drop(handle);
        assert!(matches!(scheduler.run(), Err(RunError::Deadlock(1))));
        assert!(job.join().unwrap().is_ok());
        assert!(other.cancel());
        scheduler.run().unwrap();
    }
}

mod one_inside_another {
    use super::*;

    #[test]
    fn a_job_may_wait_for_a_job_of_another_scheduler() {
        let (one, two) = (scheduler(), scheduler());
        let (left, first) = parks(&two);
        let joins = one.spawn(move || first.join().unwrap().is_ok()).unwrap();
        turn(&one);
        turn(&two);
        left.take().unwrap().wake();
        turn(&two);
        turn(&one);
        assert!(joins.join().unwrap());
    }

    #[test]
    fn a_job_that_drops_a_scheduler_of_its_own_stays_current() {
        let outer = scheduler();
        let job = outer
            .spawn(|| {
                let me = job::current();
                let inner = scheduler();
                inner.spawn(park).unwrap();
                turn(&inner);
                drop(inner);
                yield_now().unwrap();
                job::current() == me
            })
            .unwrap();
        outer.run().unwrap();
        assert!(job.join().unwrap());
    }

    #[test]
    fn a_plain_job_may_run_a_scheduler_and_pause_between_turns() {
        let body = || {
            let inner = scheduler();
            let job = inner.spawn(|| (0..3).for_each(|_| yield_now().unwrap())).unwrap();
            while !job.is_finished() {
                turn(&inner);
                job::pause().unwrap();
            }
        };
        let mut progress = job::start(body).unwrap();
        let mut pauses = 0;
        while let job::Progress::Paused(job) = progress {
            pauses += 1;
            progress = job.resume();
        }
        assert_eq!(pauses, 4);
    }

    #[test]
    fn a_plain_job_inside_a_job_pauses_to_that_one_and_waits_for_nobody() {
        let outer = scheduler();
        let job = outer
            .spawn(|| {
                let nested = || {
                    let refused = matches!(park(), Err(WaitError::NotDriven));
                    yield_now().unwrap();
                    job::pause().unwrap();
                    refused
                };
                let Ok(job::Progress::Paused(nested)) = job::start(nested) else {
                    panic!("it pauses")
                };
                yield_now().unwrap();
                matches!(nested.resume(), job::Progress::Finished(true))
            })
            .unwrap();
        outer.run().unwrap();
        assert!(job.join().unwrap());
    }
}
