//! What the programs in `tests/` share: the error queue of the libcrypto that they are
//! linked to.

use std::ffi::c_ulong;

#[link(name = "crypto")]
unsafe extern "C" {
    safe fn ERR_get_error() -> c_ulong;
}

/// There is one.
pub const PRESENT: bool = true;

/// Empties the thread's queue.
pub fn take() -> Vec<u64> {
    std::iter::from_fn(|| match ERR_get_error() {
        0 => None,
        error => Some(u64::from(error)),
    })
    .collect()
}
