//! Guides: how to use siding for something, from beginning to end. Every example here is run.
//!
//! * [`from_async_job`]: what OpenSSL's functions are called here
//! * [`pausing_engine`]: engines and providers that pause
//! * [`event_loops`]: jobs inside epoll, libuv, tokio
//! * [`stacks`]: how large
//! * [`debugging`]: gdb, core dumps, probes, profiles
//! * [`safety`]: what to keep to, in Rust and in C
//! * [`new_architecture`]: for contributors

#[doc = include_str!("../docs/guide/debugging.md")]
pub mod debugging {}
#[doc = include_str!("../docs/guide/event-loops.md")]
pub mod event_loops {}
#[doc = include_str!("../docs/guide/from-async-job.md")]
pub mod from_async_job {}
#[doc = include_str!("../docs/guide/new-architecture.md")]
pub mod new_architecture {}
#[doc = include_str!("../docs/guide/pausing-engine.md")]
pub mod pausing_engine {}
#[doc = include_str!("../docs/guide/safety.md")]
pub mod safety {}
#[doc = include_str!("../docs/guide/stacks.md")]
pub mod stacks {}
