//! The switch out of line, under `--cfg siding_outline`: the same suite runs on it. `build.rs` sets
//! that where no other will do.

pub(crate) use super::stub::{hand_over, pause, resume};
