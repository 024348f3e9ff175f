//! Jobs given up: beside a limit, in a wait context that others use, and what is told of them.

use std::ffi::c_int;
use std::panic;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::api::*;

/// What the program was told, in order: names and values.
static TOLD: Mutex<Vec<(usize, c_int)>> = Mutex::new(Vec::new());

unsafe extern "C" fn ended(name: Data, ret: c_int) {
    TOLD.lock().unwrap().push((name.addr(), ret));
}

fn told(name: usize) -> Option<c_int> {
    let told = TOLD.lock().unwrap();
    let mut mine = told.iter().filter(|(other, _)| *other == name);
    let first = mine.next().map(|(_, ret)| *ret);
    assert!(mine.next().is_none(), "told twice");
    first
}

/// A name that no other test has.
fn name() -> usize {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    LAST.fetch_add(1, SeqCst) + 1
}

fn give_up(job: Job, mode: c_int, name: usize) -> c_int {
    // SAFETY: `ended` takes any word.
    unsafe { siding_job_cancel(job, mode, Some(ended), ptr::without_provenance_mut(name)) }
}

/// Options and limits belong to a thread; so each test has one of its own.
fn on_a_thread(test: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(test).join().unwrap());
}

fn free(ctx: Ctx) {
    // SAFETY: live, and not used afterwards.
    unsafe { ASYNC_WAIT_CTX_free(ctx) };
}

/// A wait context with a callback of the program's, which counts.
fn ctx_with_callback(calls: &AtomicUsize) -> Ctx {
    unsafe extern "C" fn count(calls: Data) -> c_int {
        // SAFETY: set with a counter that outlives the context.
        unsafe { calls.cast::<AtomicUsize>().as_ref() }.unwrap().fetch_add(1, SeqCst) as c_int
    }
    let ctx = ASYNC_WAIT_CTX_new();
    let arg = ptr::from_ref(calls).cast_mut().cast();
    // SAFETY: a live context; see `count`.
    assert_eq!(unsafe { ASYNC_WAIT_CTX_set_callback(ctx, Some(count), arg) }, 1);
    ctx
}

type Cleanup = unsafe extern "C" fn(Ctx, Data, Fd, Data);
type Callback = (unsafe extern "C" fn(Data) -> c_int, Data);

/// What a device finds when it is done.
fn callback_of(ctx: Ctx) -> Callback {
    let (mut callback, mut arg) = (None, ptr::null_mut());
    // SAFETY: a live context, writable outputs.
    assert_eq!(unsafe { ASYNC_WAIT_CTX_get_callback(ctx, &mut callback, &mut arg) }, 1);
    (callback.unwrap(), arg)
}

fn call((callback, arg): Callback) {
    // SAFETY: of a live context.
    unsafe { callback(arg) };
}

#[test]
fn at_the_limit_jobs_can_be_given_up() {
    on_a_thread(|| {
        assert_eq!(ASYNC_init_thread(2, 0), 1);
        let fds = [eventfd(), eventfd()];
        let names = [name(), name()];
        let contexts = fds.map(|fd| {
            let ctx = ASYNC_WAIT_CTX_new();
            let null = ptr::null_mut();
            // SAFETY: a live context.
            assert_eq!(unsafe { ASYNC_WAIT_CTX_set_wait_fd(ctx, null, fd, null, None) }, 1);
            ctx
        });
        let jobs = contexts.map(|ctx| paused(ctx, pause_often, 1));
        for (job, name) in jobs.into_iter().zip(names) {
            assert_eq!(give_up(job, ON_WAKE, name), 1);
        }
        let start_one = || start(&mut ptr::null_mut(), ptr::null_mut(), pause_often, 0).0;
        assert_eq!((siding_orphans_poll(), start_one()), (2, NO_JOBS));
        signal(fds[0]);
        assert!(becomes_readable(siding_orphans_fd()));
        assert_eq!(siding_orphans_poll(), 1);
        assert_eq!((told(names[0]), start_one()), (Some(1), FINISH));
        signal(fds[1]);
        assert!(becomes_readable(siding_orphans_fd()));
        assert_eq!(siding_orphans_poll(), 0);
        assert_eq!(told(names[1]), Some(1));
        assert_eq!(start_one(), FINISH);
        assert!(stats().pool <= 2);
        contexts.into_iter().for_each(free);
        fds.into_iter().for_each(close);
    });
}

