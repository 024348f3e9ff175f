//! The callback of a wait context: a closure from Rust or a function from C.

use std::ffi::{c_int, c_void};
use std::fmt;
use std::ptr;
use std::sync::Arc;

/// What an engine calls, from any thread, when the job can be resumed.
///
/// Clones call the same closure.
#[derive(Clone)]
pub struct Callback(pub(super) Form);

#[derive(Clone)]
pub(super) enum Form {
    // Boxed, so that it has a thin address to give to C.
    Closure(Arc<Closure>),
    C { function: CallbackFn, arg: usize },
}

pub(super) type Closure = Box<dyn Fn() + Send + Sync>;

/// C's callback, called with its argument.
pub(crate) type CallbackFn = unsafe extern "C" fn(*mut c_void) -> c_int;

impl Callback {
    /// A callback that calls `closure`.
    ///
    /// Where an engine written in C calls it, it must not panic: that aborts.
    pub fn new(closure: impl Fn() + Send + Sync + 'static) -> Self {
        Callback(Form::Closure(Arc::new(Box::new(closure))))
    }

    /// Calls it. Returns what a function from C returns, whose meaning is up to the
    /// program; 1 for a closure.
    pub fn call(&self) -> c_int {
        match &self.0 {
            Form::Closure(closure) => {
                closure();
                1
            }
            Form::C { function, arg } => {
                // SAFETY: `from_c` was promised that it may be called like this.
                unsafe { function(ptr::with_exposed_provenance_mut(*arg)) }
            }
        }
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").finish_non_exhaustive()
    }
}
