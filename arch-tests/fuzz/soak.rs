//! Many jobs at once for a long time, with everything that can happen to them: work on other
//! threads, descriptors, deadlines, wakes from threads, cancels, panics, and C jobs beside
//! them. Memory, descriptors and jobs must stay bounded.
//!
//! `soak <seconds> [seed]` prints a line every 10 s.
#![allow(unsafe_code, reason = "the C ABI")]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};
use std::{env, fs, panic, process, ptr, thread};

use siding::job::{CancelMode, Options, StartError};
use siding::offload::{OffloadError, Workers};
use siding::scheduler::{
    Config, Interest, JoinError, JoinHandle, Scheduler, WaitError, Wake, park_until, sleep,
    wait_fd, wake_handle, yield_now,
};
use siding::stack::StackConfig;

/// Live jobs at a time.
const JOBS: usize = 500;

/// How jobs ended.
#[derive(Default)]
struct Counts {
    done: Cell<u64>,
    cancelled: Cell<u64>,
    panicked: Cell<u64>,
    c: Cell<u64>,
}

fn more(count: &Cell<u64>) {
    count.set(count.get() + 1);
}

/// xorshift64
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What jobs use.
struct Shared {
    workers: Workers,
    device: Sender<Wake>,
    counts: Counts,
}

fn main() {
    let seconds = env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(20);
    let seed = env::args().nth(2).and_then(|arg| arg.parse().ok()).unwrap_or(0x5eed);
    panic::set_hook(Box::new(|info| {
        // Panics of the soak's own jobs are raised without the hook.
        eprintln!("{info}");
        process::abort();
    }));
    let shared = Rc::new(Shared {
        workers: Workers::new(2).expect("threads"),
        device: device(),
        counts: Counts::default(),
    });
    let config = Config::new().max_jobs(JOBS);
    let scheduler = Scheduler::with_config(config).expect("a scheduler");
    let failed = soak(&scheduler, &shared, Duration::from_secs(seconds), Dice(seed));
    drop(scheduler);
    c::end();
    let counts = &shared.counts;
    let jobs = counts.done.get() + counts.cancelled.get() + counts.panicked.get();
    println!("{} jobs, {} of C's, in {seconds} s", jobs, counts.c.get());
    if failed || c::live() != 0 {
        println!("FAIL: something has grown");
        process::exit(1);
    }
}

/// A thread that wakes whom it is told to.
fn device() -> Sender<Wake> {
    let (sender, receiver) = mpsc::channel::<Wake>();
    thread::spawn(move || {
        while let Ok(wake) = receiver.recv() {
            wake.wake();
            wake.clone().wake();
        }
    });
    sender
}

/// Whether something grew beyond its bound.
fn soak(scheduler: &Scheduler, shared: &Rc<Shared>, length: Duration, mut dice: Dice) -> bool {
    let start = Instant::now();
    let mut handles: Vec<JoinHandle<()>> = Vec::new();
    let (mut next_line, mut bound) = (Duration::from_secs(2), None::<Usage>);
    let mut failed = false;
    while start.elapsed() < length {
        while spawn(scheduler, shared, &mut handles, &mut dice) {}
        scheduler.turn(Some(Duration::from_millis(5))).expect("no deadlock: it has a timeout");
        if !handles.is_empty() {
            for _ in 0..dice.roll(4) {
                let at = dice.roll(handles.len() as u64) as usize;
                handles[at].cancel();
            }
        }
        c::turn(&mut dice, &shared.counts);
        let ended = handles.extract_if(.., |handle| handle.is_finished());
        for handle in ended.collect::<Vec<_>>() {
            count(handle.join(), &shared.counts);
        }
        if start.elapsed() > next_line {
            next_line += Duration::from_secs(10);
            let now = Usage::now(scheduler);
            now.print(start.elapsed(), &shared.counts);
            // What the first two seconds have needed is what is needed.
            failed |= now.exceeds(bound.get_or_insert(now));
        }
    }
    failed
}

fn count(ended: Result<(), JoinError>, counts: &Counts) {
    match ended {
        Ok(()) => more(&counts.done),
        Err(JoinError::Cancelled) => more(&counts.cancelled),
        Err(JoinError::Panicked(_)) => more(&counts.panicked),
        Err(error) => panic!("{error}"),
    }
}

fn spawn(
    scheduler: &Scheduler,
    shared: &Rc<Shared>,
    handles: &mut Vec<JoinHandle<()>>,
    dice: &mut Dice,
) -> bool {
    let mut options = Options::new().wipe(dice.roll(8) == 0).save_fp_control(dice.roll(50) == 0);
    if dice.roll(4) == 0 {
        options = options.cancel_mode(CancelMode::Return);
    }
    if dice.roll(10) == 0 {
        options = options.stack(StackConfig::with_size(128 << 10));
    }
    let (shared, own) = (Rc::clone(shared), Dice(dice.roll(u64::MAX) | 1));
    match scheduler.spawn_with(&options, move || job(&shared, own)) {
        Ok(handle) => handles.push(handle),
        Err(refused) => {
            assert!(matches!(refused.error, StartError::Full), "{}", refused.error);
            return false;
        }
    }
    true
}

