//! Something in a child of its own: it may fail, abort, or use up all there is.

use std::io;
use std::ptr;

/// What a child has found out, in memory that its parent sees.
#[derive(Clone, Copy)]
pub struct Outcome {
    /// How many there were, at the end or when it failed.
    pub made: usize,
    pub min: f64,
    pub median: f64,
    pub bytes: f64,
    failed: bool,
    /// The beginning of what the error says, up to a NUL.
    error: [u8; 100],
}

impl Outcome {
    fn fail(&mut self, error: &io::Error) {
        self.failed = true;
        let text = error.to_string();
        let length = text.len().min(self.error.len() - 1);
        self.error[..length].copy_from_slice(&text.as_bytes()[..length]);
    }
}

/// Runs it in a child. The inner error says how far it came and what ended it.
pub fn run(
    body: impl FnOnce(&mut Outcome) -> io::Result<()>,
) -> io::Result<Result<Outcome, String>> {
    let shared = shared()?;
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            silence();
            // SAFETY: a live Outcome; the parent reads it after this process has ended.
            let out = unsafe { &mut *shared };
            if let Err(error) = body(out) {
                out.fail(&error);
            }
            // SAFETY: no preconditions.
            unsafe { libc::_exit(0) }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for the child just made.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            // SAFETY: the child has ended.
            let outcome = unsafe { shared.read() };
            // SAFETY: mapped by `shared`, with that size.
            unsafe { libc::munmap(shared.cast(), size_of::<Outcome>()) };
            Ok(judge(outcome, status))
        }
    }
}

fn judge(outcome: Outcome, status: i32) -> Result<Outcome, String> {
    let made = outcome.made;
    if libc::WIFSIGNALED(status) {
        Err(format!("ends after {made}: killed by signal {}", libc::WTERMSIG(status)))
    } else if outcome.failed {
        let error = String::from_utf8_lossy(&outcome.error);
        Err(format!("ends after {made}: {}", error.trim_end_matches('\0')))
    } else {
        Ok(outcome)
    }
}

/// An Outcome of zeros that children share.
fn shared() -> io::Result<*mut Outcome> {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a mapping of its own, wherever there is room.
    let at = unsafe { libc::mmap(ptr::null_mut(), size_of::<Outcome>(), access, flags, -1, 0) };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(at.cast()) }
}

/// What an assertion has to say when it aborts is not of interest.
fn silence() {
    // SAFETY: a NUL-terminated name.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY) };
    // SAFETY: any descriptor may be replaced.
    unsafe { libc::dup2(null, libc::STDERR_FILENO) };
}
