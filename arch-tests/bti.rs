//! Landing pads under Branch Target Identification: code of the switch on pages with
//! PROT_BTI works, and without any one of its pads dies by SIGILL.
//!
//! Needs a CPU with BTI (`qemu-aarch64 -cpu max`): on another one the tests fail, they do
//! not skip. Other architectures have nothing like it, and no such tests.
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
mod pads;

// The stub is linked with the library.
use siding as _;
