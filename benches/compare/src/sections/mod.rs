//! What is measured: each section in a process of its own, all peers together in it.

pub mod lives;
pub mod many;
pub mod offload;
pub mod round_trips;
pub mod tasks;
pub mod yields;
