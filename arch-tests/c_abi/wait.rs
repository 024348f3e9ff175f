//! Wait contexts as C calls them, likewise.
#![allow(dead_code, reason = "each program uses its own part")]

use std::ffi::{c_int, c_void};
use std::ptr;

use crate::api::*;

/// A wait context, freed when dropped.
pub struct Ctx(pub *mut AsyncWaitCtx);

/// A number for C to carry around.
pub fn number(number: usize) -> *mut c_void {
    ptr::without_provenance_mut(number)
}

impl Ctx {
    pub fn new() -> Ctx {
        let ctx = ASYNC_WAIT_CTX_new();
        assert!(!ctx.is_null());
        Ctx(ctx)
    }

    /// One that stays, for jobs that a failing test leaves behind.
    pub fn leak() -> std::mem::ManuallyDrop<Ctx> {
        std::mem::ManuallyDrop::new(Ctx::new())
    }

    /// A borrow of one that somebody else frees.
    pub fn borrow(ctx: *mut AsyncWaitCtx) -> std::mem::ManuallyDrop<Ctx> {
        std::mem::ManuallyDrop::new(Ctx(ctx))
    }

    pub fn set(&self, key: usize, fd: Fd) -> c_int {
        self.set_with(key, fd, 0, None)
    }

    pub fn set_with(&self, key: usize, fd: Fd, data: usize, cleanup: Option<Cleanup>) -> c_int {
        let data = number(data);
        // SAFETY: a live context; the cleanup takes such data.
        let set = unsafe { ASYNC_WAIT_CTX_set_wait_fd(self.0, number(key), fd, data, cleanup) };
        note(&format!("set_wait_fd({key}, {fd}) -> {set}"));
        set
    }

    pub fn clear(&self, key: usize) -> c_int {
        // SAFETY: a live context.
        let cleared = unsafe { ASYNC_WAIT_CTX_clear_fd(self.0, number(key)) };
        note(&format!("clear_fd({key}) -> {cleared}"));
        cleared
    }

    /// The answer, the fd and the data, which start as -7 and 7.
    pub fn get(&self, key: usize) -> (c_int, Fd, usize) {
        let (mut fd, mut data) = (-7, number(7));
        // SAFETY: a live context, and two places to write to.
        let got = unsafe { ASYNC_WAIT_CTX_get_fd(self.0, number(key), &mut fd, &mut data) };
        note(&format!("get_fd({key}) -> {got}, {fd}, {}", data.addr()));
        (got, fd, data.addr())
    }

    pub fn all(&self) -> Vec<Fd> {
        let mut count = 77;
        // SAFETY: a live context, no array, a place for the count.
        let counted = unsafe { ASYNC_WAIT_CTX_get_all_fds(self.0, ptr::null_mut(), &mut count) };
        let mut fds = vec![-7; count + 1];
        // SAFETY: a live context, an array that is large enough, a place for the count.
        let got = unsafe { ASYNC_WAIT_CTX_get_all_fds(self.0, fds.as_mut_ptr(), &mut count) };
        note(&format!("get_all_fds -> {counted} {got}, {count}: {fds:?}"));
        assert_eq!((counted, got, fds.pop()), (1, 1, Some(-7)));
        fds
    }

    /// The fds added and those deleted.
    pub fn changed(&self) -> (Vec<Fd>, Vec<Fd>) {
        let (mut adds, mut dels) = (77, 77);
        let none = ptr::null_mut();
        // SAFETY: a live context, no arrays, two places for the counts.
        let counted =
            unsafe { ASYNC_WAIT_CTX_get_changed_fds(self.0, none, &mut adds, none, &mut dels) };
        let (mut added, mut deleted) = (vec![-7; adds + 1], vec![-7; dels + 1]);
        let (a, d) = (added.as_mut_ptr(), deleted.as_mut_ptr());
        // SAFETY: a live context, arrays that are large enough, two places for the counts.
        let got = unsafe { ASYNC_WAIT_CTX_get_changed_fds(self.0, a, &mut adds, d, &mut dels) };
        note(&format!("get_changed_fds -> {counted} {got}, {adds} {dels}: {added:?} {deleted:?}"));
        assert_eq!((counted, got, added.pop(), deleted.pop()), (1, 1, Some(-7), Some(-7)));
        (added, deleted)
    }

    pub fn set_callback(&self, callback: Option<Callback>, arg: usize) -> c_int {
        // SAFETY: a live context; the callback takes any number.
        let set = unsafe { ASYNC_WAIT_CTX_set_callback(self.0, callback, number(arg)) };
        note(&format!("set_callback -> {set}"));
        set
    }

    /// The answer, whether a callback was written, and its argument, which starts as 7.
    pub fn callback(&self) -> (c_int, Option<Callback>, usize) {
        let (mut callback, mut arg) = (None, number(7));
        // SAFETY: a live context, and two places to write to.
        let got = unsafe { ASYNC_WAIT_CTX_get_callback(self.0, &mut callback, &mut arg) };
        note(&format!("get_callback -> {got}, {}, {}", callback.is_some(), arg.addr()));
        (got, callback, arg.addr())
    }

    pub fn set_status(&self, status: c_int) -> c_int {
        // SAFETY: a live context.
        let set = unsafe { ASYNC_WAIT_CTX_set_status(self.0, status) };
        note(&format!("set_status({status}) -> {set}"));
        set
    }

    pub fn status(&self) -> c_int {
        // SAFETY: a live context.
        let status = unsafe { ASYNC_WAIT_CTX_get_status(self.0) };
        note(&format!("get_status -> {status}"));
        status
    }

    /// All fds, added ones, deleted ones.
    pub fn fds(&self) -> (Vec<Fd>, Vec<Fd>, Vec<Fd>) {
        let (added, deleted) = self.changed();
        (self.all(), added, deleted)
    }
}

impl Drop for Ctx {
    fn drop(&mut self) {
        // SAFETY: made by `new`, freed once.
        unsafe { ASYNC_WAIT_CTX_free(self.0) };
    }
}
