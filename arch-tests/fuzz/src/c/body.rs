//! What a C job does when its script is carried out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::ptr;

use super::abi::*;
use crate::model::Fds;
use crate::script::{Code, Log, Script, Step, WHOLE};

/// What jobs can reach.
#[derive(Default)]
pub struct World {
    pub log: Log,
    pub published: RefCell<Vec<Wake>>,
    /// The number of each job that has paused, by its handle.
    pub numbers: RefCell<HashMap<usize, usize>>,
}

/// The arguments of a job: copied by the library, so they hold no references to Rust's.
#[repr(C)]
struct Args {
    world: *const World,
    script: *mut Script,
    id: usize,
}

pub fn code(code: c_int) -> Code {
    match code {
        PAUSE => Code::Paused,
        FINISH => Code::Finished,
        NO_JOBS => Code::NoJobs,
        other => panic!("the answer is {other}"),
    }
}

pub fn start(world: &World, script: Script, ctx: Ctx) -> (Code, Option<Job>) {
    let id = world.log.next_job();
    let script = Box::into_raw(Box::new(script));
    let mut args = Args { world, script, id };
    let args: Data = (&raw mut args).cast();
    let (mut job, mut ret) = (ptr::null_mut(), -1);
    // SAFETY: the context is there or NULL, and the arguments are copied.
    let answer =
        unsafe { ASYNC_start_job(&mut job, ctx, &mut ret, Some(body), args, size_of::<Args>()) };
    if answer == NO_JOBS {
        // SAFETY: nobody has taken it.
        drop(unsafe { Box::from_raw(script) });
        world.log.tell(id, WHOLE, Code::Closure);
    }
    assert!(answer != FINISH || ret == id as c_int);
    world.numbers.borrow_mut().insert(job.addr(), id);
    (code(answer), (answer == PAUSE).then_some(job))
}

pub fn resume(mut job: Job, id: usize) -> (Code, Option<Job>) {
    let (null, mut ret) = (ptr::null_mut(), -1);
    // SAFETY: the handle is checked.
    let answer = unsafe { ASYNC_start_job(&mut job, null, &mut ret, None, null, 0) };
    assert!(answer != FINISH || ret == id as c_int || id == usize::MAX);
    (code(answer), (answer == PAUSE).then_some(job))
}

/// Cancels a job and checks what it returned.
pub fn cancel(job: Job, id: usize) {
    unsafe extern "C" fn ended(arg: Data, ret: c_int) {
        // SAFETY: below.
        unsafe { arg.cast::<c_int>().write(ret) };
    }
    let mut ret: c_int = -1;
    // SAFETY: `ret` is there until the job has ended, which it does in this call.
    let answer = unsafe { siding_job_cancel(job, NOW, Some(ended), (&raw mut ret).cast()) };
    assert_eq!(answer, 1);
    assert!(ret == id as c_int || (id == usize::MAX && ret >= 0));
}

pub fn set_fd(world: &World, ctx: Ctx, key: u8) -> Code {
    unsafe extern "C" fn cleanup(_: Ctx, key: Data, fd: c_int, world: Data) {
        assert_eq!(key.addr() as c_int, fd);
        // SAFETY: the world outlives its contexts.
        unsafe { &*world.cast::<World>() }.log.tell(usize::MAX, fd as u8, Code::Guard);
    }
    let world = ptr::from_ref(world).cast_mut().cast();
    let (key, fd) = (name(key), c_int::from(key) + 1);
    // SAFETY: the context is there, and the world outlives it.
    let answer = unsafe { ASYNC_WAIT_CTX_set_wait_fd(ctx, key, fd, world, Some(cleanup)) };
    assert_eq!(answer, 1);
    Code::Done
}

pub fn clear_fd(ctx: Ctx, key: u8) -> Code {
    // SAFETY: the context is there.
    let answer = unsafe { ASYNC_WAIT_CTX_clear_fd(ctx, name(key)) };
    if answer == 1 { Code::Done } else { Code::None }
}

fn name(key: u8) -> *mut c_void {
    ptr::without_provenance_mut(usize::from(key) + 1)
}

