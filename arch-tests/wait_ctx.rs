//! Wait contexts in and around real jobs, sentence by sentence what ASYNC_WAIT_CTX_new(3)
//! and OpenSSL's own code say of them.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{ptr, thread};

use siding::job::{self, AsyncFd, Callback, Job, Key, Options, Progress, Status, WaitCtx};

mod free;

/// The key of the tests that use the fd as its own key.
fn key(fd: AsyncFd) -> Key {
    Key::from(fd as usize)
}

fn set(ctx: &WaitCtx, fd: AsyncFd) {
    ctx.set_wait_fd(key(fd), fd).unwrap();
}

/// Asserts what the context shows: all fds, the added, the deleted.
#[track_caller]
fn see(ctx: &WaitCtx, all: &[AsyncFd], added: &[AsyncFd], deleted: &[AsyncFd]) {
    assert_eq!(ctx.all_fds(), all, "all");
    assert_eq!(ctx.changed_fds(), (added.to_vec(), deleted.to_vec()), "(added, deleted)");
}

fn start(ctx: &WaitCtx, body: impl FnOnce() + 'static) -> Progress<()> {
    // One type of closure, so that one is compiled.
    let body: Box<dyn FnOnce()> = Box::new(body);
    Options::new().wait_ctx(ctx.clone()).start(body).unwrap()
}

#[track_caller]
fn paused(progress: Progress<()>) -> Job<()> {
    match progress {
        Progress::Paused(job) => job,
        Progress::Finished(()) => panic!("the job has finished"),
    }
}

#[track_caller]
fn finished(progress: Progress<()>) {
    assert!(matches!(progress, Progress::Finished(())), "the job has paused");
}

fn pause() {
    job::pause().unwrap();
}

/// Has a job on this context resumed.
fn reset(ctx: &WaitCtx) {
    finished(paused(start(ctx, pause)).resume());
}

/// The fds whose cleanups ran, in that order.
#[derive(Clone, Default)]
struct Cleaned(Arc<Mutex<Vec<AsyncFd>>>);

impl Cleaned {
    fn set(&self, ctx: &WaitCtx, fd: AsyncFd) {
        let cleaned = self.clone();
        let cleanup = move |_: &WaitCtx, its_key: Key, its_fd| {
            assert_eq!(its_key, key(its_fd));
            cleaned.0.lock().unwrap().push(its_fd);
        };
        ctx.set_wait_fd_with(key(fd), fd, cleanup).unwrap();
    }

    fn fds(&self) -> Vec<AsyncFd> {
        self.0.lock().unwrap().clone()
    }
}

// set_wait_fd, get_fd

#[test]
fn a_new_context_has_no_fds() {
    see(&WaitCtx::new(), &[], &[], &[]);
    see(&WaitCtx::default(), &[], &[], &[]);
}

#[test]
fn an_fd_that_is_set_counts_as_added() {
    let ctx = WaitCtx::new();
    set(&ctx, 7);
    see(&ctx, &[7], &[7], &[]);
    assert_eq!(ctx.fd(key(7)), Some(7));
}

#[test]
fn the_newest_fd_comes_first() {
    let ctx = WaitCtx::new();
    set(&ctx, 1);
    set(&ctx, 2);
    set(&ctx, 3);
    see(&ctx, &[3, 2, 1], &[3, 2, 1], &[]);
}

#[test]
fn neither_fds_nor_keys_are_validated() {
    let ctx = WaitCtx::new();
    ctx.set_wait_fd(Key::from(0), -1).unwrap();
    ctx.set_wait_fd(Key::from(usize::MAX), AsyncFd::MIN).unwrap();
    assert_eq!(ctx.fd(Key::from(0)), Some(-1));
    assert_eq!(ctx.fd(Key::from(usize::MAX)), Some(AsyncFd::MIN));
    assert!(ctx.clear_fd(Key::from(0)));
}

