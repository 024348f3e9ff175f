//! The parts of the example: the parser, two ways to feed it, the senders, what it costs.

pub mod feed;
pub mod measure;
pub mod parse;
pub mod senders;
