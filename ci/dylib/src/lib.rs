//! Nothing but siding, as a dylib.

pub use siding;