#[test]
fn the_callback_is_the_programs_again_when_the_orphan_has_ended() {
    on_a_thread(|| {
        let (calls, name) = (AtomicUsize::new(0), name());
        let ctx = ctx_with_callback(&calls);
        let before = callback_of(ctx);
        assert_eq!(give_up(paused(ctx, pause_often, 1), ON_WAKE, name), 1);
        call(callback_of(ctx));
        assert_eq!((siding_orphans_poll(), told(name)), (0, Some(1)));
        assert_eq!(calls.load(SeqCst), 0, "it is done with the job");
        assert!(callback_of(ctx) == before);
        free(ctx);
    });
}

#[test]
fn orphans_with_a_context_in_common_are_all_woken() {
    on_a_thread(|| {
        let (calls, names) = (AtomicUsize::new(0), [name(), name(), name()]);
        let ctx = ctx_with_callback(&calls);
        for (pauses, name) in [1, 2, 1].into_iter().zip(names) {
            assert_eq!(give_up(paused(ctx, pause_often, pauses), DRAIN, name), 1);
        }
        assert_eq!(siding_orphans_poll(), 3);
        call(callback_of(ctx));
        assert_eq!((siding_orphans_poll(), names.map(told)), (1, [Some(1), None, Some(1)]));
        call(callback_of(ctx));
        assert_eq!((siding_orphans_poll(), told(names[1])), (0, Some(2)));
        assert_eq!(calls.load(SeqCst), 0);
        free(ctx);
    });
}

#[test]
fn what_is_offloaded_wakes_an_orphan_whose_program_had_a_callback() {
    static GATE: Mutex<Option<mpsc::Receiver<c_int>>> = Mutex::new(None);
    unsafe extern "C" fn offloads(_: Data) -> c_int {
        let gate = GATE.lock().unwrap().take().unwrap();
        siding::offload::offload(move || gate.recv().unwrap()).unwrap_or(-1)
    }
    on_a_thread(|| {
        let (calls, name) = (AtomicUsize::new(0), name());
        let (send, receive) = mpsc::channel();
        *GATE.lock().unwrap() = Some(receive);
        let ctx = ctx_with_callback(&calls);
        assert_eq!(give_up(paused(ctx, offloads, 0), ON_WAKE, name), 1);
        assert_eq!((siding_orphans_poll(), told(name)), (1, None));
        send.send(5).unwrap();
        let start = Instant::now();
        while !becomes_readable(siding_orphans_fd()) {
            assert!(start.elapsed() < Duration::from_secs(20), "nothing wakes it");
            thread::yield_now();
        }
        assert_eq!((siding_orphans_poll(), told(name)), (0, Some(5)));
        assert_eq!(calls.load(SeqCst), 0);
        free(ctx);
    });
}

#[test]
fn only_who_waited_by_a_callback_has_one_that_is_sidings() {
    on_a_thread(|| {
        let (ctx, fd, names) = (ASYNC_WAIT_CTX_new(), eventfd(), [name(), name()]);
        let null = ptr::null_mut();
        // SAFETY: a live context.
        assert_eq!(unsafe { ASYNC_WAIT_CTX_set_wait_fd(ctx, null, fd, null, None) }, 1);
        for name in names {
            assert_eq!(give_up(paused(ctx, pause_often, 2), DRAIN, name), 1);
        }
        let (mut callback, mut arg) = (None, null);
        // SAFETY: a live context, writable outputs.
        assert_eq!(unsafe { ASYNC_WAIT_CTX_get_callback(ctx, &mut callback, &mut arg) }, 0);
        signal(fd);
        assert!(becomes_readable(siding_orphans_fd()));
        while siding_orphans_poll() != 0 {}
        assert_eq!(names.map(told), [Some(2), Some(2)]);
        free(ctx);
        close(fd);
    });
}

