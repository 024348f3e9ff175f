//! Many jobs on one thread: who runs when, what ends a wait, and what happens at the end.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use siding::job::{self, CancelMode, Options, WaitCtx, WaitError, Wake};
use siding::scheduler::{
    Interest, JoinError, RunError, Scheduler, Turn, park, park_until, sleep, wait_fd, wake_handle,
    yield_now,
};

use crate::common;

fn scheduler() -> Scheduler {
    Scheduler::new().expect("a scheduler")
}

/// Long enough for anything but a hang.
const LONG: Duration = Duration::from_secs(60);

mod deadlock;
mod ending;
mod joining;
mod turns;
mod waiting;