#[test]
fn the_same_key_twice_makes_two_entries_of_which_the_newest_wins() {
    let ctx = WaitCtx::new();
    ctx.set_wait_fd(key(0), 1).unwrap();
    ctx.set_wait_fd(key(0), 2).unwrap();
    see(&ctx, &[2, 1], &[2, 1], &[]);
    assert_eq!(ctx.fd(key(0)), Some(2));
}

#[test]
fn the_same_fd_may_have_two_keys() {
    let ctx = WaitCtx::new();
    ctx.set_wait_fd(key(1), 7).unwrap();
    ctx.set_wait_fd(key(2), 7).unwrap();
    assert!(ctx.clear_fd(key(1)));
    see(&ctx, &[7], &[7], &[]);
}

#[test]
fn an_unknown_key_has_no_fd() {
    let ctx = WaitCtx::new();
    set(&ctx, 1);
    assert_eq!(ctx.fd(key(2)), None);
}

#[test]
fn keys_are_addresses_that_others_do_not_have() {
    static ONE: u8 = 0;
    static OTHER: u8 = 0;
    assert_eq!(Key::of(&ONE), Key::from(ptr::from_ref(&ONE).addr()));
    assert_ne!(Key::of(&ONE), Key::of(&OTHER));
}

// clear_fd

#[test]
fn clearing_an_added_fd_shows_no_net_change() {
    let ctx = WaitCtx::new();
    set(&ctx, 1);
    set(&ctx, 2);
    assert!(ctx.clear_fd(key(1)));
    see(&ctx, &[2], &[2], &[]);
    assert_eq!(ctx.fd(key(1)), None);
}

#[test]
fn clearing_an_older_fd_shows_it_as_deleted_until_the_reset() {
    let ctx = WaitCtx::new();
    set(&ctx, 1);
    set(&ctx, 2);
    reset(&ctx);
    assert!(ctx.clear_fd(key(1)));
    see(&ctx, &[2], &[], &[1]);
    assert_eq!(ctx.fd(key(1)), None);
    reset(&ctx);
    see(&ctx, &[2], &[], &[]);
}

#[test]
fn deleted_fds_are_shown_in_the_order_in_which_they_were_set() {
    let ctx = WaitCtx::new();
    for fd in [1, 2, 3] {
        set(&ctx, fd);
    }
    reset(&ctx);
    for fd in [2, 1, 3] {
        assert!(ctx.clear_fd(key(fd)));
    }
    see(&ctx, &[], &[], &[3, 2, 1]);
}

#[test]
fn an_fd_set_again_after_it_was_cleared_shows_as_deleted_and_added() {
    let ctx = WaitCtx::new();
    set(&ctx, 1);
    reset(&ctx);
    assert!(ctx.clear_fd(key(1)));
    set(&ctx, 1);
    see(&ctx, &[1], &[1], &[1]);
    assert_eq!(ctx.fd(key(1)), Some(1));
}

#[test]
fn only_the_newest_of_two_equal_keys_is_cleared_and_the_older_shows_again() {
    let ctx = WaitCtx::new();
    ctx.set_wait_fd(key(0), 1).unwrap();
    ctx.set_wait_fd(key(0), 2).unwrap();
    reset(&ctx);
    assert!(ctx.clear_fd(key(0)));
    see(&ctx, &[1], &[], &[2]);
    assert_eq!(ctx.fd(key(0)), Some(1));
    assert!(ctx.clear_fd(key(0)));
    see(&ctx, &[], &[], &[2, 1]);
}

#[test]
fn clearing_an_unknown_key_or_a_second_time_does_nothing_and_says_so() {
    let ctx = WaitCtx::new();
    set(&ctx, 1);
    assert!(!ctx.clear_fd(key(2)));
    reset(&ctx);
    assert!(ctx.clear_fd(key(1)));
    assert!(!ctx.clear_fd(key(1)));
    see(&ctx, &[], &[], &[1]);
}