#[test]
fn a_callback_is_heard_before_its_orphan_had_a_turn() {
    static NEXT: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());
    /// Gives another job up, whose device is done at once.
    unsafe extern "C" fn give_up_next(name: Data, _: c_int) {
        let (ctx, job) = NEXT.lock().unwrap().pop().unwrap();
        let job = ptr::with_exposed_provenance_mut(job);
        assert_eq!(give_up(job, ON_WAKE, name.addr()), 1);
        call(callback_of(ptr::with_exposed_provenance_mut(ctx)));
    }
    on_a_thread(|| {
        let (calls, name) = (AtomicUsize::new(0), name());
        let contexts = [ctx_with_callback(&calls), ctx_with_callback(&calls)];
        let [first, second] = contexts.map(|ctx| paused(ctx, pause_often, 1));
        let next = (contexts[1].expose_provenance(), second.expose_provenance());
        NEXT.lock().unwrap().push(next);
        let arg = ptr::without_provenance_mut(name);
        // SAFETY: `give_up_next` takes a name.
        assert_eq!(unsafe { siding_job_cancel(first, ON_WAKE, Some(give_up_next), arg) }, 1);
        call(callback_of(contexts[0]));
        assert_eq!((siding_orphans_poll(), told(name)), (0, Some(1)));
        assert_eq!(calls.load(SeqCst), 0);
        contexts.into_iter().for_each(free);
    });
}

/// Gives up a job whose context holds a descriptor, and frees that context; then the device is
/// done. How many are left.
fn freed_early(cleanup: Cleanup, ended: unsafe extern "C" fn(Data, c_int)) -> usize {
    let (ctx, fd, null) = (ASYNC_WAIT_CTX_new(), eventfd(), ptr::null_mut());
    // SAFETY: a live context; the cleanup takes anything.
    let set = unsafe { ASYNC_WAIT_CTX_set_wait_fd(ctx, null, fd, null, Some(cleanup)) };
    assert_eq!(set, 1);
    let job = paused(ctx, pause_often, 1);
    // SAFETY: `ended` takes anything.
    assert_eq!(unsafe { siding_job_cancel(job, ON_WAKE, Some(ended), null) }, 1);
    free(ctx);
    signal(fd);
    assert!(becomes_readable(siding_orphans_fd()));
    siding_orphans_poll()
}

#[test]
fn cleanups_of_a_context_freed_early_come_before_the_news_of_the_end() {
    static ORDER: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    unsafe extern "C" fn clean_up(_: Ctx, _: Data, fd: Fd, _: Data) {
        ORDER.lock().unwrap().push("cleanup");
        close(fd);
    }
    unsafe extern "C" fn note(_: Data, _: c_int) {
        ORDER.lock().unwrap().push("ended");
    }
    on_a_thread(|| {
        assert_eq!(freed_early(clean_up, note), 0);
        assert_eq!(*ORDER.lock().unwrap(), ["cleanup", "ended"]);
    });
}

#[test]
fn who_adopts_an_orphan_sets_a_callback_of_its_own() {
    let calls = AtomicUsize::new(0);
    let ctx = ctx_with_callback(&calls).expose_provenance();
    let ctx = || ptr::with_exposed_provenance_mut(ctx);
    let leave = || {
        siding_orphans_fd(); // so that its scheduler goes last
        let job = paused(ctx(), pause_often, 1);
        assert_eq!(give_up(job, ON_WAKE, name()), 1);
        job.expose_provenance()
    };
    let job = thread::scope(|scope| scope.spawn(leave).join().unwrap());
    let mut job = ptr::with_exposed_provenance_mut(job);
    // SAFETY: the job's frames hold nothing of their thread's.
    assert_eq!(unsafe { siding_job_adopt(job) }, 1);
    call(callback_of(ctx()));
    assert_eq!(calls.load(SeqCst), 1);
    assert_eq!(start(&mut job, ptr::null_mut(), pause_often, 0), (FINISH, Some(1)));
    free(ctx());
}

