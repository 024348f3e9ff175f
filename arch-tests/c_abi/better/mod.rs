//! Where libcrypto crashes, leaks, corrupts memory or says what is not so.

mod handles;
mod lifetime;
mod nesting;
mod pools;
mod process;
#[cfg_attr(windows, path = "unwinding_windows.rs")]
mod unwinding;
