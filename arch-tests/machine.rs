//! The switch itself: this program has `src/arch` as a part of its own.
#[path = "expect_arch.rs"]
mod a_machine;
#[allow(dead_code, unused_imports, reason = "a part of it is needed here")]
#[path = "../src/arch/mod.rs"]
mod arch;
mod bti;
// For `bti`.
#[cfg(target_arch = "aarch64")]
mod common;
mod registers;
