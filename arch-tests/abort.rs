//! What ends the process, each in a child of its own.

use std::cell::RefCell;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{process, ptr};

use crate::common::{dies_by, exits_with, passes};
use siding::coroutine::{Coroutine, Yielder, scope};

struct SuspendAtDrop<'a>(&'a Yielder<(), ()>);

impl Drop for SuspendAtDrop<'_> {
    fn drop(&mut self) {
        self.0.suspend(());
    }
}

#[test]
fn suspending_in_a_destructor_is_harmless_when_nothing_unwinds() {
    passes(|| {
        let mut coroutine = Coroutine::new(|yielder: &Yielder<(), ()>, ()| {
            drop(SuspendAtDrop(yielder));
        });
        coroutine.resume(());
        coroutine.resume(());
        assert!(coroutine.is_done());
    });
}

#[test]
fn suspending_in_a_destructor_during_forced_unwinding_aborts() {
    dies_by(libc::SIGABRT, || {
        let mut coroutine = Coroutine::new(|yielder: &Yielder<(), ()>, ()| {
            let _suspend = SuspendAtDrop(yielder);
            yielder.suspend(());
        });
        coroutine.resume(());
        drop(coroutine);
    });
}

mod scoped {
    use super::*;

    struct PanicAtDrop(bool);

    impl Drop for PanicAtDrop {
        fn drop(&mut self) {
            if self.0 {
                panic!("as it must");
            }
        }
    }

    fn leave_a_coroutine_that_keeps_catching() {
        let borrowed = String::from("borrowed");
        let endless = |yielder: &Yielder<(), ()>, ()| {
            while borrowed.len() == 8 {
                let _ = catch_unwind(AssertUnwindSafe(|| yielder.suspend(())));
            }
        };
        scope(endless, |mut coroutine| coroutine.resume(())).unwrap();
    }

    #[test]
    fn a_scoped_coroutine_that_keeps_catching_aborts() {
        let words = dies_by(libc::SIGABRT, leave_a_coroutine_that_keeps_catching);
        assert!(words.starts_with("siding: a scoped coroutine could not be unwound\n"), "{words}");
    }

    /// Runs on a thread that Rust did not start: from there `eprintln` goes to stderr, not
    /// into the test harness, and panics if nobody reads that.
    extern "C" fn leave_it_on_a_foreign_thread(_: *mut c_void) -> *mut c_void {
        let _ = catch_unwind(leave_a_coroutine_that_keeps_catching);
        ptr::null_mut()
    }

    #[test]
    #[allow(unsafe_code)]
    fn it_aborts_even_if_nobody_reads_stderr() {
        dies_by(libc::SIGABRT, || {
            let mut pipe = [0; 2];
            // SAFETY: writes two descriptors into the array.
            assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
            // SAFETY: both are open.
            unsafe { libc::dup2(pipe[1], libc::STDERR_FILENO) };
            // SAFETY: open, and used by nobody else. From here writing to stderr fails.
            unsafe { libc::close(pipe[0]) };
            let mut id = MaybeUninit::uninit();
            let (start, nothing) = (leave_it_on_a_foreign_thread, ptr::null_mut());
            // SAFETY: the function needs no argument.
            let started =
                unsafe { libc::pthread_create(id.as_mut_ptr(), ptr::null(), start, nothing) };
            assert_eq!(started, 0);
            // SAFETY: it was started, so its id is written.
            let id = unsafe { id.assume_init() };
            // SAFETY: joined once.
            unsafe { libc::pthread_join(id, ptr::null_mut()) };
        });
    }

    #[test]
    fn it_aborts_if_a_value_yielded_on_the_way_out_panics() {
        dies_by(libc::SIGABRT, || {
            let _ = catch_unwind(|| {
                let inside = |yielder: &Yielder<(), PanicAtDrop>, ()| {
                    let suspend = AssertUnwindSafe(|| yielder.suspend(PanicAtDrop(false)));
                    let _ = catch_unwind(suspend);
                    yielder.suspend(PanicAtDrop(true));
                };
                scope(inside, |mut coroutine| drop(coroutine.resume(()))).unwrap();
            });
        });
    }
}

/// `process::exit` destroys the thread-locals of its thread: here the one that owns the
/// very coroutine it is called in.
mod exit {
    use super::*;

    thread_local! {
        static KEPT: RefCell<Option<Coroutine<(), (), ()>>> = const { RefCell::new(None) };
    }

    fn resume_kept() {
        KEPT.with_borrow_mut(|kept| kept.as_mut().expect("just put there").resume(()));
    }

    #[test]
    fn a_coroutine_may_exit_the_process_when_it_first_runs() {
        exits_with(7, || {
            KEPT.set(Some(Coroutine::new(|_, ()| process::exit(7))));
            resume_kept();
        });
    }

    #[test]
    fn a_coroutine_may_exit_the_process_after_a_suspension() {
        exits_with(7, || {
            KEPT.set(Some(Coroutine::new(|yielder: &Yielder<(), ()>, ()| {
                yielder.suspend(());
                process::exit(7)
            })));
            resume_kept();
            resume_kept();
        });
    }

    #[test]
    fn the_process_may_exit_with_a_suspended_coroutine_in_a_thread_local() {
        exits_with(7, || {
            KEPT.set(Some(Coroutine::new(|yielder: &Yielder<(), ()>, ()| yielder.suspend(()))));
            resume_kept();
            process::exit(7);
        });
    }
}
