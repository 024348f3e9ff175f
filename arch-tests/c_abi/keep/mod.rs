//! What siding and libcrypto both do.

mod pausing;
mod pools;
mod process;
mod starting;
mod wait_ctx;
mod wait_ctx_changes;
