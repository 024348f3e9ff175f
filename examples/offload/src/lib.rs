//! The parts of the example: what to sign, how, who waits, and what that costs.

pub mod chunks;
pub mod measure;
pub mod modes;
pub mod work;
