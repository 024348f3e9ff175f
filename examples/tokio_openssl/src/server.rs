//! The server: tasks of tokio that accept, and a job for each connection, in which OpenSSL
//! reads, writes and signs as if it could block.

use std::cell::Cell;
use std::error::Error;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKeyRef, Private};
use openssl::ssl::{Ssl, SslAcceptor, SslContext, SslMethod, SslStream};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use siding::future::{self, NoReactor, block_on};
use siding::job::{CancelMode, Options};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::key::{Device, remote_key};

/// How the connections went.
#[derive(Default)]
pub struct Tally {
    pub open: Cell<u32>,
    pub served: Cell<u32>,
    /// The client hung up in the middle.
    pub failed: Cell<u32>,
    /// The client said nothing for too long; its job was cancelled.
    pub cancelled: Cell<u32>,
}

fn one_more(count: &Cell<u32>) {
    count.set(count.get() + 1);
}

/// Serves each connection, if the client takes no more than `patience`.
pub async fn serve(
    listener: TcpListener,
    context: SslContext,
    patience: Duration,
    tally: Rc<Tally>,
) -> io::Result<()> {
    // C frames lie between the start of a job and where it pauses: they cannot be unwound.
    let options = Options::new().cancel_mode(CancelMode::Return);
    loop {
        let (stream, _) = listener.accept().await?;
        let (context, tally) = (context.clone(), Rc::clone(&tally));
        let job = future::run_with(options.clone(), NoReactor, move || session(stream, &context));
        one_more(&tally.open);
        spawn_local(async move {
            // Too late: the job is dropped, its pause returns an error, it ends.
            match timeout(patience, job).await {
                Ok(Ok(Ok(()))) => one_more(&tally.served),
                Ok(Ok(Err(_))) => one_more(&tally.failed),
                Ok(Err(no_job)) => eprintln!("no job: {no_job}"),
                Err(_) => one_more(&tally.cancelled),
            }
            tally.open.set(tally.open.get() - 1);
        });
    }
}

/// What a thread of its own would do. OpenSSL is given no SSL_MODE_ASYNC: this is a job
/// already, and one of libcrypto's inside would be one more stack, that nobody here drives.
fn session(stream: TcpStream, context: &SslContext) -> Result<(), Box<dyn Error>> {
    let mut tls = SslStream::new(Ssl::new(context)?, Blocking(stream))?;
    tls.accept()?;
    let mut line = [0; 64];
    let len = tls.read(&mut line)?;
    tls.write_all(&line[..len])?;
    tls.shutdown()?;
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

/// A context whose key is the device's, and the certificate for clients to trust.
pub fn context(device: &'static Device) -> Result<(SslContext, X509), Box<dyn Error>> {
    let certificate = certificate(&*device.plain_key()?)?;
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    builder.set_certificate(&certificate)?;
    builder.set_private_key(&*remote_key(device)?)?;
    Ok((builder.build().into_context(), certificate))
}

fn certificate(key: &PKeyRef<Private>) -> Result<X509, Box<dyn Error>> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "localhost")?;
    let name = name.build();
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(1)?)?;
    let names = SubjectAlternativeName::new()
        .dns("localhost")
        .build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}
