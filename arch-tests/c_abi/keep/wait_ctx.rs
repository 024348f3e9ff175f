//! Wait contexts, without jobs.

use std::ffi::{c_int, c_void};
use std::io::{self, Read, Write};
use std::ptr;
use std::sync::Mutex;

use crate::api::*;
use crate::wait::{Ctx, number};

#[test]
fn a_new_entry_comes_first() {
    let ctx = Ctx::new();
    for key in 1..4 {
        assert_eq!(ctx.set(key, 10 * key as Fd), 1);
    }
    assert_eq!(ctx.fds(), (vec![30, 20, 10], vec![30, 20, 10], vec![]));
}

#[test]
fn neither_fd_nor_key_is_looked_at() {
    let ctx = Ctx::new();
    assert_eq!((ctx.set(0, -1), ctx.set(0, -1), ctx.set(usize::MAX, 1 << 30)), (1, 1, 1));
    assert_eq!(ctx.all(), [1 << 30, -1, -1]);
    assert_eq!(ctx.get(0), (1, -1, 0));
}

#[test]
fn the_same_key_twice_makes_two_entries() {
    let ctx = Ctx::new();
    ctx.set(1, 10);
    ctx.set(1, 11);
    assert_eq!(ctx.all(), [11, 10]);
    assert_eq!(ctx.changed().0, [11, 10]);
}

#[test]
fn get_fd_finds_the_newest_with_that_key() {
    let ctx = Ctx::new();
    ctx.set_with(1, 10, 100, None);
    ctx.set_with(1, 11, 101, None);
    ctx.set_with(2, 20, 200, None);
    assert_eq!(ctx.get(1), (1, 11, 101));
    ctx.clear(1);
    assert_eq!(ctx.get(1), (1, 10, 100));
}

#[test]
fn get_fd_of_an_unknown_key_touches_nothing() {
    let ctx = Ctx::new();
    assert_eq!(ctx.get(1), (0, -7, 7));
    assert_quiet();
    ctx.set(2, 20);
    assert_eq!(ctx.get(1), (0, -7, 7));
}

#[test]
fn get_all_fds_counts_without_an_array() {
    let ctx = Ctx::new();
    assert_eq!(ctx.all(), []); // asks for the count first
    ctx.set(1, 10);
    assert_eq!(ctx.all(), [10]);
}

#[test]
fn get_changed_fds_fills_the_array_that_is_there() {
    let ctx = Ctx::new();
    ctx.set(1, 10);
    reset(&ctx);
    ctx.set(2, 20);
    ctx.clear(1);
    let (mut adds, mut dels, mut fds) = (77, 77, [-7; 2]);
    let (array, none) = (fds.as_mut_ptr(), ptr::null_mut());
    // SAFETY: a live context, room for what there is, two places for the counts.
    unsafe { ASYNC_WAIT_CTX_get_changed_fds(ctx.0, array, &mut adds, none, &mut dels) };
    assert_eq!((adds, dels, fds), (1, 1, [20, -7]));
    // SAFETY: as above.
    unsafe { ASYNC_WAIT_CTX_get_changed_fds(ctx.0, none, &mut adds, array, &mut dels) };
    assert_eq!((adds, dels, fds), (1, 1, [10, -7]));
}

/// What was changed so far no longer is.
fn reset(ctx: &Ctx) {
    let mut job = Job::with(ctx);
    job.start(|| pause_then(0));
    job.finish();
}

#[test]
fn clearing_what_was_just_added_leaves_no_trace() {
    let ctx = Ctx::new();
    ctx.set(1, 10);
    ctx.set(2, 20);
    assert_eq!(ctx.clear(1), 1);
    assert_eq!(ctx.fds(), (vec![20], vec![20], vec![]));
}

#[test]
fn clearing_an_older_entry_shows_it_as_deleted() {
    let ctx = Ctx::new();
    ctx.set(1, 10);
    reset(&ctx);
    assert_eq!(ctx.clear(1), 1);
    assert_eq!(ctx.fds(), (vec![], vec![], vec![10]));
    assert_eq!(ctx.get(1), (0, -7, 7));
}

#[test]
fn clearing_takes_the_newest_of_two_equal_keys() {
    let ctx = Ctx::new();
    ctx.set(1, 10);
    ctx.set(1, 11);
    reset(&ctx);
    assert_eq!(ctx.clear(1), 1);
    assert_eq!((ctx.get(1).1, ctx.fds()), (10, (vec![10], vec![], vec![11])));
    assert_eq!(ctx.clear(1), 1);
    assert_eq!(ctx.fds(), (vec![], vec![], vec![11, 10]));
}

