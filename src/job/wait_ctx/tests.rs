//! What needs `reset`, `shut` or the C forms without a job around them, so that Miri can
//! run it. What users see is tested in `arch-tests/wait_ctx.rs`.

use crate::sys::fd::AsyncFd;
use std::array;
use std::ffi::{c_int, c_void};
use std::mem::{self, ManuallyDrop};
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{hint, thread};

use super::{Callback, Key, Status, WaitCtx};

/// How often a race is run.
const ROUNDS: usize = if cfg!(miri) { 15 } else { 2000 };

/// The key of the tests that use the fd as its own key.
fn key(fd: AsyncFd) -> Key {
    Key::from(fd as usize)
}

fn set(ctx: &WaitCtx, fd: AsyncFd) {
    ctx.set_wait_fd(key(fd), fd).unwrap();
}

#[test]
fn the_worked_example() {
    let ctx = WaitCtx::new();
    let see = |all: &[AsyncFd], added: &[AsyncFd], deleted: &[AsyncFd]| {
        assert_eq!(ctx.all_fds(), all);
        assert_eq!(ctx.changed_fds(), (added.to_vec(), deleted.to_vec()));
    };
    set(&ctx, 10);
    see(&[10], &[10], &[]); // before the start
    set(&ctx, 20);
    see(&[20, 10], &[20, 10], &[]); // call 1 paused
    ctx.reset();
    see(&[20, 10], &[], &[]); // call 2 paused
    ctx.reset();
    set(&ctx, 30);
    assert!(ctx.clear_fd(key(20)));
    see(&[30, 10], &[30], &[20]); // call 3 paused
    ctx.reset();
    assert!(ctx.clear_fd(key(30)));
    set(&ctx, 30);
    see(&[30, 10], &[30], &[30]); // call 4 paused
    ctx.reset();
    set(&ctx, 40);
    assert!(ctx.clear_fd(key(30)));
    see(&[40, 10], &[40], &[30]); // call 5 finished
    see(&[40, 10], &[40], &[30]); // call 6, the next job, paused
    ctx.reset();
    see(&[40, 10], &[], &[]); // call 7 finished
}

#[test]
fn a_reset_without_changes_leaves_all_as_it_is() {
    let ctx = WaitCtx::new();
    ctx.reset();
    set(&ctx, 1);
    ctx.reset();
    assert!(!ctx.shared().changed.load(Ordering::Relaxed), "the next reset takes no lock");
    ctx.reset();
    assert_eq!(ctx.all_fds(), [1]);
    assert_eq!(ctx.changed_fds(), (vec![], vec![]));
}

#[test]
fn the_closure_of_a_cleared_fd_is_dropped_at_the_reset_without_being_called() {
    let owned = Arc::new(());
    let ctx = WaitCtx::new();
    let kept = owned.clone();
    ctx.set_wait_fd_with(key(1), 1, move |_, _, _| unreachable!("{kept:?}")).unwrap();
    ctx.reset();
    assert!(ctx.clear_fd(key(1)));
    assert_eq!(Arc::strong_count(&owned), 2, "while the fd shows as deleted");
    ctx.reset();
    assert_eq!(Arc::strong_count(&owned), 1);
}

/// Calls back into a context when dropped: hangs if that happens under the lock.
struct Nosy(WaitCtx);

impl Drop for Nosy {
    fn drop(&mut self) {
        self.0.all_fds();
    }
}

#[test]
fn destructors_of_what_a_context_lets_go_may_call_back_into_it() {
    let ctx = WaitCtx::new();
    let add_nosy = || {
        let nosy = Nosy(ctx.clone());
        ctx.set_wait_fd_with(key(1), 1, move |_, _, _| drop(nosy)).unwrap();
    };
    add_nosy();
    assert!(ctx.clear_fd(key(1)));
    add_nosy();
    ctx.reset();
    assert!(ctx.clear_fd(key(1)));
    ctx.reset();
    add_nosy();
    let nosy = Nosy(ctx.clone());
    ctx.set_callback(Some(Callback::new(move || _ = nosy.0.status())));
    ctx.set_callback(None);
    ctx.shut();
}

#[test]
fn a_poisoned_lock_loses_nothing() {
    let ctx = WaitCtx::new();
    set(&ctx, 1);
    let poison = AssertUnwindSafe(|| {
        let _state = ctx.lock();
        panic::resume_unwind(Box::new("under the lock"));
    });
    panic::catch_unwind(poison).unwrap_err();
    set(&ctx, 2);
    assert_eq!(ctx.all_fds(), [2, 1]);
}

/// What cleanups were called with: context, key, fd.
type Calls = Mutex<Vec<(usize, usize, AsyncFd)>>;

/// A C cleanup whose custom data is a `Calls`.
unsafe extern "C" fn note(ctx: *mut c_void, key: *const c_void, fd: AsyncFd, data: *mut c_void) {
    // SAFETY: the tests pass such a list, which outlives the context.
    let calls = unsafe { &*data.cast_const().cast::<Calls>() };
    calls.lock().unwrap().push((ctx.addr(), key.addr(), fd));
}

