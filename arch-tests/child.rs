//! Runs a part of a test in a forked child: it may crash there, change limits, and count
//! on nobody else using stacks. (A test that executes itself again would fail under
//! qemu-user.)
#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

/// Asserts that `test` does not panic, in a child.
pub fn passes(test: impl FnOnce()) {
    exits_with(0, test);
}

/// Asserts that `test` exits with `code`, in a child.
pub fn exits_with(code: libc::c_int, test: impl FnOnce()) {
    let (status, words) = run(test);
    assert!(libc::WIFEXITED(status), "status {status:#x}: {words}");
    assert_eq!(libc::WEXITSTATUS(status), code, "{words}");
}

/// Asserts that `test` dies by `signal`, in a child. Returns what it wrote to stderr.
pub fn dies_by(signal: libc::c_int, test: impl FnOnce()) -> String {
    let (status, words) = run(test);
    assert!(libc::WIFSIGNALED(status), "it lived: status {status:#x}: {words}");
    assert_eq!(libc::WTERMSIG(status), signal, "{words}");
    words
}

/// The wait status of a child that runs `test` and exits, and what it wrote to stderr.
fn run(test: impl FnOnce()) -> (libc::c_int, String) {
    // While one test forks the others do not run: a child finds locked for good whatever
    // another thread holds when it is made.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    let mut pipe = [0; 2];
    // SAFETY: writes two descriptors into the array.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
    // SAFETY: the child runs on as this one thread; the allocator is fork-safe.
    let child = unsafe { libc::fork() };
    assert_ne!(child, -1);
    if child == 0 {
        be_child(pipe[1], test);
    }
    // SAFETY: nobody else owns the descriptor.
    drop(unsafe { File::from_raw_fd(pipe[1]) });
    // SAFETY: likewise.
    let mut reader = unsafe { File::from_raw_fd(pipe[0]) };
    let mut words = Vec::new();
    reader.read_to_end(&mut words).expect("a pipe can be read");
    let mut status = 0;
    // SAFETY: waits for the child made above, and writes to `status`.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    (status, String::from_utf8_lossy(&words).into_owned())
}

fn be_child(stderr: libc::c_int, test: impl FnOnce()) -> ! {
    let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: reads the struct.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core) };
    // One that hangs dies by SIGALRM, which no test expects.
    // SAFETY: no preconditions.
    unsafe { libc::alarm(60) };
    // SAFETY: both descriptors are open.
    unsafe { libc::dup2(stderr, libc::STDERR_FILENO) };
    let outcome = panic::catch_unwind(AssertUnwindSafe(test));
    if let Err(payload) = &outcome {
        // The test harness captures what a panic prints, in a buffer of this child.
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or(payload.downcast_ref::<&str>().copied());
        let _ = writeln!(std::io::stderr(), "in the child: {}", text.unwrap_or("panic"));
    }
    // SAFETY: no preconditions; nothing of the parent's is torn down.
    unsafe { libc::_exit(outcome.is_err().into()) }
}
