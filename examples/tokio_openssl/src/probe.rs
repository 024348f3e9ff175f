//! What another task of the same thread notices: how long an echo takes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Echoes single bytes.
pub async fn echo(listener: TcpListener) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::task::spawn_local(async move {
            let mut byte = [0];
            while stream.read_exact(&mut byte).await.is_ok() {
                if stream.write_all(&byte).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// Asks for an echo every millisecond, from a thread of its own.
pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Vec<Duration>>>,
}

impl Probe {
    pub fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            let mut times = Vec::new();
            while !seen.load(Relaxed) {
                let start = Instant::now();
                stream.write_all(&[7])?;
                stream.read_exact(&mut [0])?;
                times.push(start.elapsed());
                thread::sleep(Duration::from_millis(1));
            }
            Ok(times)
        });
        Probe { stop, thread }
    }

    /// Has it end soon.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// The times, the shortest first.
    pub fn times(self) -> io::Result<Vec<Duration>> {
        let mut times =
            self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the probe panicked")))?;
        times.sort();
        Ok(times)
    }
}
