//! More than one core: a scheduler a thread, and work that crosses between them as
//! messages, never as half-run jobs.
//!
//! Each message becomes a job where it arrives. The job does its part, pausing half-way as
//! if it had to wait, and sends what is left to the next thread, like the stages of a
//! pipeline. The same number of messages goes through one thread and through one a core, in
//! turn, and the throughput is compared.
//!
//! `cargo run --release --example cores [THREADS]`

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use siding::scheduler::{Config, Scheduler, Wake, park, wake_handle, yield_now};

const MESSAGES: u64 = 500;
/// How often each is worked on.
const STAGES: u32 = 8;
/// Jobs at once in a thread: more messages have to wait in its channel.
const MOST_JOBS: usize = 100;
/// Short ones, of which the best counts: other programs may be busy.
const RUNS: usize = 100;

/// What crosses threads.
struct Message {
    stages_left: u32,
    value: u64,
}

/// How to reach a thread: a channel, and a wake for the job that reads it.
#[derive(Clone)]
struct Address {
    channel: Sender<Message>,
    wake: Wake,
}

impl Address {
    fn send(&self, message: Message) {
        // Nobody is there any more when all has been done.
        let _ = self.channel.send(message);
        self.wake.wake();
    }
}

fn main() {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = std::env::args().nth(1).map_or(cores, |arg| arg.parse().expect("a number"));
    let mut best = [Duration::MAX; 2];
    for _ in 0..RUNS {
        for (best, threads) in best.iter_mut().zip([1, threads]) {
            *best = run(threads).min(*best);
        }
    }
    let operations = MESSAGES * u64::from(STAGES);
    for (time, threads) in best.iter().zip([1, threads]) {
        let each = time.as_nanos() as f64 / operations as f64;
        println!("{threads:>3} threads: {each:>7.0} ns for a stage of a message");
    }
    println!("{:.2} times as fast", best[0].as_secs_f64() / best[1].as_secs_f64());
}

/// Sends all messages through that many threads; how long that took.
fn run(threads: usize) -> Duration {
    let (done, results) = mpsc::channel();
    let (introduce, introductions) = mpsc::channel();
    let spawn = |number| {
        let (introduce, done) = (introduce.clone(), done.clone());
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let introduce = move |address| introduce.send((number, address)).expect("main waits");
            one_core(introduce, told, done);
        });
        (tell, thread)
    };
    let threads: Vec<_> = (0..threads).map(spawn).collect();
    let mut addresses: Vec<(usize, Address)> = introductions.iter().take(threads.len()).collect();
    addresses.sort_by_key(|(number, _)| *number);
    let addresses: Vec<Address> = addresses.into_iter().map(|(_, address)| address).collect();

    let start = Instant::now();
    for (number, (tell, _)) in threads.iter().enumerate() {
        let next = (number + 1) % threads.len();
        tell.send(addresses[next].clone()).expect("it waits for this");
    }
    for value in 0..MESSAGES {
        let message = Message { stages_left: STAGES, value };
        addresses[value as usize % threads.len()].send(message);
    }
    let sum = results.iter().take(MESSAGES as usize).fold(0, u64::wrapping_add);
    let time = start.elapsed();
    assert_eq!(
        sum,
        (0..MESSAGES)
            .map(|value| (0..STAGES).fold(value, |v, _| work(v)))
            .fold(0, u64::wrapping_add)
    );
    for address in &addresses {
        address.send(Message { stages_left: 0, value: 0 });
    }
    for (_, thread) in threads {
        thread.join().expect("no panic");
    }
    time
}

/// One thread: a job that receives, and a job for each message.
fn one_core(introduce: impl FnOnce(Address) + 'static, told: Receiver<Address>, done: Sender<u64>) {
    let config = Config::new().max_jobs(MOST_JOBS);
    let scheduler = Scheduler::with_config(config).expect("a poller");
    let spawner = scheduler.spawner();
    let receiver = move || {
        let (channel, messages) = mpsc::channel();
        introduce(Address { channel, wake: wake_handle().expect("in a job") });
        let next = Rc::new(told.recv().expect("main tells everybody"));
        while let Some(message) = receive(&messages).filter(|message| message.stages_left > 0) {
            spawner.wait_for_room().expect("not cancelled");
            let (next, done) = (Rc::clone(&next), done.clone());
            spawner.spawn(move || stage(message, &next, &done)).expect("there is room");
        }
    };
    scheduler.spawn(receiver).expect("a job");
    scheduler.run().expect("the receiver can always be woken");
}

/// The next message, for which the job waits; `None` when nobody is left to send one.
fn receive(messages: &Receiver<Message>) -> Option<Message> {
    loop {
        match messages.try_recv() {
            Ok(message) => return Some(message),
            Err(TryRecvError::Empty) => park().expect("not cancelled"),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
}

fn stage(message: Message, next: &Address, done: &Sender<u64>) {
    yield_now().expect("not cancelled");
    let value = work(message.value);
    match message.stages_left - 1 {
        0 => done.send(value).expect("main waits"),
        stages_left => next.send(Message { stages_left, value }),
    }
}

/// Some microseconds of computing.
fn work(value: u64) -> u64 {
    (0..2000)
        .fold(black_box(value), |x, n| (x ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(9))
}