#[test]
fn clearing_never_calls_the_cleanup() {
    let ctx = WaitCtx::new();
    let cleaned = Cleaned::default();
    cleaned.set(&ctx, 1);
    cleaned.set(&ctx, 2);
    reset(&ctx);
    cleaned.set(&ctx, 3);
    assert!(ctx.clear_fd(key(3)), "added");
    assert!(ctx.clear_fd(key(2)));
    reset(&ctx);
    assert!(ctx.clear_fd(key(1)), "and still shown as deleted at the end");
    drop(ctx);
    assert_eq!(cleaned.fds(), []);
}

// The reset

#[test]
fn the_worked_example() {
    let ctx = WaitCtx::new();
    let inside = ctx.clone();
    set(&ctx, 10);
    see(&ctx, &[10], &[10], &[]);
    let job = paused(start(&ctx, move || {
        set(&inside, 20);
        pause();
        pause();
        set(&inside, 30);
        assert!(inside.clear_fd(key(20)));
        pause();
        assert!(inside.clear_fd(key(30)));
        set(&inside, 30);
        pause();
        set(&inside, 40);
        assert!(inside.clear_fd(key(30)));
    }));
    see(&ctx, &[20, 10], &[20, 10], &[]);
    let job = paused(job.resume());
    see(&ctx, &[20, 10], &[], &[]);
    let job = paused(job.resume());
    see(&ctx, &[30, 10], &[30], &[20]);
    let job = paused(job.resume());
    see(&ctx, &[30, 10], &[30], &[30]);
    finished(job.resume());
    see(&ctx, &[40, 10], &[40], &[30]);
    let next_job = paused(start(&ctx, pause));
    see(&ctx, &[40, 10], &[40], &[30]);
    finished(next_job.resume());
    see(&ctx, &[40, 10], &[], &[]);
}

#[test]
fn the_reset_is_the_last_act_of_a_pause_so_the_job_finds_nothing_changed() {
    let ctx = WaitCtx::new();
    let inside = ctx.clone();
    let job = paused(start(&ctx, move || {
        set(&inside, 1);
        pause();
        see(&inside, &[1], &[], &[]);
    }));
    finished(job.resume());
}

#[test]
fn neither_starting_nor_pausing_nor_finishing_is_a_reset() {
    let ctx = WaitCtx::new();
    set(&ctx, 1);
    let inside = ctx.clone();
    finished(start(&ctx, move || see(&inside, &[1], &[1], &[])));
    see(&ctx, &[1], &[1], &[]);
    let job = paused(start(&ctx, pause));
    see(&ctx, &[1], &[1], &[]);
    finished(job.resume());
}

#[test]
fn a_pause_that_does_not_happen_is_no_reset() {
    let ctx = WaitCtx::new();
    set(&ctx, 1);
    pause();
    finished(start(&ctx, || {
        let _blocked = job::block_pause();
        pause();
    }));
    see(&ctx, &[1], &[1], &[]);
}

#[test]
fn under_two_jobs_either_resume_is_a_reset() {
    let ctx = WaitCtx::new();
    let pause_twice = || {
        pause();
        pause();
    };
    let one = paused(start(&ctx, pause_twice));
    let other = paused(start(&ctx, pause_twice));
    set(&ctx, 1);
    let one = paused(one.resume());
    see(&ctx, &[1], &[], &[]);
    set(&ctx, 2);
    let other = paused(other.resume());
    see(&ctx, &[2, 1], &[], &[]);
    finished(one.resume());
    finished(other.resume());
}

// Callback and status

