//! What siding does better, with libcrypto's error queue to look at: run by
//! ci/differential.sh with siding preloaded.

#[path = "../../../arch-tests/c_abi/api.rs"]
mod api;
#[path = "../../../arch-tests/c_abi/better/mod.rs"]
mod better;
#[path = "crypto/binding.rs"]
mod binding;
#[path = "../../../arch-tests/common/mod.rs"]
mod common;
#[path = "crypto/better.rs"]
mod crypto;
#[path = "../../../arch-tests/c_abi/wait.rs"]
mod wait;

use siding_differential as queue;
