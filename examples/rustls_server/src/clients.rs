//! Clients: ordinary blocking threads.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

#[derive(Clone)]
pub struct Clients {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

impl Clients {
    pub fn new(
        address: SocketAddr,
        trusted: CertificateDer<'static>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted)?;
        let mut config =
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        // Each handshake is to need a signature.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Clients { address, config: Arc::new(config) })
    }

    /// Makes that many handshakes on some threads, and breaks one of ten off. Returns how
    /// many were completed.
    pub fn run(&self, handshakes: usize, threads: usize) -> Result<usize, String> {
        let (started, completed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let client = || -> Result<(), String> {
            loop {
                let n = started.fetch_add(1, Relaxed);
                if n >= handshakes {
                    return Ok(());
                }
                if n % 10 == 0 {
                    drop(self.half().map_err(|error| error.to_string())?);
                } else {
                    self.whole().map_err(|error| error.to_string())?;
                    completed.fetch_add(1, Relaxed);
                }
            }
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(client)).collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err("a client panicked".into()))
            })
        })?;
        Ok(completed.into_inner())
    }

    fn connection(&self) -> Result<ClientConnection, rustls::Error> {
        let name = ServerName::try_from("localhost").expect("a name");
        ClientConnection::new(Arc::clone(&self.config), name)
    }

    /// A handshake, a line there and back.
    fn whole(&self) -> Result<(), Box<dyn Error>> {
        let mut tls = StreamOwned::new(self.connection()?, TcpStream::connect(self.address)?);
        tls.write_all(b"hello")?;
        let mut answer = Vec::new();
        tls.read_to_end(&mut answer)?;
        if answer != b"hello" {
            return Err(format!("the server answers {answer:?}").into());
        }
        Ok(())
    }

    /// The first message of a handshake, and no more.
    pub fn half(&self) -> Result<TcpStream, Box<dyn Error>> {
        let mut stream = TcpStream::connect(self.address)?;
        self.connection()?.write_tls(&mut stream)?;
        Ok(stream)
    }
}