/// What a context shows: all, added, deleted.
pub fn fds(ctx: Ctx) -> Fds {
    let null = ptr::null_mut();
    let (mut all, mut added, mut deleted) = (0, 0, 0);
    // SAFETY: the context is there; NULL asks for numbers.
    unsafe {
        assert_eq!(ASYNC_WAIT_CTX_get_all_fds(ctx, null, &mut all), 1);
        assert_eq!(ASYNC_WAIT_CTX_get_changed_fds(ctx, null, &mut added, null, &mut deleted), 1);
    }
    let [mut all, mut added, mut deleted] = [vec![0; all], vec![0; added], vec![0; deleted]];
    let mut count = 0;
    // SAFETY: room for as many as there are.
    unsafe {
        ASYNC_WAIT_CTX_get_all_fds(ctx, all.as_mut_ptr(), &mut count);
        let (into, from) = (added.as_mut_ptr(), deleted.as_mut_ptr());
        ASYNC_WAIT_CTX_get_changed_fds(ctx, into, &mut count, from, &mut count);
    }
    (all, added, deleted)
}

unsafe extern "C" fn body(args: Data) -> c_int {
    // SAFETY: a copy of what `start` has given.
    let Args { world, script, id } = unsafe { args.cast::<Args>().read() };
    // SAFETY: the world outlives its jobs.
    let world = unsafe { &*world };
    // SAFETY: taken once.
    let mut script = *unsafe { Box::from_raw(script) };
    let mut children = Vec::new();
    while let Some((number, step)) = script.next() {
        if step == Step::Return {
            break;
        }
        let code = carry_out(world, step, &mut script, &mut children);
        world.log.tell(id, number, code);
    }
    for child in children {
        cancel(child, usize::MAX);
    }
    world.log.tell(id, WHOLE, Code::Closure);
    id as c_int
}

fn carry_out(world: &World, step: Step, script: &mut Script, children: &mut Vec<Job>) -> Code {
    match step {
        Step::Pause if ASYNC_pause_job() == 1 => Code::Done,
        Step::Pause => Code::Cancelled,
        Step::Block => {
            ASYNC_block_pause();
            Code::Done
        }
        Step::Unblock => {
            ASYNC_unblock_pause();
            Code::Done
        }
        Step::WakeSelf => {
            // SAFETY: from `siding_get_wake`.
            unsafe { siding_wake(own_wake()) };
            Code::Done
        }
        Step::Publish => {
            world.published.borrow_mut().push(own_wake());
            Code::Done
        }
        Step::Child(_, count) => {
            let (code, child) = start(world, script.split(count), ptr::null_mut());
            children.extend(child);
            code
        }
        Step::ResumeChild => {
            let Some(child) = children.pop() else { return Code::None };
            let (code, child) = resume(child, usize::MAX);
            children.extend(child);
            code
        }
        Step::DropChild => children.pop().map_or(Code::None, |child| {
            cancel(child, usize::MAX);
            Code::Done
        }),
        Step::SetFd(key) => with_context(|ctx| set_fd(world, ctx, key)),
        Step::ClearFd(key) => with_context(|ctx| clear_fd(ctx, key)),
        Step::Coroutine => try_what_is_refused(),
        other => unreachable!("{other:?} is not of C"),
    }
}

fn own_wake() -> Wake {
    let mut wake = Wake::default();
    // SAFETY: a place to write to; NULL is the current job.
    assert_eq!(unsafe { siding_get_wake(ptr::null_mut(), &mut wake) }, 1);
    wake
}

fn with_context(f: impl FnOnce(Ctx) -> Code) -> Code {
    // SAFETY: handles are checked.
    let ctx = unsafe { ASYNC_get_wait_ctx(ASYNC_get_current_job()) };
    if ctx.is_null() { Code::None } else { f(ctx) }
}

/// To resume or to cancel the job that runs.
fn try_what_is_refused() -> Code {
    let (mut job, null) = (ASYNC_get_current_job(), ptr::null_mut());
    // SAFETY: handles are checked.
    unsafe {
        assert_eq!(siding_job_cancel(job, NOW, None, null), 0);
        assert_eq!(ASYNC_start_job(&mut job, null, null.cast(), None, null, 0), ERR);
    }
    assert_eq!(job, ASYNC_get_current_job(), "it is still of use");
    Code::Done
}
