//! State of the thread that a job may keep for itself, by choice: switches leave it alone.

use std::cell::Cell;

use crate::context::FpControl;
#[cfg(feature = "capi")]
use crate::sys::{self, CxxGlobals, Errno};

/// What one job keeps. Each field holds the values of the side that is not running.
pub(super) struct Kept {
    /// Whether there is anything: one look at each end of a switch.
    any: Cell<bool>,
    fp: Cell<Option<FpControl>>,
    #[cfg(feature = "capi")]
    cxx: Cell<Option<CxxGlobals>>,
    /// Only the job's: what it leaves behind when it ends is for its resumer to see.
    #[cfg(feature = "capi")]
    errno: Cell<Option<Errno>>,
}

impl Kept {
    pub(super) const fn nothing() -> Self {
        Kept {
            any: Cell::new(false),
            fp: Cell::new(None),
            #[cfg(feature = "capi")]
            cxx: Cell::new(None),
            #[cfg(feature = "capi")]
            errno: Cell::new(None),
        }
    }

    pub(super) fn is_anything(&self) -> bool {
        self.any.get()
    }

    /// For a job that starts: FP control words of its own, copies of the present ones?
    #[inline(always)]
    pub(super) fn start(&self, fp: bool) {
        self.any.set(fp);
        if fp {
            self.fp.set(Some(FpControl::read()));
            // Of a job of C's that had them, on the same stack before.
            #[cfg(feature = "capi")]
            self.cxx.set(None);
            #[cfg(feature = "capi")]
            self.errno.set(None);
        }
    }

    /// For a job of C's that starts.
    #[cfg(feature = "capi")]
    pub(super) fn start_c(&self, fp: bool, cxx: bool, errno: bool) {
        self.any.set(fp || cxx || errno);
        self.fp.set(fp.then(FpControl::read));
        self.cxx.set(cxx.then(CxxGlobals::default));
        self.errno.set(errno.then(sys::errno));
    }

    /// The job is about to run.
    #[inline(always)]
    pub(super) fn enter(&self) {
        if self.any.get() {
            self.exchange();
            #[cfg(feature = "capi")]
            if let Some(errno) = self.errno.get() {
                sys::set_errno(errno);
            }
        }
    }

    /// The job has paused or ended.
    #[inline(always)]
    pub(super) fn leave(&self) {
        if self.any.get() {
            #[cfg(feature = "capi")]
            if self.errno.get().is_some() {
                self.errno.set(Some(sys::errno()));
            }
            self.exchange();
        }
    }

    #[cold]
    fn exchange(&self) {
        if let Some(theirs) = self.fp.get() {
            self.fp.set(Some(FpControl::read()));
            theirs.write();
        }
        #[cfg(feature = "capi")]
        if let Some(theirs) = self.cxx.get() {
            self.cxx.set(Some(sys::exchange_cxx_globals(theirs)));
        }
    }
}