/// A C cleanup that clears the fds with keys 1 (its own, so too late) and 2.
unsafe extern "C" fn clear_both(ctx: *mut c_void, _: *const c_void, _: AsyncFd, _: *mut c_void) {
    // SAFETY: C's name for a context that is there; the handle is borrowed.
    let ctx = ManuallyDrop::new(unsafe { WaitCtx::from_ptr(ctx) });
    ctx.clear_fd(key(1));
    ctx.clear_fd(key(2));
}

#[test]
fn c_gets_its_custom_data_back() {
    let ctx = WaitCtx::new();
    let mut data = 5;
    let data = (&raw mut data).cast();
    // SAFETY: there is no cleanup.
    unsafe { ctx.set_wait_fd_c(key(1), 7, data, None) }.unwrap();
    set(&ctx, 2);
    assert_eq!(ctx.fd_and_data(key(1)), Some((7, data)));
    assert_eq!(ctx.fd_and_data(key(2)), Some((2, ptr::null_mut())));
    assert_eq!(ctx.fd_and_data(key(3)), None);
    assert_eq!(ctx.fd(key(1)), Some(7));
}

#[test]
fn c_cleanups_get_context_key_fd_and_data() {
    let calls = Calls::default();
    let data = (&raw const calls).cast_mut().cast();
    let ctx = WaitCtx::new();
    let address = ctx.as_ptr().addr();
    // SAFETY: `note` may be called with `data` while `calls` is there.
    unsafe { ctx.set_wait_fd_c(key(1), 11, data, Some(note)) }.unwrap();
    // SAFETY: as above.
    unsafe { ctx.set_wait_fd_c(key(2), 22, data, Some(note)) }.unwrap();
    // SAFETY: there is no cleanup.
    unsafe { ctx.set_wait_fd_c(key(3), 33, data, None) }.unwrap();
    drop(ctx);
    assert_eq!(calls.into_inner().unwrap(), [(address, 2, 22), (address, 1, 11)]);
}

#[test]
fn a_c_cleanup_may_clear_fds_of_the_context_it_is_given() {
    let ctx = WaitCtx::new();
    let called = Arc::new(AtomicUsize::new(0));
    let count = called.clone();
    let count = move |_: &WaitCtx, _, _| _ = count.fetch_add(1, Ordering::Relaxed);
    ctx.set_wait_fd_with(key(3), 3, count.clone()).unwrap();
    ctx.set_wait_fd_with(key(2), 2, count).unwrap();
    // SAFETY: `clear_both` may be called with any context and ignores its data.
    unsafe { ctx.set_wait_fd_c(key(1), 1, ptr::null_mut(), Some(clear_both)) }.unwrap();
    drop(ctx);
    assert_eq!(called.load(Ordering::Relaxed), 1, "of 2, cleared in time, and 3");
}

#[test]
fn a_handle_survives_its_way_through_c() {
    let ctx = WaitCtx::new();
    set(&ctx, 1);
    let address = ctx.as_ptr();
    mem::forget(ctx);
    // SAFETY: a handle was forgotten for this one.
    let back = unsafe { WaitCtx::from_ptr(address) };
    assert_eq!(back.all_fds(), [1]);
    assert_eq!(back.clone().as_ptr(), address, "one name for all handles");
}

#[test]
fn a_context_shut_while_a_job_has_it_is_emptied_at_once_and_still_works() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let ctx = WaitCtx::new();
    for fd in [1, 2, 3] {
        let calls = calls.clone();
        let note = move |_: &WaitCtx, _, fd| calls.lock().unwrap().push(fd);
        ctx.set_wait_fd_with(key(fd), fd, note).unwrap();
    }
    ctx.set_callback(Some(Callback::new(|| ())));
    ctx.reset();
    ctx.clear_fd(key(2));
    let of_job = ctx.clone();
    assert!(!of_job.is_shut());
    ctx.shut();
    drop(ctx);
    assert_eq!(*calls.lock().unwrap(), [3, 1]);
    assert!(of_job.is_shut());
    assert!(of_job.all_fds().is_empty());
    assert_eq!(of_job.changed_fds(), (vec![], vec![]));
    assert!(of_job.callback().is_none());
    of_job.reset();
    let late = calls.clone();
    let note_late = move |_: &WaitCtx, _, fd| late.lock().unwrap().push(fd);
    of_job.set_wait_fd_with(key(4), 4, note_late).unwrap();
    drop(of_job);
    assert_eq!(*calls.lock().unwrap(), [3, 1, 4]);
}

/// A C callback whose argument is an `AtomicUsize` to count in; it returns the count.
unsafe extern "C" fn count(arg: *mut c_void) -> c_int {
    // SAFETY: the tests pass such a counter, which outlives the callback.
    let counter = unsafe { &*arg.cast_const().cast::<AtomicUsize>() };
    counter.fetch_add(1, Ordering::Relaxed) as c_int + 1
}

