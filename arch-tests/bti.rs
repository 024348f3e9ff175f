//! Landing pads under Branch Target Identification: code of the switch on pages with
//! PROT_BTI works, and without any one of its pads dies by SIGILL.
//!
//! Needs a CPU with BTI (`qemu-aarch64 -cpu max`): on another one the tests fail, they do
//! not skip. Other architectures have nothing like it, and no such tests.
#![allow(unsafe_code)]

#[path = "expect_arch.rs"]
mod a_machine;
#[allow(dead_code, unused_imports, reason = "a part of it is needed here")]
#[path = "../src/arch/mod.rs"]
mod arch;
mod child;

#[cfg(target_arch = "aarch64")]
#[path = "bti/pads.rs"]
mod pads;

// The stub is linked with the library.
use siding as _;
