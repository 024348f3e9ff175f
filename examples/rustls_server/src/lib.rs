//! The parts of the example: the key, the server and its clients.

pub mod clients;
pub mod key;
pub mod server;
