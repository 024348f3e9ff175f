//! The C ABI: each row of `c_abi/rows.txt` is a test of that name.
//!
//! What stands in `c_abi/keep` holds for OpenSSL's libcrypto too: `ci/differential.sh`
//! builds the same files against it. Here there is siding and no libcrypto.
#![allow(unsafe_code, reason = "C functions")]

#[path = "expect_arch.rs"]
mod a_machine;
#[path = "c_abi/api.rs"]
mod api;
#[path = "c_abi/better/mod.rs"]
mod better;
mod common;
#[path = "c_abi/keep/mod.rs"]
mod keep;
#[path = "c_abi/wait.rs"]
mod wait;

/// The error queue: there is none.
mod queue {
    pub const PRESENT: bool = false;

    pub fn take() -> Vec<u64> {
        Vec::new()
    }
}

/// Whether guards cost no mappings, so that only memory limits the number of jobs.
fn guards_are_free() -> bool {
    siding::stack::guard_mode() == siding::stack::GuardMode::Madvise
}
