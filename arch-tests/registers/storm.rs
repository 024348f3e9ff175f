//! A storm of signals: each is handled on the stack it finds, below its stack pointer.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A thread that sends SIGPROF to the one that started it. A timer would do the same, but
/// no oftener than the kernel ticks, and perhaps to another thread of the test harness.
pub(crate) struct Storm {
    over: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
}

thread_local! {
    /// Signals that this thread has handled.
    static HANDLED: Cell<usize> = const { Cell::new(0) };
}

extern "C" fn on_signal(_: libc::c_int) {
    HANDLED.set(HANDLED.get() + 1);
}

impl Storm {
    pub(crate) fn start() -> Self {
        let handler = on_signal as *const () as libc::sighandler_t;
        // SAFETY: the handler only adds to a cell of the thread it runs on.
        assert_ne!(unsafe { libc::signal(libc::SIGPROF, handler) }, libc::SIG_ERR);
        HANDLED.set(0);
        let over = Arc::new(AtomicBool::new(false));
        // SAFETY: no preconditions. A pthread_t is a number or a pointer.
        let target = unsafe { libc::pthread_self() } as usize;
        let sender = thread::spawn({
            let over = over.clone();
            move || {
                while !over.load(Relaxed) {
                    // SAFETY: the target waits for this thread when it drops the Storm.
                    unsafe { libc::pthread_kill(target as libc::pthread_t, libc::SIGPROF) };
                    thread::sleep(Duration::from_micros(20));
                }
            }
        });
        Storm { over, sender: Some(sender) }
    }

    /// Counts to `least`, and on until enough signals have come.
    pub(crate) fn count(&self, least: usize) -> impl Iterator<Item = usize> + use<> {
        const ENOUGH: usize = 100;
        const PATIENCE: usize = 10_000;
        (0..).take_while(move |&n| {
            assert!(n / PATIENCE < least, "no storm");
            n < least || HANDLED.get() < ENOUGH
        })
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        let _ = self.sender.take().map(JoinHandle::join);
    }
}
