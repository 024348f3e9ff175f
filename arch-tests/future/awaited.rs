//! `future::run`: when it is polled, woken, and dropped.

use std::cell::{Cell, RefCell};
use std::io;
#[cfg(unix)]
use std::os::fd::RawFd;
#[cfg(windows)]
use std::os::windows::io::RawSocket as RawFd;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use siding::future::{self, NoReactor, Reactor, Waiting};
use siding::job::{self, Interest, Options, WaitCtx, WaitError};

use super::Hand;

#[test]
fn a_job_that_does_not_wait_is_ready_at_once() {
    let mut task = Hand::new(future::run(|| 42));
    assert!(matches!(task.poll(), Poll::Ready(Ok(42))));
    assert_eq!(task.woken(), 0);
}

#[test]
fn nothing_runs_before_the_first_poll() {
    let ran = Rc::new(Cell::new(false));
    let seen = Rc::clone(&ran);
    drop(future::run(move || seen.set(true)));
    assert!(!ran.get());
}

#[test]
fn a_wake_from_another_thread_wakes_the_task_once() {
    let (send, receive) = mpsc::channel();
    let mut task = Hand::new(future::run(move || {
        send.send(job::wake_handle().unwrap()).unwrap();
        job::park().unwrap();
        job::park().unwrap();
    }));
    assert!(task.poll().is_pending());
    let wake = receive.recv().unwrap();
    for times in 1..=2 {
        assert!(task.poll().is_pending(), "polled without a reason it goes on waiting");
        let wake = wake.clone();
        thread::spawn(move || wake.wake()).join().unwrap();
        assert_eq!(task.woken(), times);
        assert_eq!(task.poll().is_ready(), times == 2);
    }
    wake.wake();
    assert_eq!(task.woken(), 2, "too late");
}

#[test]
fn a_waker_that_panics_when_it_is_replaced_costs_the_next_job_no_wake() {
    let mut first = Hand::new(future::run(|| job::park().unwrap()));
    assert!(first.poll_for_a_bomb().is_pending());
    panic::catch_unwind(AssertUnwindSafe(|| first.poll())).unwrap_err();
    let (send, receive) = mpsc::channel();
    let mut next = Hand::new(future::run(move || {
        send.send(job::wake_handle().unwrap()).unwrap();
        job::park().unwrap();
    }));
    assert!(next.poll().is_pending());
    receive.recv().unwrap().wake();
    assert_eq!(next.woken(), 1);
    assert!(next.poll().is_ready());
}

#[test]
fn a_wake_that_comes_before_the_wait_is_not_lost() {
    let mut task = Hand::new(future::run(|| {
        job::wake_handle().unwrap().wake();
        job::park()
    }));
    assert!(matches!(task.poll(), Poll::Ready(Ok(Ok(())))));
}

#[test]
fn the_last_waker_counts() {
    let (send, receive) = mpsc::channel();
    let mut first = Hand::new(future::run(move || {
        send.send(job::wake_handle().unwrap()).unwrap();
        job::park().unwrap();
    }));
    assert!(first.poll().is_pending());
    let Hand { future, woken } = first;
    let mut second = Hand::new(future);
    assert!(second.poll().is_pending());
    receive.recv().unwrap().wake();
    assert_eq!((woken.times(), second.woken()), (0, 1));
}

#[test]
fn a_job_that_yields_lets_other_tasks_run() {
    let mut task = Hand::new(future::run(|| job::yield_now().unwrap()));
    assert!(task.poll().is_pending());
    assert_eq!(task.woken(), 1);
    assert!(task.poll().is_ready());
}

#[test]
fn a_pause_waits_for_the_callback_of_the_wait_context() {
    let ctx = WaitCtx::new();
    let engines = ctx.clone();
    let (complete, completed) = mpsc::channel();
    let options = Options::new().wait_ctx(ctx.clone());
    let mut task = Hand::new(future::run_with(options, NoReactor, move || {
        // An engine takes the callback when it has submitted the operation.
        let callback = engines.callback().expect("set before the job runs");
        let device = thread::spawn(move || {
            completed.recv().unwrap();
            callback.call()
        });
        job::pause().unwrap();
        device.join().unwrap()
    }));
    assert!(task.poll().is_pending());
    complete.send(()).unwrap();
    while task.woken() == 0 {
        thread::yield_now();
    }
    assert!(matches!(task.poll(), Poll::Ready(Ok(1))));
}

