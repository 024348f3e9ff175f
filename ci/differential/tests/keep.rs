//! What holds for siding and for libcrypto, in a program that is linked to libcrypto: run
//! by ci/differential.sh once like that, and once with siding preloaded.

#[path = "../../../arch-tests/c_abi/api.rs"]
mod api;
#[path = "crypto/binding.rs"]
mod binding;
#[path = "../../../arch-tests/common/mod.rs"]
mod common;
#[path = "crypto/keep.rs"]
mod crypto;
#[path = "../../../arch-tests/c_abi/keep/mod.rs"]
mod keep;
#[path = "../../../arch-tests/c_abi/wait.rs"]
mod wait;

use siding_differential as queue;

fn guards_are_free() -> bool {
    true
}