#[test]
fn who_is_told_of_an_end_is_in_no_job() {
    static SEEN: Mutex<Vec<(bool, c_int)>> = Mutex::new(Vec::new());
    unsafe extern "C" fn look(_: Data, _: c_int) {
        SEEN.lock().unwrap().push((ASYNC_get_current_job().is_null(), ASYNC_pause_job()));
    }
    on_a_thread(|| {
        let calls = AtomicUsize::new(0);
        let ctx = ctx_with_callback(&calls);
        // One that ends leaves its memory to whatever comes next.
        let mut other = paused(ptr::null_mut(), pause_often, 1);
        let job = paused(ctx, pause_often, 1);
        assert_eq!(start(&mut other, ptr::null_mut(), pause_often, 0).0, FINISH);
        // SAFETY: `look` takes anything.
        assert_eq!(unsafe { siding_job_cancel(job, ON_WAKE, Some(look), ptr::null_mut()) }, 1);
        call(callback_of(ctx));
        assert_eq!(siding_orphans_poll(), 0);
        assert_eq!(*SEEN.lock().unwrap(), [(true, 1)]);
        free(ctx);
    });
}

#[test]
fn neither_a_cleanup_nor_who_is_told_can_pause_what_they_are_not_in() {
    static PAUSES: Mutex<Vec<(bool, c_int)>> = Mutex::new(Vec::new());
    fn pause() {
        // As often as it takes to undo what anybody else has blocked.
        for _ in 0..3 {
            ASYNC_unblock_pause();
        }
        PAUSES.lock().unwrap().push((ASYNC_get_current_job().is_null(), ASYNC_pause_job()));
    }
    unsafe extern "C" fn clean_up(_: Ctx, _: Data, fd: Fd, _: Data) {
        close(fd);
        pause();
    }
    unsafe extern "C" fn ended(_: Data, _: c_int) {
        pause();
    }
    on_a_thread(|| {
        assert_eq!(freed_early(clean_up, ended), 0);
        assert_eq!(*PAUSES.lock().unwrap(), [(true, 1), (true, 1)]);
    });
}

#[test]
fn a_job_of_rusts_is_none_of_cs() {
    on_a_thread(|| {
        assert_eq!(start(&mut ptr::null_mut(), ptr::null_mut(), pause_often, 0).0, FINISH);
        let wake = || {
            let mut wake = Wake::default();
            // SAFETY: writable.
            unsafe { siding_get_wake(ptr::null_mut(), &mut wake) }
        };
        let inside = siding::job::start(move || (ASYNC_get_current_job().is_null(), wake()));
        assert!(matches!(inside, Ok(siding::job::Progress::Finished((true, 0)))));
    });
}

#[test]
fn a_cleanup_that_panics_when_the_job_ends_does_not_reach_c() {
    /// Panics once more.
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("what a cleanup's panic carries, on purpose");
        }
    }
    unsafe extern "C" fn leaves_a_cleanup(_: Data) -> c_int {
        let paused = ASYNC_pause_job();
        let ctx = siding::job::wait_ctx().unwrap();
        let key = siding::job::Key::from(1);
        let fails = |_: &_, _, _| panic::panic_any(Bomb);
        ctx.set_wait_fd_with(key, siding::job::AsyncFd::default(), fails).unwrap();
        paused
    }
    on_a_thread(|| {
        let ctx = ASYNC_WAIT_CTX_new();
        let mut job = paused(ctx, leaves_a_cleanup, 0);
        free(ctx); // the job has the last handle now
        assert_eq!(start(&mut job, ptr::null_mut(), pause_often, 0), (FINISH, Some(1)));
    });
}

#[cfg(unix)]
mod ends_of_threads {
    use std::cell::RefCell;
    use std::sync::Barrier;
    use std::sync::atomic::AtomicPtr;

    use super::*;
    use crate::common::{Ending, fork};

