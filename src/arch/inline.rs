//! The switch, inlined into its callers: the usual build.

pub(crate) use super::imp::{hand_over, pause, resume};
