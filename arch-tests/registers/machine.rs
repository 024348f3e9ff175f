//! What the register tests need of each architecture. Each file provides
//!
//! * `NAMES`: every register a callee must preserve, in the order of their values;
//!   `RESERVED` and `FP`: which of them go into the record;
//! * `fill_call_store`: fills them from `values`, calls `body` with six arguments, stores
//!   what they hold then back to `values`, and returns what `body` returned (a body that has
//!   nothing to say returns some `Words`, since the call depends on it on some architectures);
//! * `fill_call_store_stub`, where the assembly has another ABI than C: the same for a body
//!   that has that of the assembly, with those of the registers that are preserved then;
//! * `sp_and_fp`: an entry function, or any callee, that makes an aligned store at the
//!   top of its frame and returns the stack pointer its caller had before it put anything on
//!   the stack for this call, and the frame pointer;
//! * `FP_ABOVE_PAIR`: how far a frame pointer stands above the saved pair of fp and pc.
//!
//! Without a line here it is `machine/imp.rs`, which lets the tests compile and fail.

#[cfg_attr(all(target_arch = "x86_64", not(windows)), path = "x86_64.rs")]
#[cfg_attr(all(target_arch = "x86_64", windows), path = "x86_64_windows.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64.rs")]
#[cfg_attr(target_arch = "x86", path = "x86.rs")]
#[cfg_attr(target_arch = "s390x", path = "s390x.rs")]
#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "powerpc64", path = "powerpc64.rs")]
mod imp;

#[cfg(not(windows))]
pub(crate) use imp::fill_call_store as fill_call_store_stub;
#[cfg(windows)]
pub(crate) use imp::fill_call_store_stub;
pub(crate) use imp::{FP, FP_ABOVE_PAIR, NAMES, RESERVED, fill_call_store, sp_and_fp};

use crate::arch::{Entry, Words};

pub(crate) type FillCallStore =
    unsafe extern "C" fn(*mut Values, *const (), *const [usize; 6]) -> Words;

/// A value for each of [`NAMES`].
pub(crate) type Values = [u64; NAMES.len()];

const _: FillCallStore = fill_call_store;
const _: FillCallStore = fill_call_store_stub;
const _: Entry = sp_and_fp;
const _: [usize; 3] = [FP, RESERVED, FP_ABOVE_PAIR];
