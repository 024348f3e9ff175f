//! On a thread with a hardware shadow stack, as on request any thread is here, nothing that
//! would switch is begun, whatever one begins with, and the error says why.

use std::error::Error;
use std::ffi::{c_int, c_void};
use std::panic;
use std::ptr;

use crate::common;
use siding::coroutine::{Coroutine, Yielder, scope};
use siding::fault::{Kind, Plan, injected};
use siding::job::{self, Options, WaitCtx};
use siding::scheduler::Scheduler;
use siding::stack::{GuardedStack, PooledStack, StackConfig, UnguardedStack};

/// Runs `f` in a child whose thread has a shadow stack, as far as siding can tell.
fn with_shadow_stack(f: fn()) {
    common::passes(move || {
        let plan = Plan { kind: Kind::ShadowStack, nth: 1, on: true, errno: 0 };
        let ((), asked) = injected(plan, f);
        assert!(asked, "nobody has asked");
    });
}

fn refused<T, E: Error>(result: Result<T, E>) {
    let said = result.err().expect("it was begun").to_string();
    assert!(said.contains("hardware shadow stack"), "{said}");
}

/// What must not run.
fn never() {
    panic!("it runs");
}

#[test]
fn coroutines_are_refused_on_any_stack() {
    with_shadow_stack(|| {
        refused(Coroutine::<(), (), ()>::try_new(StackConfig::DEFAULT, |_, ()| never()));
        let memory = Box::leak(Box::new_uninit_slice(64 << 10));
        // SAFETY: nothing will run there.
        let stack = unsafe { UnguardedStack::new(memory) };
        refused(Coroutine::<(), (), ()>::with_stack(stack, |_, ()| never()));
        refused(scope(|_: &Yielder<(), ()>, ()| never(), |_| never()));
    });
}

#[test]
fn there_are_no_stacks() {
    with_shadow_stack(|| {
        refused(GuardedStack::new(StackConfig::DEFAULT));
        refused(PooledStack::new(StackConfig::DEFAULT));
    });
}

#[test]
fn a_coroutine_that_cannot_be_an_error_is_a_panic_that_says_why() {
    with_shadow_stack(|| {
        let made = panic::catch_unwind(|| drop(Coroutine::<(), (), ()>::new(|_, ()| never())));
        let payload = made.expect_err("it was made");
        let said = payload.downcast_ref::<String>().expect("a message");
        assert!(said.contains("hardware shadow stack"), "{said}");
    });
}

#[test]
fn jobs_are_refused() {
    with_shadow_stack(|| {
        refused(job::start(never));
        refused(Options::new().stack(StackConfig::with_size(64 << 10)).start(never));
        refused(Options::new().wait_ctx(WaitCtx::new()).start(never));
        job::init_thread(4, 2).unwrap(); // none is had ready, none is started
        refused(job::start(never));
        assert_eq!(siding::stats().jobs.running, 0);
    });
}

#[test]
fn jobs_of_a_scheduler_are_refused() {
    with_shadow_stack(|| {
        let scheduler = Scheduler::new().unwrap();
        refused(scheduler.spawn(never));
        refused(scheduler.spawn_with(&Options::new(), never));
        scheduler.run().unwrap();
    });
}

#[test]
fn futures_of_jobs_are_refused() {
    with_shadow_stack(|| refused(pollster::block_on(siding::future::run(never))));
}

unsafe extern "C" {
    safe fn ASYNC_is_capable() -> c_int;
    safe fn ASYNC_init_thread(max_size: usize, init_size: usize) -> c_int;
    safe fn siding_last_error() -> u32;
    fn ASYNC_start_job(
        job: *mut *mut c_void,
        ctx: *mut c_void,
        ret: *mut c_int,
        func: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
        args: *mut c_void,
        size: usize,
    ) -> c_int;
    fn siding_run(jobs: *mut Run, count: usize) -> usize;
}

/// `siding_run_t`.
#[repr(C)]
struct Run {
    job: *mut c_void,
    ctx: *mut c_void,
    func: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
    args: *mut c_void,
    size: usize,
    code: c_int,
    ret: c_int,
}

unsafe extern "C" fn never_called(_: *mut c_void) -> c_int {
    panic!("it runs");
}

const ERR: c_int = 0;
/// Library 51, ERR_R_UNSUPPORTED.
const UNSUPPORTED: u32 = 51 << 23 | 0x8010C;

/// Not `ASYNC_NO_JOBS`, after which one tries again.
#[test]
fn jobs_of_c_are_an_error_that_is_none_of_memory() {
    with_shadow_stack(|| {
        assert_eq!(ASYNC_is_capable(), 0);
        assert_eq!(ASYNC_init_thread(4, 2), 1);
        let (null, mut job) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: valid or null, as the header allows.
        let code = unsafe {
            ASYNC_start_job(&raw mut job, null, ptr::null_mut(), Some(never_called), null, 0)
        };
        assert_eq!((code, siding_last_error()), (ERR, UNSUPPORTED));
        let func = Some(never_called as unsafe extern "C" fn(_) -> _);
        let mut run = Run { job, ctx: null, func, args: null, size: 0, code: 7, ret: 7 };
        // SAFETY: one of them, which is valid.
        let paused = unsafe { siding_run(&raw mut run, 1) };
        assert_eq!((paused, run.code, run.ret), (0, ERR, 7));
        assert_eq!(siding_last_error(), UNSUPPORTED);
        assert!(run.job.is_null());
    });
    assert_eq!(ASYNC_is_capable(), 1, "this machine has none");
}