#[test]
fn a_callback_is_stored_replaced_and_unset() {
    let counts: [Arc<AtomicUsize>; 2] = Default::default();
    let [one, other] = counts.clone().map(|count| {
        Callback::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        })
    });
    let called = || counts.each_ref().map(|count| count.load(Ordering::Relaxed));
    let ctx = WaitCtx::new();
    assert!(ctx.callback().is_none());
    assert!(ctx.set_callback(Some(one)).is_none());
    assert_eq!(ctx.callback().unwrap().call(), 1);
    assert_eq!(called(), [1, 0]);
    let replaced = ctx.set_callback(Some(other)).unwrap();
    ctx.callback().unwrap().call();
    assert_eq!(called(), [1, 1]);
    replaced.call();
    assert_eq!(called(), [2, 1]);
    assert!(ctx.set_callback(None).is_some());
    assert!(ctx.callback().is_none());
}

#[test]
fn nothing_in_the_library_calls_the_callback() {
    let ctx = WaitCtx::new();
    ctx.set_callback(Some(Callback::new(|| panic!("called"))));
    set(&ctx, 1);
    reset(&ctx);
    ctx.set_status(Status::OK);
    assert!(ctx.clear_fd(key(1)));
    reset(&ctx);
    assert!(ctx.callback().is_some());
}

#[test]
fn the_status_starts_as_unsupported_and_any_int_is_stored() {
    let ctx = WaitCtx::new();
    assert_eq!(ctx.status(), Status::UNSUPPORTED);
    for status in [Status::OK, Status(-1), Status(i32::MAX), Status::EAGAIN, Status::ERR] {
        ctx.set_status(status);
        assert_eq!(ctx.status(), status);
    }
}

#[test]
fn the_named_statuses_have_the_values_of_openssl() {
    let named = [Status::UNSUPPORTED, Status::ERR, Status::OK, Status::EAGAIN];
    assert_eq!(named.map(|status| status.0), [0, 1, 2, 3]);
}

// Threads and memory

#[test]
fn a_poller_thread_serves_a_job_that_the_owner_resumes() {
    const ROUNDS: usize = 200;
    let ctx = WaitCtx::new();
    let job = start(&ctx, || {
        let ctx = job::wait_ctx().unwrap();
        set(&ctx, 7);
        for _ in 0..ROUNDS {
            pause();
        }
    });
    let wakes = Arc::new(AtomicUsize::new(0));
    let counts = wakes.clone();
    ctx.set_callback(Some(Callback::new(move || _ = counts.fetch_add(1, Ordering::Relaxed))));
    let of_poller = ctx.clone();
    let poller = thread::spawn(move || {
        for _ in 0..ROUNDS {
            assert_eq!(of_poller.fd(key(7)), Some(7));
            of_poller.set_status(Status::OK);
            of_poller.callback().unwrap().call();
        }
    });
    let mut progress = job;
    while let Progress::Paused(job) = progress {
        progress = job.resume();
    }
    poller.join().unwrap();
    assert_eq!(wakes.load(Ordering::Relaxed), ROUNDS);
    assert_eq!(ctx.status(), Status::OK);
    see(&ctx, &[7], &[], &[]);
}

#[test]
fn contexts_and_callbacks_may_be_sent_and_shared() {
    fn check<T: Send + Sync>() {}
    check::<WaitCtx>();
    check::<Callback>();
    check::<Key>();
}

thread_local! {
    static NO_MEMORY: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, except while `NO_MEMORY` is set on the calling thread.
struct Scarce;

// SAFETY: it is the system's allocator, or fails as allocators may.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if NO_MEMORY.get() {
            return ptr::null_mut();
        }
        // SAFETY: by this function's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: by this function's contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static SCARCE: Scarce = Scarce;

#[test]
fn without_memory_setting_an_fd_fails_and_changes_nothing() {
    let ctx = WaitCtx::new();
    NO_MEMORY.set(true);
    let refused = ctx.set_wait_fd(key(1), 1);
    NO_MEMORY.set(false);
    refused.unwrap_err();
    see(&ctx, &[], &[], &[]);
    set(&ctx, 2);
    see(&ctx, &[2], &[2], &[]);
}
