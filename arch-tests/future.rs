//! Jobs as futures, and futures inside jobs, polled by hand.
//! (Other people's runtimes: `arch-tests/runtimes`.)

mod awaited;
mod inside;
mod limits;
mod storm;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Counts how often a task was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Woken {
    fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A task that panics when it goes, with the last waker.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a task on its way out");
    }
}

/// A future polled by hand.
struct Hand<F> {
    future: F,
    woken: Arc<Woken>,
}

impl<F: Future + Unpin> Hand<F> {
    fn new(future: F) -> Self {
        Hand { future, woken: Arc::default() }
    }

    fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(&self.woken));
        pin!(&mut self.future).poll(&mut Context::from_waker(&waker))
    }

    fn woken(&self) -> usize {
        self.woken.times()
    }

    /// Polls it for a task that leaves its last waker with it.
    fn poll_for_a_bomb(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(Arc::new(Bomb));
        pin!(&mut self.future).poll(&mut Context::from_waker(&waker))
    }
}
