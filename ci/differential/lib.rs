//! What the programs in `tests/` share: the error queue of the libcrypto that they are
//! linked to.

#[link(name = "crypto")]
unsafe extern "C" {
    safe fn ERR_get_error() -> u64;
}

/// There is one.
pub const PRESENT: bool = true;

/// Empties the thread's queue.
pub fn take() -> Vec<u64> {
    std::iter::from_fn(|| Some(ERR_get_error()).filter(|&error| error != 0)).collect()
}
