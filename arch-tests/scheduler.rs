//! Many jobs on one thread: who runs when, what ends a wait, and what happens at the end.
#![allow(unsafe_code, reason = "forks, and polls a descriptor")]

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use siding::job::{self, CancelMode, Options, WaitCtx, WaitError, Wake};
use siding::scheduler::{
    Interest, JoinError, RunError, Scheduler, Turn, park, park_until, sleep, wait_fd, wake_handle,
    yield_now,
};

use crate::common;

fn scheduler() -> Scheduler {
    Scheduler::new().expect("a scheduler")
}

/// Long enough for anything but a hang.
const LONG: Duration = Duration::from_secs(60);

mod joining {
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
                let children: Vec<_> =
                    (0..100).map(|i| spawner.spawn(move || i).unwrap()).collect();
                children.into_iter().map(|child| child.join().unwrap()).sum::<i32>()
            })
            .unwrap();
        scheduler.run().unwrap();
        assert_eq!(job.join().unwrap(), 4950);
    }
}

mod turns {
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

    /// Runs `other` beside a job that yields until it has ended.
    fn beside_a_yielder(other: impl FnOnce() + 'static) {
        let scheduler = scheduler();
        let done = Rc::new(Cell::new(false));
        let (ours, theirs) = (Rc::clone(&done), done);
        let body = move || {
            other();
            theirs.set(true);
        };
        scheduler.spawn(body).unwrap();
        let start = Instant::now();
        let yielder = scheduler
            .spawn(move || {
                while !ours.get() && start.elapsed() < LONG {
                    yield_now().unwrap();
                }
                ours.get()
            })
            .unwrap();
        scheduler.run().unwrap();
        assert!(yielder.join().unwrap(), "starved");
    }

    #[test]
    fn a_yielding_job_does_not_starve_a_sleeper() {
        beside_a_yielder(|| sleep(Duration::from_millis(3)).unwrap());
    }

    #[test]
    fn two_yielding_jobs_do_not_starve_a_descriptor() {
        let (reader, mut writer) = UnixStream::pair().unwrap();
        let thread = thread::spawn(move || writer.write_all(b"x").unwrap());
        beside_a_yielder(move || wait_fd(&reader, Interest::Readable, None).unwrap());
        thread.join().unwrap();
    }

