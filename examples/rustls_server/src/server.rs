//! The server: a job for each connection, in which rustls reads, writes and signs as if it
//! could block. All its frames are Rust, so a job that is given up is simply unwound.

use std::cell::Cell;
use std::error::Error;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use siding::future::{self, block_on};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::timeout;

/// How the connections went.
#[derive(Default)]
pub struct Tally {
    pub open: Cell<u32>,
    pub served: Cell<u32>,
    /// The client hung up in the middle.
    pub failed: Cell<u32>,
    /// The client took too long; its job was unwound.
    pub unwound: Cell<u32>,
}

fn one_more(count: &Cell<u32>) {
    count.set(count.get() + 1);
}

pub async fn serve(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    patience: Duration,
    tally: Rc<Tally>,
) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let (config, tally) = (Arc::clone(&config), Rc::clone(&tally));
        one_more(&tally.open);
        spawn_local(async move {
            match timeout(patience, future::run(move || session(stream, config))).await {
                Ok(Ok(Ok(()))) => one_more(&tally.served),
                Ok(Ok(Err(_))) => one_more(&tally.failed),
                Ok(Err(no_job)) => eprintln!("no job: {no_job}"),
                Err(_) => one_more(&tally.unwound),
            }
            tally.open.set(tally.open.get() - 1);
        });
    }
}

/// What a thread of its own would do.
fn session(stream: TcpStream, config: Arc<ServerConfig>) -> Result<(), Box<dyn Error>> {
    let mut tls = StreamOwned::new(ServerConnection::new(config)?, Blocking(stream));
    let mut line = [0; 64];
    let len = tls.read(&mut line)?;
    tls.write_all(&line[..len])?;
    tls.conn.send_close_notify();
    tls.flush()?;
    Ok(())
}

/// A socket of tokio's that seems to block: the job is paused meanwhile.
struct Blocking(TcpStream);

impl Read for Blocking {
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

impl Write for Blocking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            block_on(self.0.writable()).map_err(io::Error::other)??;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