    /// `exit` destroys the thread's values on the job's stack. Nobody may go on with it then.
    #[test]
    fn a_job_that_a_thread_ends_in_is_not_to_be_had() {
        static JOB: AtomicPtr<libc::c_void> = AtomicPtr::new(ptr::null_mut());
        static ENDS: AtomicUsize = AtomicUsize::new(0);
        extern "C" fn at_exit() {
            ENDS.store(1, SeqCst);
            loop {
                thread::yield_now(); // The other thread ends the process.
            }
        }
        unsafe extern "C" fn exits(_: Data) -> c_int {
            ASYNC_pause_job();
            // SAFETY: no preconditions.
            unsafe { libc::exit(3) }
        }
        unsafe extern "C" fn outer(_: Data) -> c_int {
            JOB.store(ASYNC_get_current_job(), SeqCst);
            let mut nested = paused(ptr::null_mut(), exits, 0);
            start(&mut nested, ptr::null_mut(), exits, 0).0
        }
        unsafe extern "C" fn inner(_: Data) -> c_int {
            JOB.store(ASYNC_get_current_job(), SeqCst);
            ASYNC_pause_job();
            // SAFETY: no preconditions.
            unsafe { libc::exit(3) }
        }
        for function in [outer as Function, inner] {
            let ending = fork(|| {
                // SAFETY: a function that takes nothing.
                unsafe { libc::atexit(at_exit) };
                thread::spawn(|| {
                    while ENDS.load(SeqCst) == 0 {
                        thread::yield_now();
                    }
                    // SAFETY: any handle.
                    let adopted = unsafe { siding_job_adopt(JOB.load(SeqCst)) };
                    // SAFETY: no preconditions.
                    unsafe { libc::_exit(10 + adopted) };
                });
                let mut job = ptr::null_mut();
                while start(&mut job, ptr::null_mut(), function, 0).0 == PAUSE {}
            });
            assert_eq!(ending, Ending::Exited(10));
        }
    }

    /// Where a thread that ends waits, and then looks for orphans that can go on.
    struct Gate {
        here: Barrier,
        go_on: Barrier,
    }

    impl Gate {
        const fn new() -> Self {
            Gate { here: Barrier::new(2), go_on: Barrier::new(2) }
        }
    }