    #[test]
    fn a_yielding_job_does_not_starve_a_woken_one() {
        let (send, receive) = mpsc::channel::<Wake>();
        let thread = thread::spawn(move || {
            let wake = receive.recv().unwrap();
            thread::sleep(Duration::from_millis(3));
            wake.wake();
        });
        beside_a_yielder(move || {
            send.send(wake_handle().unwrap()).unwrap();
            park().unwrap();
        });
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
    fn another_loop_can_drive_it_by_its_descriptor() {
        let scheduler = scheduler();
        let (send, receive) = mpsc::channel::<Wake>();
        let job = scheduler
            .spawn(move || {
                for _ in 0..20 {
                    send.send(wake_handle().unwrap()).unwrap();
                    park().unwrap();
                }
            })
            .unwrap();
        let thread = thread::spawn(move || {
            for wake in receive {
                thread::sleep(Duration::from_micros(300));
                wake.wake();
            }
        });
        loop {
            match scheduler.turn(Some(Duration::ZERO)).unwrap() {
                Turn::Idle => break,
                Turn::Waiting => assert!(becomes_readable(scheduler.as_fd()), "a lost wake"),
                _ => {}
            }
        }
        thread.join().unwrap();
        job.join().unwrap();
    }

    fn becomes_readable(fd: BorrowedFd<'_>) -> bool {
        let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd.
        unsafe { libc::poll(&raw mut poll, 1, LONG.as_millis() as i32) == 1 }
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
}

mod waiting {
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
        let job =
            scheduler.spawn(|| park_until(Instant::now() + Duration::from_millis(5))).unwrap();
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
        let readable =
            scheduler.spawn(move || wait_fd(&*reader, Interest::Readable, None)).unwrap();
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
}

mod deadlock {
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
}

mod ending {
    use super::*;

    /// Counts what is dropped.
    struct Drops(Rc<Cell<usize>>);

    impl Drop for Drops {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn dropping_it_unwinds_its_jobs() {
        let drops = Rc::new(Cell::new(0));
        let (reader, _writer) = UnixStream::pair().unwrap();
        let reader = Rc::new(reader);
        let waits: [Box<dyn FnOnce()>; 4] = [
            Box::new(|| drop(park())),
            Box::new(|| drop(sleep(LONG))),
            Box::new(move || drop(wait_fd(&*reader, Interest::Readable, None))),
            Box::new(|| drop(yield_now())),
        ];
        let scheduler = scheduler();
        for wait in waits {
            let drops = Drops(Rc::clone(&drops));
            let body = move || {
                let _drops = drops;
                wait();
                wait_for_ever();
            };
            scheduler.spawn(body).unwrap();
        }
        scheduler.turn(Some(Duration::ZERO)).unwrap();
        let never_run = Drops(Rc::clone(&drops));
        scheduler.spawn(move || drop(never_run)).unwrap();
        drop(scheduler);
        assert_eq!(drops.get(), 5);
    }

    fn wait_for_ever() {
        while park().is_ok() {}
    }

    #[test]
    fn dropping_it_lets_jobs_in_return_mode_find_their_way_out() {
        let found = Rc::new(Cell::new(false));
        let ours = Rc::clone(&found);
        let scheduler = scheduler();
        let options = Options::new().cancel_mode(CancelMode::Return);
        let body = move || ours.set(matches!(park(), Err(WaitError::Cancelled)));
        scheduler.spawn_with(&options, body).unwrap();
        scheduler.turn(Some(Duration::ZERO)).unwrap();
        drop(scheduler);
        assert!(found.get());
    }

    #[test]
    fn a_cancelled_job_says_so() {
        let scheduler = scheduler();
        let job = scheduler.spawn(park).unwrap();
        scheduler.turn(Some(Duration::ZERO)).unwrap();
        assert!(job.cancel());
        assert!(matches!(job.join(), Err(JoinError::Cancelled)));
    }

    #[test]
    fn a_job_that_has_not_run_can_be_cancelled() {
        let scheduler = scheduler();
        let ran = Rc::new(Cell::new(false));
        let ours = Rc::clone(&ran);
        let job = scheduler.spawn(move || ours.set(true)).unwrap();
        assert!(job.cancel());
        scheduler.run().unwrap();
        assert!(!ran.get());
    }

    #[test]
    fn a_job_cannot_cancel_itself() {
        let scheduler = scheduler();
        let own = Rc::new(RefCell::new(None));
        let ours = Rc::clone(&own);
        let job = scheduler
            .spawn(move || {
                let own: Option<siding::scheduler::JoinHandle<()>> = ours.take();
                let cancelled = own.unwrap().cancel();
                assert!(!cancelled);
            })
            .unwrap();
        let id = job.id();
        *own.borrow_mut() = Some(job);
        scheduler.run().unwrap();
        assert!(own.borrow().is_none(), "{id:?} has run");
    }

    #[test]
    fn a_job_cancels_another() {
        let scheduler = scheduler();
        let drops = Rc::new(Cell::new(0));
        let theirs = Drops(Rc::clone(&drops));
        let body = move || {
            let _theirs = theirs;
            wait_for_ever();
        };
        let victim = scheduler.spawn(body).unwrap();
        let job = scheduler
            .spawn(move || {
                yield_now().unwrap();
                victim.cancel()
            })
            .unwrap();
        scheduler.run().unwrap();
        assert!(job.join().unwrap());
        assert_eq!(drops.get(), 1);
    }

    #[test]
    fn cancelling_the_one_waited_for_ends_the_wait() {
        let scheduler = scheduler();
        let victim = Rc::new(scheduler.spawn(park).unwrap());
        let waiter = Rc::clone(&victim);
        let body = move || while !waiter.is_finished() && yield_now().is_ok() {};
        scheduler.spawn(body).unwrap();
        scheduler.turn(Some(Duration::ZERO)).unwrap();
        victim.cancel();
        assert!(scheduler.run().is_ok());
    }

    #[test]
    fn no_job_is_spawned_while_it_ends() {
        struct Spawns(siding::scheduler::Spawner, Rc<Cell<bool>>);
        impl Drop for Spawns {
            fn drop(&mut self) {
                let error = self.0.spawn(park).unwrap_err().error;
                self.1.set(matches!(error, job::StartError::NoScheduler));
            }
        }
        let scheduler = scheduler();
        let refused = Rc::new(Cell::new(false));
        let spawns = Spawns(scheduler.spawner(), Rc::clone(&refused));
        let body = move || {
            let _spawns = spawns;
            wait_for_ever();
        };
        scheduler.spawn(body).unwrap();
        scheduler.turn(Some(Duration::ZERO)).unwrap();
        drop(scheduler);
        assert!(refused.get());
    }

    #[test]
    fn a_forked_child_is_refused() {
        let scheduler = scheduler();
        scheduler.spawn(park).unwrap();
        scheduler.turn(Some(Duration::ZERO)).unwrap();
        common::passes(|| assert!(matches!(scheduler.run(), Err(RunError::Forked))));
    }

    #[test]
    fn a_forked_child_can_have_one_of_its_own() {
        let parents = scheduler();
        parents.spawn(park).unwrap();
        common::passes(|| {
            let scheduler = scheduler();
            let job = scheduler.spawn(|| sleep(Duration::from_millis(2)).is_ok()).unwrap();
            scheduler.run().unwrap();
            assert!(job.join().unwrap());
        });
    }
}
