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
use siding::scheduler::{RunError, Scheduler};

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

/// It would be polled again and again, and nobody else have a turn.
#[test]
fn a_future_that_wakes_itself_where_the_job_cannot_wait_is_an_error() {
    let wakes_itself = || {
        block_on(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }))
    };
    let Ok(Progress::Finished(alone)) = job::start(wakes_itself) else { panic!("it pauses") };
    assert!(matches!(alone, Err(WaitError::NotDriven)), "{alone:?}");
    let mut blocked = Hand::new(future::run(move || {
        let _blocked = job::block_pause();
        wakes_itself()
    }));
    let Poll::Ready(Ok(blocked)) = blocked.poll() else { panic!("it waits") };
    assert!(matches!(blocked, Err(WaitError::Blocked)), "{blocked:?}");
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

#[test]
fn a_wait_inside_the_poll_does_not_use_up_the_wake_of_the_future() {
    let mut polls = 0;
    let outer = poll_fn(move |cx| {
        polls += 1;
        if polls == 2 {
            return Poll::Ready(());
        }
        // Woken while the job waits for something else, deeper.
        let mut waker = Some(cx.waker().clone());
        let mut inner = Box::pin(woken_elsewhere());
        block_on(poll_fn(|cx| {
            let poll = inner.as_mut().poll(cx);
            if let Some(waker) = waker.take() {
                waker.wake();
            }
            poll
        }))
        .unwrap();
        Poll::Pending
    });
    let scheduler = Scheduler::new().unwrap();
    let done = scheduler.spawn(move || block_on(outer)).unwrap();
    scheduler.run().unwrap();
    done.join().unwrap().unwrap();
}

#[test]
fn a_future_that_wakes_itself_lets_other_jobs_run() {
    let ran = Rc::new(Cell::new(false));
    let (seen, mut polls) = (Rc::clone(&ran), 0);
    let busy = poll_fn(move |cx| {
        polls += 1;
        cx.waker().wake_by_ref();
        if seen.get() || polls == 1000 { Poll::Ready(polls) } else { Poll::Pending }
    });
    let scheduler = Scheduler::new().unwrap();
    let polls = scheduler.spawn(move || block_on(busy).unwrap()).unwrap();
    scheduler.spawn(move || ran.set(true)).unwrap();
    scheduler.run().unwrap();
    assert!(polls.join().unwrap() < 10);
}

#[test]
fn a_future_that_wakes_itself_can_be_cancelled() {
    let mut task = Hand::new(future::run(|| {
        block_on(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }))
    }));
    for _ in 0..3 {
        let before = task.woken();
        assert!(task.poll().is_pending());
        assert!(task.woken() > before);
    }
    drop(task);
}

#[test]
fn the_future_is_not_polled_for_wakes_of_others() {
    let (send, receive) = mpsc::channel();
    let polls = Rc::new(Cell::new(0));
    let count = Rc::clone(&polls);
    let mut task = Hand::new(future::run(move || {
        send.send(job::wake_handle().unwrap()).unwrap();
        block_on(poll_fn(|_| {
            count.set(count.get() + 1);
            Poll::<()>::Pending
        }))
    }));
    assert!(task.poll().is_pending());
    receive.recv().unwrap().wake();
    assert_eq!(task.woken(), 1);
    assert!(task.poll().is_pending());
    assert_eq!(polls.get(), 1);
}

#[test]
fn a_future_that_has_the_waker_already_is_offered_the_same() {
    let mut kept: Option<Waker> = None;
    let done = poll_fn(move |cx| match &kept {
        None => {
            kept = Some(cx.waker().clone());
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Some(kept) => Poll::Ready(kept.will_wake(cx.waker())),
    });
    let scheduler = Scheduler::new().unwrap();
    let same = scheduler.spawn(move || block_on(done).unwrap()).unwrap();
    scheduler.run().unwrap();
    assert!(same.join().unwrap());
}

/// A waker that is gone wakes nobody, and the scheduler knows.
#[test]
fn a_future_that_lets_its_waker_go_is_a_deadlock() {
    let scheduler = Scheduler::new().unwrap();
    let forget = poll_fn(|cx| {
        drop(cx.waker().clone().clone());
        Poll::<()>::Pending
    });
    scheduler.spawn(move || drop(block_on(forget))).unwrap();
    assert!(matches!(scheduler.run(), Err(RunError::Deadlock(1))));
}
