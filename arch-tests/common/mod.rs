//! What several test files use.
#![allow(unsafe_code, reason = "forks")]
#![allow(dead_code, reason = "each file uses its own part")]

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};

#[cfg_attr(unix, path = "fork.rs")]
#[cfg_attr(windows, path = "spawn.rs")]
mod child;
pub mod errno;

pub use child::fork_and_listen;

/// How a child process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With this code: 0 if its closure returned, 101 if it panicked.
    Exited(i32),
    /// By this signal; on Windows, where there is none, by an exception that comes close.
    Killed(i32),
}

/// Runs `f` in a forked child (not in a new process image, which qemu-user cannot start)
/// and says how that ended. Windows does not fork: see `spawn.rs`.
pub fn fork(f: impl FnOnce()) -> Ending {
    fork_and_listen(f).0
}

/// What a child runs.
type Closure<'a> = Box<dyn FnOnce() + 'a>;

/// Runs `f` in the child; returns the code to exit with.
fn run(f: Closure<'_>) -> i32 {
    let Err(payload) = panic::catch_unwind(AssertUnwindSafe(f)) else { return 0 };
    // What the panic hook printed was captured by the test harness, in this process.
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or(payload.downcast_ref::<&str>().copied());
    let _ = writeln!(io::stderr(), "{}", text.unwrap_or("a panic without a message"));
    101
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
