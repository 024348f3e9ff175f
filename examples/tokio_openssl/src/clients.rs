//! Clients: ordinary blocking threads.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use openssl::ssl::{HandshakeError, MidHandshakeSslStream, SslConnector, SslMethod};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;

/// What a crowd of clients is to do.
#[derive(Clone)]
pub struct Crowd {
    pub address: SocketAddr,
    pub connector: SslConnector,
    pub handshakes: usize,
    /// As many a second, at most.
    pub rate: u32,
    /// Of ten clients, how many hang up when the server is about to sign.
    pub rude_of_ten: usize,
    pub threads: usize,
}

/// How many handshakes were completed and how many broken off.
#[derive(Default)]
pub struct Done {
    pub completed: AtomicUsize,
    pub broken_off: AtomicUsize,
}

pub fn connector(trusted: X509) -> Result<SslConnector, Box<dyn Error>> {
    let mut store = X509StoreBuilder::new()?;
    store.add_cert(trusted)?;
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_cert_store(store.build());
    Ok(builder.build())
}

impl Crowd {
    /// Blocks until all have done.
    pub fn run(self) -> Result<Arc<Done>, String> {
        let done = Arc::new(Done::default());
        let (started, start) = (AtomicUsize::new(0), Instant::now());
        let client = || -> Result<(), String> {
            loop {
                let n = started.fetch_add(1, Relaxed);
                if n >= self.handshakes {
                    return Ok(());
                }
                let begin = start + Duration::from_secs(1) * n as u32 / self.rate;
                thread::sleep(begin.saturating_duration_since(Instant::now()));
                if n % 10 < self.rude_of_ten {
                    drop(self.half().map_err(|error| error.to_string())?);
                    done.broken_off.fetch_add(1, Relaxed);
                } else {
                    self.whole().map_err(|error| error.to_string())?;
                    done.completed.fetch_add(1, Relaxed);
                }
            }
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads).map(|_| scope.spawn(client)).collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err("a client panicked".into()))
            })
        })?;
        Ok(done)
    }

    /// A handshake, a line there and back.
    fn whole(&self) -> Result<(), Box<dyn Error>> {
        let stream = TcpStream::connect(self.address)?;
        let mut tls = self.connector.connect("localhost", stream)?;
        tls.write_all(b"hello")?;
        let mut answer = Vec::new();
        tls.read_to_end(&mut answer)?;
        if answer != b"hello" {
            return Err(format!("the server answers {answer:?}").into());
        }
        Ok(())
    }

    /// The first message of a handshake, and no more.
    pub fn half(&self) -> io::Result<MidHandshakeSslStream<TcpStream>> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nonblocking(true)?;
        match self.connector.connect("localhost", stream) {
            Err(HandshakeError::WouldBlock(half)) => Ok(half),
            Err(error) => Err(io::Error::other(error)),
            Ok(_) => Err(io::Error::other("the server was too fast")),
        }
    }
}
