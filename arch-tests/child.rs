//! Runs a part of a test in a forked child: it may crash there, change limits, and count
//! on nobody else using stacks. (A test that executes itself again would fail under
//! qemu-user.)

use std::io::Write;
use std::panic::{self, AssertUnwindSafe};

/// Asserts that `test` does not panic, in a child.
pub fn passes(test: impl FnOnce()) {
    let status = run(test);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "status {status:#x}");
}

/// Asserts that `test` dies by `signal`, in a child.
pub fn dies_by(signal: libc::c_int, test: impl FnOnce()) {
    let status = run(test);
    assert!(libc::WIFSIGNALED(status), "it lived: status {status:#x}");
    assert_eq!(libc::WTERMSIG(status), signal);
}

/// The wait status of a child that runs `test` and exits.
fn run(test: impl FnOnce()) -> libc::c_int {
    // SAFETY: the child runs on as this one thread; the allocator is fork-safe.
    let child = unsafe { libc::fork() };
    assert_ne!(child, -1);
    if child == 0 {
        let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: reads the struct.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core) };
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
    let mut status = 0;
    // SAFETY: waits for the child made above, and writes to `status`.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status
}
