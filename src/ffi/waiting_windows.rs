//! How a small job waits in the place of a cancelled one: its driver can wait for sockets, and
//! a wait context has handles, so somebody else wakes it.

use crate::job::{self, Options, WaitCtx, WaitError};
use crate::sys::watch::{Watch, is_set};

pub(super) fn options(_: &WaitCtx) -> Options {
    Options::new()
}

pub(super) fn wait(ctx: &WaitCtx) -> Result<(), WaitError> {
    let handles = ctx.all_fds();
    for handle in &handles {
        if is_set(*handle).map_err(WaitError::Io)? {
            // As if it had been polled: others get their turns.
            return job::yield_now();
        }
    }
    let wake = job::wake_handle();
    let tell = move || _ = wake.as_ref().map(|wake| wake.wake());
    let _watch = Watch::new(&handles, tell).map_err(WaitError::Io)?;
    job::park()
}