/// One job: a few operations, one of which may panic.
fn job(shared: &Shared, mut dice: Dice) {
    let held = vec![0_u8; dice.roll(4096) as usize];
    for _ in 0..=dice.roll(4) {
        let outcome = match dice.roll(8) {
            0..3 => sign(shared, dice.roll(1 << 20)),
            3 => echo(),
            4 => be_woken(shared),
            5 => sleep(Duration::from_micros(dice.roll(3000))),
            6 => (0..dice.roll(20)).try_for_each(|_| yield_now()),
            _ if dice.roll(10) == 0 => panic::resume_unwind(Box::new("on purpose")),
            _ => Ok(()),
        };
        match outcome {
            Ok(()) | Err(WaitError::TimedOut) => {}
            Err(WaitError::Cancelled) => return,
            Err(error) => panic!("{error}"),
        }
    }
    drop(held);
}

/// Something that takes a while, elsewhere.
fn sign(shared: &Shared, seed: u64) -> Result<(), WaitError> {
    let work = move || (0..2000).fold(seed, |x, n| x.rotate_left(7).wrapping_mul(31) ^ n);
    let expected = work();
    match shared.workers.offload(work) {
        Ok(value) => {
            assert_eq!(value, expected);
            Ok(())
        }
        Err(refused) => match refused.error {
            OffloadError::Wait(error) => Err(error),
            other => panic!("{other}"),
        },
    }
}

/// A few bytes through a socket.
fn echo() -> Result<(), WaitError> {
    let (mut near, mut far) = UnixStream::pair().expect("sockets");
    let deadline = Instant::now() + Duration::from_millis(5);
    let late = wait_fd(&near, Interest::Readable, Some(Instant::now()));
    assert!(!matches!(late, Ok(()) | Err(WaitError::Io(_))));
    if matches!(late, Err(WaitError::Cancelled)) {
        return late;
    }
    far.write_all(b"siding").expect("room");
    wait_fd(&near, Interest::Readable, Some(deadline))?;
    let mut text = [0; 6];
    near.read_exact(&mut text).expect("it is there");
    assert_eq!(&text, b"siding");
    Ok(())
}

fn be_woken(shared: &Shared) -> Result<(), WaitError> {
    let wake = wake_handle().expect("in a job");
    shared.device.send(wake).expect("the device is there");
    park_until(Instant::now() + Duration::from_millis(20))
}

/// What there is at a time.
#[derive(Clone, Copy)]
struct Usage {
    kilobytes: usize,
    fds: usize,
    live: usize,
    live_c: u64,
    orphans: u64,
    stacks: usize,
}

impl Usage {
    fn now(scheduler: &Scheduler) -> Self {
        let status = fs::read_to_string("/proc/self/statm").expect("procfs");
        let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
        let stats = c::stats();
        Usage {
            kilobytes: pages.expect("a number") * 4,
            fds: fs::read_dir("/proc/self/fd").expect("procfs").count(),
            live: scheduler.live(),
            live_c: stats.live,
            orphans: stats.orphaned,
            stacks: siding::stack::stats().live,
        }
    }

    fn print(&self, at: Duration, counts: &Counts) {
        println!(
            "{:4} s: {} done, {} cancelled, {} panicked, {} of C's; now {} live, {} of C's, \
             {} orphans, {} stacks, {} KiB, {} fds",
            at.as_secs(),
            counts.done.get(),
            counts.cancelled.get(),
            counts.panicked.get(),
            counts.c.get(),
            self.live,
            self.live_c,
            self.orphans,
            self.stacks,
            self.kilobytes,
            self.fds,
        );
    }

    fn exceeds(&self, first: &Usage) -> bool {
        self.kilobytes > 2 * first.kilobytes + (16 << 10)
            || self.fds > 2 * first.fds + 2 * JOBS
            || self.live > JOBS
            || self.live_c > 2 * c::JOBS as u64
            || self.stacks > 3 * JOBS
    }
}

/// Jobs through the C ABI, on the same thread.
mod c {
    use super::*;

    pub const JOBS: usize = 50;

    #[derive(Clone, Copy, Default)]
    #[repr(C)]
    struct WakeC {
        slot: usize,
        generation: u64,
    }

    #[derive(Clone, Copy, Default)]
    #[repr(C)]
    pub struct Stats {
        started: u64,
        pub live: u64,
        pub orphaned: u64,
        rest: [u64; 9],
    }

    type Data = *mut c_void;