#[test]
fn rust_calls_the_callback_of_c() {
    let counter = AtomicUsize::new(0);
    let arg = (&raw const counter).cast_mut().cast();
    let ctx = WaitCtx::new();
    // SAFETY: `count` may be called with `arg` while `counter` is there.
    ctx.set_callback(Some(unsafe { Callback::from_c(count, arg) }));
    assert_eq!(ctx.callback().unwrap().call(), 1);
    assert_eq!(ctx.callback().unwrap().call(), 2);
    let (function, its_arg) = ctx.callback().unwrap().to_c();
    assert_eq!(its_arg, arg);
    // SAFETY: `function` is `count`.
    assert_eq!(unsafe { function(its_arg) }, 3);
}

#[test]
fn c_calls_the_callback_of_rust() {
    let counter = Arc::new(AtomicUsize::new(0));
    let ctx = WaitCtx::new();
    let counts = counter.clone();
    ctx.set_callback(Some(Callback::new(move || _ = counts.fetch_add(1, Ordering::Relaxed))));
    let (function, arg) = ctx.callback().unwrap().to_c();
    // SAFETY: the callback is still set.
    assert_eq!(unsafe { function(arg) }, 1);
    assert_eq!(counter.load(Ordering::Relaxed), 1);
}

#[test]
fn pollers_may_look_up_call_and_report_while_the_owner_resets() {
    const POLLERS: usize = 3;
    let ctx = WaitCtx::new();
    set(&ctx, 7);
    let calls = Arc::new(AtomicUsize::new(0));
    let counts = calls.clone();
    ctx.set_callback(Some(Callback::new(move || _ = counts.fetch_add(1, Ordering::Relaxed))));
    thread::scope(|scope| {
        for _ in 0..POLLERS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    assert_eq!(ctx.fd(key(7)), Some(7));
                    assert!(ctx.all_fds().contains(&7));
                    ctx.set_status(Status::OK);
                    ctx.callback().unwrap().call();
                }
            });
        }
        ctx.reset();
        for round in 0..ROUNDS {
            let fd = 1000 + round as AsyncFd;
            set(&ctx, fd);
            assert_eq!(ctx.changed_fds(), (vec![fd], vec![]));
            ctx.reset();
            assert_eq!(ctx.changed_fds(), (vec![], vec![]));
            assert!(ctx.clear_fd(key(fd)));
            assert_eq!(ctx.changed_fds(), (vec![], vec![fd]));
            ctx.reset();
            assert_eq!(ctx.all_fds(), [7]);
        }
    });
    assert_eq!(calls.load(Ordering::Relaxed), POLLERS * ROUNDS);
    assert_eq!(ctx.status(), Status::OK);
}

#[test]
fn what_other_threads_set_and_clear_survives_the_owners_resets() {
    const SETTERS: usize = 3;
    let cleaned = Arc::new(Mutex::new(Vec::new()));
    let ctx = WaitCtx::new();
    let work = |setter: usize| {
        for round in 0..ROUNDS {
            let fd = (setter * ROUNDS + round) as AsyncFd;
            let cleaned = cleaned.clone();
            let note = move |_: &WaitCtx, _, fd| cleaned.lock().unwrap().push(fd);
            ctx.set_wait_fd_with(key(fd), fd, note).unwrap();
            if round != 0 {
                assert!(ctx.clear_fd(key(fd)));
            }
        }
    };
    thread::scope(|scope| {
        let work = &work;
        let setters: [_; SETTERS] = array::from_fn(|setter| scope.spawn(move || work(setter)));
        while !setters.iter().all(|setter| setter.is_finished()) {
            ctx.reset();
            thread::yield_now();
        }
    });
    ctx.reset();
    let of_first_rounds: Vec<_> = (0..SETTERS).map(|setter| (setter * ROUNDS) as AsyncFd).collect();
    let mut left = ctx.all_fds();
    left.sort();
    assert_eq!(left, of_first_rounds);
    drop(ctx);
    let mut cleaned = mem::take(&mut *cleaned.lock().unwrap());
    cleaned.sort();
    assert_eq!(cleaned, of_first_rounds);
}

#[test]
fn handles_dropped_at_one_moment_end_the_context_once() {
    const HANDLES: usize = 2;
    let arrived = AtomicUsize::new(0);
    let cleaned = Arc::new(AtomicUsize::new(0));
    let drop_together = |handles: [WaitCtx; ROUNDS]| {
        for (round, handle) in handles.into_iter().enumerate() {
            arrived.fetch_add(1, Ordering::Relaxed);
            let mut spins = 0;
            while arrived.load(Ordering::Relaxed) < (round + 1) * HANDLES {
                spins += 1;
                if spins % 100 == 0 { thread::yield_now() } else { hint::spin_loop() }
            }
            drop(handle);
        }
    };
    let one: [WaitCtx; ROUNDS] = array::from_fn(|_| {
        let ctx = WaitCtx::new();
        let cleaned = cleaned.clone();
        let count = move |_: &WaitCtx, _, _| _ = cleaned.fetch_add(1, Ordering::Relaxed);
        ctx.set_wait_fd_with(key(1), 1, count).unwrap();
        ctx
    });
    let other = one.clone();
    thread::scope(|scope| {
        scope.spawn(|| drop_together(one));
        scope.spawn(|| drop_together(other));
    });
    assert_eq!(cleaned.load(Ordering::Relaxed), ROUNDS);
}
