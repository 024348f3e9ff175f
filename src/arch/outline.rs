//! The switch out of line, under `--cfg siding_outline`: the same suite runs on it.

pub(crate) use super::stub::{hand_over, pause, resume};
