//! A rustls server on one thread of tokio whose key takes some milliseconds to sign. Its
//! `SigningKey` is synchronous; because each connection is a job, it may wait all the same.
//!
//! `cargo run --release --example rustls_server`

use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use clap::{Parser, value_parser};
use rustls::ServerConfig;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use siding::offload::Workers;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::sleep;
use watch::{Sample, Watch};

use parts::clients::Clients;
use parts::key::Remote;
use parts::server::{self, Tally};

/// TLS handshakes whose signatures take long, all on one thread.
#[derive(Parser)]
struct Arguments {
    /// Handshakes to make; one of ten is broken off
    #[arg(long, default_value_t = 2000, value_name = "N", value_parser = value_parser!(u32).range(10..=1_000_000))]
    handshakes: u32,

    /// Threads of clients, and of signers
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = value_parser!(u32).range(1..=1000))]
    clients: u32,

    /// Milliseconds that a signature takes
    #[arg(long, default_value_t = 5, value_name = "MS", value_parser = value_parser!(u64).range(1..=1000))]
    latency: u64,

    /// Show the jobs live, on a terminal
    #[arg(long)]
    watch: bool,
}

/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let result = run(&Arguments::parse());
    if let Err(error) = &result {
        eprintln!("error: {error}");
    }
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let workers = Arc::new(Workers::new(arguments.clients as usize)?);
    LocalSet::new().block_on(&runtime, measure(arguments, workers))
}

async fn measure(arguments: &Arguments, workers: Arc<Workers>) -> Result<(), Box<dyn Error>> {
    let (config, certificate) = config(Duration::from_millis(arguments.latency), workers)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let clients = Clients::new(listener.local_addr()?, certificate)?;
    let tally = Rc::new(Tally::default());
    spawn_local(server::serve(listener, config, PATIENCE, Rc::clone(&tally)));
    let picture = spawn_local(picture(arguments.watch));
    yield_now().await; // it has its descriptors
    let descriptors = open_descriptors()?;

    let silent = clients.half()?; // Its job will be unwound.
    let (send, receive) = oneshot::channel();
    let (handshakes, threads) = (arguments.handshakes as usize, arguments.clients as usize);
    let start = Instant::now();
    thread::spawn(move || send.send(clients.run(handshakes, threads)));
    let completed = receive.await??;
    let time = start.elapsed().as_secs_f64();
    while tally.open.get() > 0 {
        sleep(Duration::from_millis(5)).await;
    }
    picture.abort();
    let _ = picture.await; // the terminal is back
    drop(silent);
    siding::job::cleanup_thread(); // Jobs that were kept for reuse.
    let (jobs, descriptors) = (siding::stack::stats().live, open_descriptors()? - descriptors);
    let one_by_one = f64::from(arguments.handshakes) * arguments.latency as f64 / 1000.0;
    println!(
        "{completed} handshakes completed in {time:.2} s; signing alone, one by one: {one_by_one:.2} s"
    );
    println!(
        "connections served {}, broken off by the client {}, unwound {}",
        tally.served.get(),
        tally.failed.get(),
        tally.unwound.get()
    );
    println!("left behind: {jobs} jobs, {descriptors} descriptors");
    if jobs != 0 || descriptors != 0 { Err("something was left behind".into()) } else { Ok(()) }
}

/// Draws the jobs of this thread until it is aborted.
async fn picture(wanted: bool) -> io::Result<()> {
    let Some(mut watch) = wanted.then(Watch::begin).flatten() else { return Ok(()) };
    while !watch::asked_to_stop()? {
        watch.draw(Sample::take(None))?;
        sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

/// A configuration whose key is slow, and the certificate for clients to trust.
fn config(
    time: Duration,
    workers: Arc<Workers>,
) -> Result<(Arc<ServerConfig>, CertificateDer<'static>), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let remote = Remote { key: any_supported_type(&key)?, workers, time };
    let certified = CertifiedKey::new(vec![certificate.clone()], Arc::new(remote));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    Ok((Arc::new(config), certificate))
}

fn open_descriptors() -> io::Result<i64> {
    Ok(fs::read_dir("/proc/self/fd")?.count() as i64)
}
