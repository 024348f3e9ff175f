//! What several test files use.
#![allow(unsafe_code, reason = "forks")]
#![allow(dead_code, reason = "each file uses its own part")]

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;

pub mod errno;

/// How a child process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With this code: 0 if its closure returned, 101 if it panicked.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// Runs `f` in a forked child (not in a new process image, which qemu-user cannot start)
/// and says how that ended.
pub fn fork(f: impl FnOnce()) -> Ending {
    fork_and_listen(f).0
}

/// As [`fork`], with what the child wrote to stderr.
///
/// A test file that forks does little else: the child finds only those locks free which no
/// other thread held when it was born.
pub fn fork_and_listen(f: impl FnOnce()) -> (Ending, String) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());

    let (mut read, write) = io::pipe().expect("a pipe can be had");
    // SAFETY: the child does what a single-threaded process may, and never returns.
    let pid = unsafe { libc::fork() };
    assert_ne!(pid, -1, "cannot fork: {}", io::Error::last_os_error());
    if pid == 0 {
        // The child may fork in turn.
        drop(guard);
        become_child(write.as_raw_fd(), f);
    }
    drop(write);
    let mut said = Vec::new();
    read.read_to_end(&mut said).expect("a pipe can be read");
    (wait_for(pid), String::from_utf8_lossy(&said).into_owned())
}

fn become_child(stderr: i32, f: impl FnOnce()) -> ! {
    let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid limit.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &no_core) };
    // A child that hangs is killed, and its test fails.
    // SAFETY: no preconditions.
    unsafe { libc::alarm(60) };
    // SAFETY: both descriptors are open.
    unsafe { libc::dup2(stderr, libc::STDERR_FILENO) };
    let outcome = panic::catch_unwind(AssertUnwindSafe(f));
    if let Err(payload) = &outcome {
        // What the panic hook printed was captured by the test harness, in this process.
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or(payload.downcast_ref::<&str>().copied());
        let _ = writeln!(io::stderr(), "{}", text.unwrap_or("a panic without a message"));
    }
    let code = if outcome.is_ok() { 0 } else { 101 };
    // SAFETY: no preconditions.
    unsafe { libc::_exit(code) }
}

fn wait_for(pid: i32) -> Ending {
    let mut status = 0;
    // SAFETY: an integer to write to.
    let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(waited, pid, "cannot wait: {}", io::Error::last_os_error());
    if libc::WIFSIGNALED(status) {
        Ending::Killed(libc::WTERMSIG(status))
    } else {
        Ending::Exited(libc::WEXITSTATUS(status))
    }
}

/// Asserts that `test` does not panic, in a child.
pub fn passes(test: impl FnOnce()) {
    exits_with(0, test);
}

/// Asserts that `test` exits with `code`, in a child.
pub fn exits_with(code: i32, test: impl FnOnce()) {
    let (ending, words) = fork_and_listen(test);
    assert_eq!(ending, Ending::Exited(code), "{words}");
}

/// Asserts that `test` dies by `signal`, in a child. Returns what it wrote to stderr.
pub fn dies_by(signal: i32, test: impl FnOnce()) -> String {
    let (ending, words) = fork_and_listen(test);
    assert_eq!(ending, Ending::Killed(signal), "{words}");
    words
}
