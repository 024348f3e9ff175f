//! What is measured: each section in a process of its own, all peers together in it.

mod cells;
pub mod lives;
pub mod many;
pub mod offload;
pub mod round_trips;
mod tasks;
pub mod yields;
