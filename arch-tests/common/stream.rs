//! Streams that a scheduler can wait for.

use std::io;

#[cfg(windows)]
use std::net::{TcpListener, TcpStream as Both};
#[cfg(unix)]
use std::os::unix::net::UnixStream as Both;

pub type Stream = Both;

/// Two that are connected.
pub fn pair() -> io::Result<(Stream, Stream)> {
    #[cfg(unix)]
    return Stream::pair();
    #[cfg(windows)]
    {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let one = Stream::connect(listener.local_addr()?)?;
        one.set_nodelay(true)?;
        Ok((one, listener.accept()?.0))
    }
}
