//! Children that are forked.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::sync::Mutex;

use super::{Closure, Ending, run};

/// As [`fork`](super::fork), with what the child wrote to stderr.
///
/// A test file that forks does little else: the child finds only those locks free which no
/// other thread held when it was born.
pub fn fork_and_listen(f: impl FnOnce()) -> (Ending, String) {
    // Compiled once, not once for each test.
    in_child(Box::new(f))
}

fn in_child(f: Closure<'_>) -> (Ending, String) {
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

fn become_child(stderr: i32, f: Closure<'_>) -> ! {
    let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid limit.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &no_core) };
    // A child that hangs is killed, and its test fails.
    // SAFETY: no preconditions.
    unsafe { libc::alarm(60) };
    // SAFETY: both descriptors are open.
    unsafe { libc::dup2(stderr, libc::STDERR_FILENO) };
    let code = run(f);
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