    unsafe extern "C" {
        safe fn ASYNC_pause_job() -> c_int;
        fn ASYNC_start_job(
            job: *mut Data,
            ctx: Data,
            ret: *mut c_int,
            func: Option<unsafe extern "C" fn(Data) -> c_int>,
            args: Data,
            size: usize,
        ) -> c_int;
        safe fn ASYNC_WAIT_CTX_new() -> Data;
        fn ASYNC_WAIT_CTX_free(ctx: Data);
        fn ASYNC_WAIT_CTX_set_wait_fd(
            ctx: Data,
            key: Data,
            fd: c_int,
            data: Data,
            cleanup: Option<unsafe extern "C" fn(Data, Data, c_int, Data)>,
        ) -> c_int;
        fn siding_job_cancel(job: Data, mode: c_int, ended: Data, arg: Data) -> c_int;
        safe fn siding_orphans_poll() -> usize;
        fn siding_get_wake(job: Data, wake: *mut WakeC) -> c_int;
        fn siding_wake(wake: WakeC);
        safe fn siding_next_woken() -> Data;
        fn siding_stats(stats: *mut Stats, size: usize) -> c_int;
    }

    const PAUSE: c_int = 2;

    thread_local! {
        static PAUSED: RefCell<Vec<Data>> = const { RefCell::new(Vec::new()) };
    }

    unsafe extern "C" fn pauses_a_few_times(args: Data) -> c_int {
        // SAFETY: started with one word.
        let times = unsafe { args.cast::<usize>().read() };
        (0..times).map(|_| ASYNC_pause_job()).sum()
    }

    unsafe extern "C" fn close(_: Data, _: Data, fd: c_int, _: Data) {
        // SAFETY: the descriptor is the context's.
        unsafe { libc::close(fd) };
    }

    /// Starts some, resumes some, cancels some, in each way.
    pub fn turn(dice: &mut Dice, counts: &Counts) {
        let mut paused = PAUSED.take();
        while paused.len() < JOBS {
            start(dice, counts, &mut paused);
        }
        for _ in 0..dice.roll(JOBS as u64) {
            let at = dice.roll(paused.len() as u64) as usize;
            let mut job = paused.swap_remove(at);
            match dice.roll(8) {
                0 => cancel(job, dice.roll(3) as c_int),
                1 => {
                    let mut wake = WakeC::default();
                    // SAFETY: a paused job, a place to write to, and what was written there.
                    unsafe {
                        assert_eq!(siding_get_wake(job, &mut wake), 1);
                        siding_wake(wake);
                    }
                    paused.push(job);
                }
                _ => match resume(&mut job) {
                    PAUSE => paused.push(job),
                    _ => more(&counts.c),
                },
            }
            if paused.is_empty() {
                break;
            }
        }
        while !siding_next_woken().is_null() {}
        siding_orphans_poll();
        PAUSED.set(paused);
    }

    fn start(dice: &mut Dice, counts: &Counts, paused: &mut Vec<Data>) {
        let null = ptr::null_mut();
        let (mut job, mut times) = (null, dice.roll(5) as usize);
        let ctx = if dice.roll(2) == 0 { null } else { ASYNC_WAIT_CTX_new() };
        // SAFETY: valid pointers; the context is freed once, below, and the job goes on without.
        unsafe {
            if !ctx.is_null() {
                let fd = libc::eventfd(1, libc::EFD_CLOEXEC);
                assert_eq!(ASYNC_WAIT_CTX_set_wait_fd(ctx, null, fd, null, Some(close)), 1);
            }
            let args = (&raw mut times).cast();
            let function = Some(pauses_a_few_times as unsafe extern "C" fn(Data) -> c_int);
            let code =
                ASYNC_start_job(&mut job, ctx, ptr::null_mut(), function, args, size_of::<usize>());
            if code == PAUSE && dice.roll(2) == 0 {
                // While it still has its descriptor: an orphan that waits, or drains.
                cancel(job, dice.roll(2) as c_int);
                siding_orphans_poll();
            } else if code == PAUSE {
                paused.push(job);
            } else {
                more(&counts.c);
            }
            if !ctx.is_null() {
                ASYNC_WAIT_CTX_free(ctx);
            }
        }
    }

    fn resume(job: &mut Data) -> c_int {
        let null = ptr::null_mut();
        // SAFETY: the handle is checked.
        unsafe { ASYNC_start_job(job, null, null.cast(), None, null, 0) }
    }

    fn cancel(job: Data, mode: c_int) {
        let null = ptr::null_mut();
        // SAFETY: the handle is checked.
        assert_eq!(unsafe { siding_job_cancel(job, mode, null, null) }, 1);
    }

    pub fn stats() -> Stats {
        let mut stats = Stats::default();
        // SAFETY: writable, and of that size.
        assert_eq!(unsafe { siding_stats(&mut stats, size_of::<Stats>()) }, 1);
        stats
    }

    pub fn live() -> u64 {
        stats().live
    }

    /// Cancels what is left.
    pub fn end() {
        PAUSED.take().into_iter().for_each(|job| cancel(job, 2));
        while siding_orphans_poll() > 0 {}
    }
}
