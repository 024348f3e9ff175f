//! `ASYNC_set_mem_functions` and `ASYNC_get_mem_functions`, which OpenSSL has since 3.2:
//! rows of `c_abi/rows.txt`, each in a child, where no stack has been made yet.
#![allow(unsafe_code, reason = "C functions")]

#[path = "expect_arch.rs"]
mod a_machine;
#[path = "c_abi/api.rs"]
mod api;
mod common;
#[path = "c_abi/memory/mod.rs"]
mod memory;
#[path = "c_abi/wait.rs"]
mod wait;

/// The error queue: there is none.
mod queue {
    pub const PRESENT: bool = false;

    pub fn take() -> Vec<u64> {
        Vec::new()
    }
}

use siding as _;