#[test]
fn dropping_the_future_unwinds_the_job() {
    struct Dropped(Rc<Cell<bool>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let dropped = Rc::new(Cell::new(false));
    let local = Dropped(Rc::clone(&dropped));
    let mut task = Hand::new(future::run(move || {
        let _local = local;
        let _ = job::park();
        unreachable!("cancelled")
    }));
    assert!(matches!(task.poll(), Poll::<Result<(), _>>::Pending));
    assert!(!dropped.get());
    drop(task);
    assert!(dropped.get());
}

#[test]
fn a_wake_after_the_drop_is_harmless() {
    let (send, receive) = mpsc::channel();
    let mut task = Hand::new(future::run(move || {
        send.send(job::wake_handle().unwrap()).unwrap();
        job::park()
    }));
    assert!(task.poll().is_pending());
    let wake = receive.recv().unwrap();
    let Hand { future, woken } = task;
    let racing = wake.clone();
    let racer = thread::spawn(move || (0..1000).for_each(|_| racing.wake()));
    drop(future);
    racer.join().unwrap();
    let before = woken.times();
    wake.wake();
    assert_eq!(woken.times(), before);
}

#[test]
fn a_panic_comes_out_of_the_poll_and_ends_the_future() {
    let mut task = Hand::new(future::run(|| {
        job::yield_now().unwrap();
        panic::resume_unwind(Box::new("out"));
    }));
    assert!(matches!(task.poll(), Poll::<Result<(), _>>::Pending));
    let payload = panic::catch_unwind(AssertUnwindSafe(|| task.poll())).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"out"));
    let again = panic::catch_unwind(AssertUnwindSafe(|| task.poll())).unwrap_err();
    assert_eq!(again.downcast_ref(), Some(&"polled after its end"));
}

#[test]
fn without_a_reactor_descriptors_and_instants_are_errors_in_the_job() {
    let reader = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut task = Hand::new(future::run(move || {
        (job::wait_fd(&reader, job::Interest::Readable, None), job::sleep(Duration::from_millis(1)))
    }));
    let Poll::Ready(Ok(result)) = task.poll() else { panic!("it waits") };
    assert!(matches!(result, (Err(WaitError::NoReactor), Err(WaitError::NoReactor))), "{result:?}");
    assert!(result.1.unwrap_err().to_string().contains("run_with"), "it says what to do");
}

/// It would be resumed again and again.
#[test]
fn a_pause_for_a_descriptor_that_a_reactor_cannot_wait_for_is_an_error() {
    struct Broken(io::ErrorKind);
    impl Reactor for Broken {
        fn ready(&self, _: RawFd, _: job::Interest) -> Waiting {
            Box::pin(std::future::ready(Err(self.0.into())))
        }

        fn at(&self, _: Instant) -> Waiting {
            unreachable!("nobody waits for an instant")
        }
    }
    for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported] {
        let ctx = WaitCtx::new();
        ctx.set_wait_fd(job::Key::from(1), 1).unwrap();
        let options = Options::new().wait_ctx(ctx.clone());
        let mut task = Hand::new(future::run_with(options, Broken(kind), move || {
            let failed = job::pause();
            ctx.clear_fd(job::Key::from(1));
            ctx.callback().unwrap().call();
            (failed, job::pause())
        }));
        let result = task.poll();
        let Poll::Ready(Ok(result)) = result else { panic!("{result:?}") };
        assert_eq!(result, (Err(job::Cancelled), Ok(())), "{kind:?}: only the one that failed");
    }
}

#[test]
fn a_reactor_lets_go_of_a_descriptor_before_the_cancelled_job_closes_it() {
    type Log = Rc<RefCell<Vec<&'static str>>>;
    struct Says(Log, &'static str);
    impl Drop for Says {
        fn drop(&mut self) {
            self.0.borrow_mut().push(self.1);
        }
    }
    struct Never(Log);
    impl Reactor for Never {
        fn ready(&self, _: RawFd, _: Interest) -> Waiting {
            let says = Says(Rc::clone(&self.0), "reactor");
            Box::pin(async move {
                let _says = says;
                std::future::pending().await
            })
        }
        fn at(&self, _: Instant) -> Waiting {
            unreachable!("no deadline")
        }
    }
    let log = Log::default();
    let says = Says(Rc::clone(&log), "job");
    let reader = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut task = Hand::new(future::run_with(Options::new(), Never(Rc::clone(&log)), move || {
        let _says = says;
        let _ = job::wait_fd(&reader, Interest::Readable, None);
    }));
    assert!(task.poll().is_pending());
    drop(task);
    assert_eq!(*log.borrow(), ["reactor", "job"]);
}
