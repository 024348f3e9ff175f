//! A TLS server on one thread of tokio whose private key is some milliseconds away. Each
//! connection is a job: OpenSSL's blocking calls run in it unchanged, and where they wait,
//! for the socket or for a signature, the job is paused and other tasks run.
//!
//! `cargo run --release --package siding-tokio-openssl-example --example tokio_openssl`

use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use clap::{Parser, value_parser};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use tls::clients::{self, Crowd};
use tls::key::Device;
use tls::probe::{self, Probe};
use tls::server::{self, Tally};

/// TLS handshakes whose signatures take long, and what other tasks notice of them.
#[derive(Parser)]
struct Arguments {
    /// Handshakes to make
    #[arg(long, default_value_t = 3000, value_name = "N", value_parser = value_parser!(u32).range(10..=1_000_000))]
    handshakes: u32,

    /// Handshakes to begin a second; with too many, all measure how busy the machine is
    #[arg(long, default_value_t = 300, value_name = "N", value_parser = value_parser!(u32).range(1..=100_000))]
    rate: u32,

    /// Threads of clients
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = value_parser!(u32).range(1..=1000))]
    clients: u32,

    /// Milliseconds that a signature takes
    #[arg(long, default_value_t = 5, value_name = "MS", value_parser = value_parser!(u64).range(1..=1000))]
    latency: u64,

    /// Clients of ten that hang up in the middle of the handshake
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = value_parser!(u32).range(..=9))]
    rude: u32,

    /// Further clients that say nothing more in the middle of the handshake
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = value_parser!(u32).range(..=1000))]
    silent: u32,
}

/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let device =
        Device::open(arguments.clients as usize, Duration::from_millis(arguments.latency))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, measure(arguments, device))
}

async fn measure(arguments: &Arguments, device: &'static Device) -> Result<(), Box<dyn Error>> {
    let (context, certificate) = server::context(device)?;
    let (tls, echo) =
        (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    let (tls_address, echo_address) = (tls.local_addr()?, echo.local_addr()?);
    let tally = Rc::new(Tally::default());
    spawn_local(server::serve(tls, context, PATIENCE, Rc::clone(&tally)));
    spawn_local(probe::echo(echo));
    let crowd = |handshakes| -> Result<Crowd, Box<dyn Error>> {
        Ok(Crowd {
            address: tls_address,
            connector: clients::connector(certificate.clone())?,
            handshakes,
            rate: arguments.rate,
            rude_of_ten: arguments.rude as usize,
            threads: arguments.clients as usize,
        })
    };
    // What is allocated once, is now.
    phase("", echo_address, on_a_thread(crowd(20)?)).await?;
    settled(&tally).await;
    let descriptors = open_descriptors()?;

    println!("{:<26}{:>10}{:>9}   echo of another task, us", "", "completed", "a second");
    println!("{:<26}{:>10}{:>9}{:>10}{:>8}{:>8}", "", "", "", "median", "99 %", "most");
    let pause = async {
        sleep(Duration::from_millis(500)).await;
        Ok(0)
    };
    phase("nothing else to do", echo_address, pause).await?;
    let silent = (0..arguments.silent).map(|_| crowd(0)?.half().map_err(Into::into));
    let silent = silent.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let handshakes = arguments.handshakes as usize;
    phase("signatures offloaded", echo_address, on_a_thread(crowd(handshakes)?)).await?;
    settled(&tally).await;
    drop(silent);
    device.sign_in_place(true);
    phase("the thread waits for each", echo_address, on_a_thread(crowd(handshakes.div_ceil(10))?))
        .await?;
    settled(&tally).await;
    report(&tally, device, open_descriptors()? as i64 - descriptors as i64)
}

fn report(tally: &Tally, device: &Device, descriptors: i64) -> Result<(), Box<dyn Error>> {
    siding::job::cleanup_thread(); // Those that were kept for reuse.
    let jobs = siding::stack::stats().live;
    println!("\nat most {} handshakes waited for a signature at once", device.most_waiting());
    println!(
        "connections served {}, broken off by the client {}, given up {}",
        tally.served.get(),
        tally.failed.get(),
        tally.cancelled.get()
    );
    println!("left behind: {jobs} jobs, {descriptors} descriptors");
    if jobs != 0 || descriptors != 0 { Err("something was left behind".into()) } else { Ok(()) }
}

/// Measures echoes while `work` goes on, and prints a row unless it has no name.
async fn phase(
    name: &str,
    echo: std::net::SocketAddr,
    work: impl Future<Output = Result<usize, Box<dyn Error>>>,
) -> Result<(), Box<dyn Error>> {
    let (probe, start) = (Probe::start(echo), Instant::now());
    let completed = work.await?;
    let rate = completed as f64 / start.elapsed().as_secs_f64();
    probe.stop();
    while !probe.has_ended() {
        sleep(Duration::from_millis(1)).await;
    }
    let times = probe.times()?;
    if !name.is_empty() {
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_micros();
        println!(
            "{name:<26}{completed:>10}{rate:>9.0}{:>10}{:>8}{:>8}",
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
    Ok(())
}

/// The clients block; so they do elsewhere.
async fn on_a_thread(crowd: Crowd) -> Result<usize, Box<dyn Error>> {
    let (send, receive) = oneshot::channel();
    thread::spawn(move || send.send(crowd.run()));
    Ok(receive.await??.completed.load(std::sync::atomic::Ordering::Relaxed))
}

/// Until all connections have ended.
async fn settled(tally: &Tally) {
    // One that was made and dropped may not have been accepted yet.
    sleep(Duration::from_millis(50)).await;
    while tally.open.get() > 0 {
        sleep(Duration::from_millis(5)).await;
    }
}

fn open_descriptors() -> io::Result<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}
