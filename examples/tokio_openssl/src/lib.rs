//! The parts of the example: the key, the server, its clients, and what is measured.

pub mod clients;
pub mod key;
pub mod probe;
pub mod server;
