//! Where libcrypto crashes, leaks, corrupts memory or says what is not so.

mod handles;
mod lifetime;
mod nesting;
mod pools;
mod process;
mod unwinding;