    struct Waits(&'static Gate);

    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.here.wait();
            self.0.go_on.wait();
            siding_orphans_poll();
        }
    }

    fn with_fd() -> (Ctx, Fd) {
        let (ctx, fd, null) = (ASYNC_WAIT_CTX_new(), eventfd(), ptr::null_mut());
        // SAFETY: a live context.
        assert_eq!(unsafe { ASYNC_WAIT_CTX_set_wait_fd(ctx, null, fd, null, None) }, 1);
        (ctx, fd)
    }

    /// Between the end of its scheduler and that of its pool: the next scheduler has the inbox of
    /// the first, and calls jobs by the same numbers.
    #[test]
    fn while_a_thread_ends_wakes_of_its_orphans_reach_those_of_no_other() {
        static GATE: Gate = Gate::new();
        thread_local!(static WAITS: RefCell<Option<Waits>> = const { RefCell::new(None) });
        static WAKE: Mutex<Option<Wake>> = Mutex::new(None);
        let ending = thread::spawn(|| {
            let (ctx, fd) = with_fd();
            let job = paused(ctx, pause_often, 1);
            let mut wake = Wake::default();
            // SAFETY: writable.
            assert_eq!(unsafe { siding_get_wake(job, &mut wake) }, 1);
            *WAKE.lock().unwrap() = Some(wake);
            WAITS.set(Some(Waits(&GATE)));
            assert_eq!(give_up(job, DRAIN, name()), 1);
            (job.expose_provenance(), ctx.expose_provenance(), fd)
        });
        GATE.here.wait();
        on_a_thread(|| {
            let ((ctx, fd), name) = (with_fd(), name());
            assert_eq!(give_up(paused(ctx, pause_often, 1), ON_WAKE, name), 1);
            // SAFETY: from `siding_get_wake`.
            unsafe { siding_wake(WAKE.lock().unwrap().unwrap()) };
            assert_eq!((siding_orphans_poll(), told(name)), (1, None));
            signal(fd);
            assert_eq!((siding_orphans_poll(), told(name)), (0, Some(1)));
            free(ctx);
            close(fd);
        });
        GATE.go_on.wait();
        let (job, ctx, fd) = ending.join().unwrap();
        let mut job = ptr::with_exposed_provenance_mut(job);
        // SAFETY: the job's frames hold nothing of their thread's.
        assert_eq!(unsafe { siding_job_adopt(job) }, 1);
        assert_eq!(siding_next_woken(), job);
        assert_eq!(start(&mut job, ptr::null_mut(), pause_often, 0), (FINISH, Some(1)));
        free(ptr::with_exposed_provenance_mut(ctx));
        close(fd);
    }

    /// Between the end of its pool and that of its scheduler.
    #[test]
    fn an_orphan_whose_thread_is_ending_goes_on_where_it_was_adopted_alone() {
        static GATE: Gate = Gate::new();
        thread_local!(static WAITS: RefCell<Option<Waits>> = const { RefCell::new(None) });
        static JOB: Mutex<usize> = Mutex::new(0);
        let (ctx, fd) = with_fd();
        let (name, address) = (name(), ctx.expose_provenance());
        let ending = thread::spawn(move || {
            siding_orphans_fd(); // so that its scheduler goes last
            WAITS.set(Some(Waits(&GATE)));
            let job = paused(ptr::with_exposed_provenance_mut(address), pause_often, 1);
            assert_eq!(give_up(job, ON_WAKE, name), 1);
            signal(fd);
            *JOB.lock().unwrap() = job.expose_provenance();
        });
        GATE.here.wait();
        let mut job = ptr::with_exposed_provenance_mut(*JOB.lock().unwrap());
        // SAFETY: the job's frames hold nothing of their thread's.
        let adopted = unsafe { siding_job_adopt(job) };
        GATE.go_on.wait();
        ending.join().unwrap();
        assert_eq!((adopted, told(name)), (1, None));
        assert_eq!(start(&mut job, ptr::null_mut(), pause_often, 0), (FINISH, Some(1)));
        free(ctx);
        close(fd);
    }

    /// glibc destroys what a key holds after thread-locals, the pool among them.
    #[cfg(target_env = "gnu")]
    #[test]
    fn a_job_that_starts_when_the_thread_has_ended_does_not_pause() {
        static SEEN: Mutex<Vec<(c_int, Option<c_int>, c_int)>> = Mutex::new(Vec::new());
        unsafe extern "C" fn unblock_and_pause(_: Data) -> c_int {
            ASYNC_unblock_pause();
            ASYNC_pause_job()
        }
        unsafe extern "C" fn at_end(orphan: Data) {
            for function in [pause_often as Function, unblock_and_pause] {
                let started = start(&mut ptr::null_mut(), ptr::null_mut(), function, 3);
                // SAFETY: any handle.
                let adopted = unsafe { siding_job_adopt(orphan) };
                SEEN.lock().unwrap().push((started.0, started.1, adopted));
            }
        }
        let leave = || paused(ptr::null_mut(), pause_often, 1).expose_provenance();
        let orphan = thread::spawn(leave).join().unwrap();
        let mut key = 0;
        // SAFETY: writable; the destructor takes any handle.
        assert_eq!(unsafe { libc::pthread_key_create(&mut key, Some(at_end)) }, 0);
        on_a_thread(|| {
            assert_eq!(start(&mut ptr::null_mut(), ptr::null_mut(), pause_often, 0).0, FINISH);
            // SAFETY: a key of this test's.
            unsafe { libc::pthread_setspecific(key, ptr::without_provenance(orphan)) };
        });
        assert_eq!(*SEEN.lock().unwrap(), [(FINISH, Some(3), 0), (FINISH, Some(1), 0)]);
    }
}
