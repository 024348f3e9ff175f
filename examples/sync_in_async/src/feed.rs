//! Two ways to feed a `Read` from a socket of tokio's.

use std::error::Error;
use std::io::{self, Read};
use std::os::unix::net::UnixStream as Socket;

use siding::future::{self, block_on};
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::parse;

type Failure = Box<dyn Error + Send + Sync>;

/// In a job: the parser's stack waits on the side, the thread is free.
pub async fn in_a_job(socket: Socket, gzip: bool) -> Result<u64, Failure> {
    let stream = UnixStream::from_std(socket)?;
    Ok(future::run(move || parse::sum(InJob(stream), gzip)).await??)
}

struct InJob(UnixStream);

impl Read for InJob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            block_on(self.0.readable()).map_err(io::Error::other)??;
        }
    }
}

/// On a thread of the runtime's for blocking work, which it keeps as long as it waits.
pub async fn on_a_thread(socket: Socket, gzip: bool) -> Result<u64, Failure> {
    let stream = UnixStream::from_std(socket)?;
    let runtime = Handle::current();
    Ok(spawn_blocking(move || parse::sum(OnThread(stream, runtime), gzip)).await??)
}

struct OnThread(UnixStream, Handle);

impl Read for OnThread {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            self.1.block_on(self.0.readable())?;
        }
    }
}
