//! The program of ASYNC_start_job(3), line by line in Rust: a job makes a pipe, tells by its
//! wait context that it waits for it, and pauses; `main` polls and resumes.
//!
//! Run it with `cargo run --example man_page`. What it prints is in `man_page.txt`.

use std::cell::RefCell;
use std::error::Error;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;

use siding::job::{self, Key, Options, Progress, WaitCtx};

/// Where to print: standard output, or a buffer in a test. Shared, because a job's
/// closure borrows nothing.
pub type Output = Rc<RefCell<dyn Write>>;

/// Its address names our descriptor in the wait context.
static UNIQUE: u8 = 0;

/// What the job runs.
fn job_function(message: &str, out: &Output) -> Result<i32, Box<dyn Error>> {
    if job::current().is_some() {
        writeln!(out.borrow_mut(), "Executing within a job")?;
    } else {
        writeln!(out.borrow_mut(), "Not executing within a job - should not happen")?;
        return Ok(0);
    }
    writeln!(out.borrow_mut(), "Passed in message is: {message}")?;

    // How whoever resumes this job learns that it is time. An engine that is handed the
    // work does this by itself; `siding::offload` does it for a closure.
    let (reader, mut writer) = io::pipe()?;
    let reader = Arc::new(reader);

    // Normally some external event would write later. Here it has happened already, so
    // that the job can be resumed as soon as it has paused.
    writer.write_all(b"X")?;

    // The closure runs when the wait context ends, and closes the pipe.
    let ours = (Arc::clone(&reader), writer);
    let ctx = job::wait_ctx().ok_or("no wait context")?;
    ctx.set_wait_fd_with(Key::of(&UNIQUE), reader.as_raw_fd(), move |_, _, _| drop(ours))?;

    // Back to whoever started the job, until the pipe is readable.
    job::pause()?;

    // What would have blocked does not now.
    (&*reader).read_exact(&mut [0])?;
    writeln!(out.borrow_mut(), "Resumed the job after a pause")?;
    Ok(1)
}

/// The `main` of the manual page.
pub fn run(out: &Output) -> Result<(), Box<dyn Error>> {
    writeln!(out.borrow_mut(), "Starting...")?;
    let ctx = WaitCtx::new();

    let for_job = Rc::clone(out);
    // switch 1/7: a job starts.
    let mut progress = Options::new()
        .wait_ctx(ctx.clone())
        .start(move || job_function("Hello world!", &for_job))?;

    let returned = loop {
        let job = match progress {
            Progress::Finished(returned) => break returned?,
            Progress::Paused(job) => job,
        };
        writeln!(out.borrow_mut(), "Job was paused")?;
        writeln!(out.borrow_mut(), "Waiting for the job to be woken up")?;
        match ctx.all_fds()[..] {
            [fd] => wait_until_readable(fd)?,
            ref fds => return Err(format!("unexpected number of fds: {}", fds.len()).into()),
        }
        progress = job.resume();
    };
    writeln!(out.borrow_mut(), "Job finished with return value {returned}")?;

    drop(ctx);
    writeln!(out.borrow_mut(), "Finishing")?;
    Ok(())
}

fn wait_until_readable(fd: RawFd) -> io::Result<()> {
    let mut wanted = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one live pollfd, as the count says.
    #[allow(unsafe_code)]
    let ready = unsafe { libc::poll(&mut wanted, 1, -1) };
    if ready == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn main() -> Result<(), Box<dyn Error>> {
    let out: Output = Rc::new(RefCell::new(io::stdout()));
    run(&out)
}
