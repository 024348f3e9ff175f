//! The switch out of line, under `--cfg siding_outline`: the same suite runs on it. `build.rs` sets
//! that for x86_64 processors with APX.

pub(crate) use super::stub::{hand_over, pause, resume};
