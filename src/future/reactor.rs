//! Where jobs that are awaited wait for descriptors and instants: the runtime's own.

use std::future::{Future, ready};
use std::io;
#[cfg(all(any(feature = "tokio", feature = "async-io"), unix))]
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::time::Instant;

use crate::job::{Interest, RawFd};

/// What a [`Reactor`] answers: completes when it is time to look again.
pub type Waiting = Pin<Box<dyn Future<Output = io::Result<()>>>>;

/// A runtime's way to wait for descriptors and instants.
pub trait Reactor {
    /// Whether it can wait at all.
    const IS_ONE: bool = true;

    /// Completes when `fd`, which stays open until then, is as `interest` says.
    fn ready(&self, fd: RawFd, interest: Interest) -> Waiting;

    /// Completes at `instant`.
    fn at(&self, instant: Instant) -> Waiting;
}

/// No reactor: waiting for a descriptor or an instant is an error in the job,
/// [`NoReactor`](crate::job::WaitError::NoReactor).
#[derive(Clone, Copy, Debug, Default)]
pub struct NoReactor;

impl Reactor for NoReactor {
    const IS_ONE: bool = false;

    fn ready(&self, _: RawFd, _: Interest) -> Waiting {
        Box::pin(ready(Err(io::ErrorKind::Unsupported.into())))
    }

    fn at(&self, _: Instant) -> Waiting {
        Box::pin(ready(Err(io::ErrorKind::Unsupported.into())))
    }
}

/// A descriptor of one's own for the same file: a reactor takes each only once, and the
/// program may have registered the original.
#[cfg(all(any(feature = "tokio", feature = "async-io"), unix))]
fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    #[allow(unsafe_code, reason = "a number becomes a descriptor")]
    // SAFETY: not -1; it stays open during this call, as `Reactor::ready` demands.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned()
}

/// Tokio's reactor and timer, of the runtime that polls the future.
#[cfg(all(feature = "tokio", unix))]
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

#[cfg(all(feature = "tokio", unix))]
impl Reactor for Tokio {
    fn ready(&self, fd: RawFd, interest: Interest) -> Waiting {
        use tokio::io::{Interest as Tokios, unix::AsyncFd};
        Box::pin(async move {
            let fd = duplicate(fd)?;
            let interest = match interest {
                Interest::Readable => Tokios::READABLE,
                Interest::Writable => Tokios::WRITABLE,
            };
            // Which an error alone does not end.
            let interest = interest | Tokios::ERROR;
            #[allow(unsafe_code, reason = "tokio asks that the descriptor stay the same")]
            // SAFETY: an `OwnedFd` is open, and the same, as long as it lives.
            let fd = unsafe { AsyncFd::register_with_interest(fd, interest) };
            let fd = fd.map_err(|error| error.into_parts().1)?;
            fd.ready(interest).await.map(drop)
        })
    }

    fn at(&self, instant: Instant) -> Waiting {
        Box::pin(async move {
            tokio::time::sleep_until(instant.into()).await;
            Ok(())
        })
    }
}

/// The reactor of smol and its relatives, which has a thread of its own if need be.
#[cfg(all(feature = "async-io", unix))]
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncIo;

#[cfg(all(feature = "async-io", unix))]
impl Reactor for AsyncIo {
    fn ready(&self, fd: RawFd, interest: Interest) -> Waiting {
        Box::pin(async move {
            let fd = async_io::Async::new_nonblocking(duplicate(fd)?)?;
            match interest {
                Interest::Readable => fd.readable().await,
                Interest::Writable => fd.writable().await,
            }
        })
    }

    fn at(&self, instant: Instant) -> Waiting {
        Box::pin(async move {
            async_io::Timer::at(instant).await;
            Ok(())
        })
    }
}
