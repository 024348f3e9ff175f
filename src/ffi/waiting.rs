//! How a small job waits in the place of a cancelled one: with the same wait context, for which its
//! driver polls.

use crate::job::{self, Options, Wait, WaitCtx, WaitError};

pub(super) fn options(ctx: &WaitCtx) -> Options {
    Options::new().wait_ctx(ctx.clone())
}

pub(super) fn wait(_: &WaitCtx) -> Result<(), WaitError> {
    job::wait(Wait::Resume)
}
