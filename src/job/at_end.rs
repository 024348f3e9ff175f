//! What is done with a job's stack when the job has ended: wiped, or measured.
//!
//! # Safety
//!
//! At that time nothing lives between the bottom of the stack and the control block.
#![allow(unsafe_code)]

#[cfg(feature = "capi")]
use std::collections::HashMap;
use std::ops::Range;
#[cfg(feature = "capi")]
use std::sync::{Mutex, MutexGuard};

use super::core::Raw;
use crate::stack;

/// What to do when a job has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AtEnd {
    Nothing,
    Wipe,
    /// Notes how deep the stack was used, and wipes it for the next to be measured.
    #[cfg(feature = "capi")]
    Measure,
}

/// The deepest use of a stack by each function that was measured, in bytes.
#[cfg(feature = "capi")]
static DEEPEST: Mutex<Option<HashMap<usize, usize>>> = Mutex::new(None);

#[cfg(feature = "capi")]
pub(super) fn hold() -> MutexGuard<'static, Option<HashMap<usize, usize>>> {
    DEEPEST.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// See [`DEEPEST`].
#[cfg(feature = "capi")]
pub(crate) fn deepest(function: usize) -> usize {
    let deepest = hold();
    deepest.as_ref().and_then(|deepest| deepest.get(&function)).copied().unwrap_or(0)
}

impl Raw {
    #[cold]
    pub(super) fn finish_off(self) {
        let stack = self.below_control();
        #[cfg(feature = "capi")]
        if self.core().at_end.get() == AtEnd::Measure {
            // SAFETY: the job has ended.
            let depth = unsafe { stack::depth(stack.clone()) };
            let mut deepest = hold();
            let deepest = deepest.get_or_insert_default();
            let function = self.core().function.get();
            // Without memory for it, it is not noted.
            if deepest.contains_key(&function) || deepest.try_reserve(1).is_ok() {
                let mark = deepest.entry(function).or_default();
                *mark = depth.max(*mark);
            }
        }
        // SAFETY: the job has ended.
        unsafe { stack::wipe(stack) };
    }

    /// Wipes the stack of a job that is to be measured.
    ///
    /// # Safety
    /// It is neither armed nor paused.
    pub(super) unsafe fn clean(self) {
        // SAFETY: nothing lives there, by this function's contract.
        unsafe { stack::wipe(self.below_control()) };
    }

    pub(super) fn below_control(self) -> Range<*mut u8> {
        let (bottom, control) = self.bounds();
        let pointer = self.0.as_ptr().cast::<u8>();
        pointer.with_addr(bottom)..pointer.with_addr(control)
    }
}
