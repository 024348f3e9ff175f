//! `future::block_on`.

use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use siding::future::{self, block_on};
use siding::job::{self, Progress, WaitError};
use siding::scheduler::Scheduler;

use super::Hand;

/// A future that is ready once its waker has been called on another thread.
fn woken_elsewhere() -> impl Future<Output = u32> {
    let mut device = None;
    poll_fn(move |cx| match &device {
        None => {
            let waker: Waker = cx.waker().clone();
            device = Some(thread::spawn(move || {
                thread::sleep(Duration::from_millis(2));
                waker.wake();
            }));
            Poll::Pending
        }
        Some(device) if device.is_finished() => Poll::Ready(7),
        // Woken, but not yet seen to have ended.
        Some(_) => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
}

#[test]
fn a_future_that_is_ready_needs_no_job() {
    assert_eq!(block_on(ready(5)).unwrap(), 5);
    assert!(matches!(block_on(pending::<()>()), Err(WaitError::NotDriven)));
}

#[test]
fn in_a_job_of_a_scheduler() {
    let scheduler = Scheduler::new().unwrap();
    let (first, second) = (
        scheduler.spawn(|| block_on(woken_elsewhere()).unwrap()).unwrap(),
        scheduler.spawn(|| block_on(woken_elsewhere()).unwrap()).unwrap(),
    );
    scheduler.run().unwrap();
    assert_eq!(first.join().unwrap() + second.join().unwrap(), 14);
}

#[test]
fn in_a_job_that_is_itself_awaited() {
    let mut task = Hand::new(future::run(|| block_on(woken_elsewhere()).unwrap()));
    assert!(task.poll().is_pending());
    loop {
        if let Poll::Ready(result) = task.poll() {
            assert_eq!(result.unwrap(), 7);
            return;
        }
        while task.woken() == 0 {
            thread::yield_now();
        }
    }
}

#[test]
fn a_waker_that_wakes_itself_is_enough() {
    let scheduler = Scheduler::new().unwrap();
    let mut left = 3;
    let count = move || {
        block_on(poll_fn(move |cx| {
            cx.waker().wake_by_ref();
            left -= 1;
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        }))
    };
    let done = scheduler.spawn(count).unwrap();
    scheduler.run().unwrap();
    done.join().unwrap().unwrap();
}

#[test]
fn a_cancelled_job_drops_the_future() {
    struct Dropped(Rc<Cell<bool>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let dropped = Rc::new(Cell::new(false));
    let held = Dropped(Rc::clone(&dropped));
    let scheduler = Scheduler::new().unwrap();
    let handle = scheduler
        .spawn(move || {
            let _ = block_on(async move {
                let _held = held;
                pending::<()>().await;
            });
        })
        .unwrap();
    scheduler.turn(Some(Duration::ZERO)).unwrap();
    assert!(!dropped.get());
    handle.cancel();
    assert!(dropped.get());
}

#[test]
fn where_the_job_must_not_pause_it_is_an_error() {
    let scheduler = Scheduler::new().unwrap();
    let result = scheduler
        .spawn(|| {
            let _block = job::block_pause();
            block_on(pending::<()>())
        })
        .unwrap();
    scheduler.run().unwrap();
    assert!(matches!(result.join().unwrap(), Err(WaitError::Blocked)));
}

#[test]
fn in_a_job_that_nobody_drives_it_is_an_error() {
    let Ok(Progress::Finished(result)) = job::start(|| block_on(pending::<()>())) else {
        panic!("it paused");
    };
    assert!(matches!(result, Err(WaitError::NotDriven)));
}

#[test]
fn a_waker_kept_by_another_thread_outlives_the_job() {
    let (send, receive) = mpsc::channel::<Waker>();
    let scheduler = Scheduler::new().unwrap();
    let keep = move || {
        block_on(poll_fn(|cx| {
            send.send(cx.waker().clone()).unwrap();
            Poll::Ready(())
        }))
    };
    scheduler.spawn(keep).unwrap();
    scheduler.run().unwrap();
    thread::spawn(move || receive.recv().unwrap().wake()).join().unwrap();
}