#[test]
fn clearing_an_unknown_key_or_twice_gives_0() {
    let ctx = Ctx::new();
    assert_eq!(ctx.clear(1), 0);
    assert_quiet();
    ctx.set(1, 10);
    reset(&ctx);
    assert_eq!((ctx.clear(1), ctx.clear(1)), (1, 0));
    assert_quiet();
}

/// What cleanups were called with: context, key, fd, data.
static CALLS: Mutex<Vec<(usize, usize, Fd, usize)>> = Mutex::new(Vec::new());
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

unsafe extern "C" fn note_call(
    ctx: *mut AsyncWaitCtx,
    key: *const c_void,
    fd: Fd,
    data: *mut c_void,
) {
    CALLS.lock().unwrap().push((ctx.addr(), key.addr(), fd, data.addr()));
}

#[test]
fn clearing_never_calls_the_cleanup() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|poison| poison.into_inner());
    let ctx = Ctx::new();
    ctx.set_with(1, 10, 0, Some(note_call));
    reset(&ctx);
    ctx.set_with(2, 20, 0, Some(note_call));
    ctx.clear(1);
    ctx.clear(2);
    reset(&ctx);
    drop(ctx);
    assert_eq!(*CALLS.lock().unwrap(), []);
}

#[test]
fn free_calls_the_cleanups_newest_first() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|poison| poison.into_inner());
    let ctx = Ctx::new();
    ctx.set_with(1, 10, 100, Some(note_call));
    ctx.set_with(2, 20, 200, Some(note_call));
    ctx.set(3, 30);
    ctx.set_with(4, 40, 400, Some(note_call));
    reset(&ctx);
    ctx.clear(2);
    let address = ctx.0.addr();
    drop(ctx);
    let calls = std::mem::take(&mut *CALLS.lock().unwrap());
    assert_eq!(calls, [(address, 4, 40, 400), (address, 1, 10, 100)]);
}

#[test]
fn free_takes_null() {
    // SAFETY: allowed.
    unsafe { ASYNC_WAIT_CTX_free(ptr::null_mut()) };
}

unsafe extern "C" fn callback(_: *mut c_void) -> c_int {
    panic!("nobody calls it")
}

#[test]
fn get_callback_gives_what_was_set() {
    let ctx = Ctx::new();
    assert_eq!(ctx.callback(), (0, None, 7));
    assert_eq!(ctx.set_callback(Some(callback), 5), 1);
    let (got, found, arg) = ctx.callback();
    assert_eq!((got, found.map(|f| f as usize), arg), (1, Some(callback as *const () as usize), 5));
    assert_eq!(ctx.set_callback(None, 6), 1);
    assert_eq!(ctx.callback(), (0, None, 7));
}

#[test]
fn set_callback_of_null_gives_0() {
    // SAFETY: allowed.
    let set = unsafe { ASYNC_WAIT_CTX_set_callback(ptr::null_mut(), Some(callback), number(1)) };
    assert_eq!(set, 0);
}

#[test]
fn a_status_is_any_int_and_0_at_first() {
    let ctx = Ctx::new();
    assert_eq!(ctx.status(), 0);
    for status in [1, 2, 3, -1, c_int::MAX] {
        assert_eq!((ctx.set_status(status), ctx.status()), (1, status));
    }
}

#[cfg(unix)]
fn raw(end: &impl std::os::fd::AsRawFd) -> Fd {
    end.as_raw_fd()
}

#[cfg(windows)]
fn raw(end: &impl std::os::windows::io::AsRawHandle) -> Fd {
    end.as_raw_handle() as Fd
}

#[test]
fn nobody_calls_the_callback_or_closes_an_fd() {
    let (mut reader, mut writer) = io::pipe().unwrap();
    let ends = [raw(&reader), raw(&writer)];
    let ctx = Ctx::new();
    ctx.set_callback(Some(callback), 0);
    ctx.set(1, ends[0]);
    reset(&ctx);
    ctx.clear(1);
    reset(&ctx);
    ctx.set(1, ends[1]);
    reset(&ctx);
    drop(ctx);
    writer.write_all(b"open").unwrap();
    reader.read_exact(&mut [0; 4]).unwrap();
}
