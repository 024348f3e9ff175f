//! Attempts on the soundness of jobs and their drivers, each of which the compiler must
//! refuse, for the reason given by the error code (`ci/doctests.sh` looks at it).
//!
//! A paused job moves to another thread:
//! ```compile_fail,E0277
//! use siding::job::{Progress, start};
//! let Ok(Progress::Paused(job)) = start(|| ()) else { panic!() };
//! std::thread::spawn(move || job.cancel());
//! ```
//! Another thread looks at one:
//! ```compile_fail,E0277
//! use siding::job::{Progress, start};
//! let Ok(Progress::Paused(job)) = start(|| ()) else { panic!() };
//! std::thread::scope(|threads| {
//!     threads.spawn(|| job.id());
//! });
//! ```
//! A job is resumed twice, or resumed and cancelled:
//! ```compile_fail,E0382
//! # let Ok(siding::job::Progress::Paused(job)) = siding::job::start(|| ()) else { panic!() };
//! job.resume();
//! job.cancel();
//! ```
//! A job is resumed through a reference:
//! ```compile_fail,E0507
//! # let Ok(siding::job::Progress::Paused(job)) = siding::job::start(|| ()) else { panic!() };
//! let shared = &job;
//! shared.resume();
//! ```
//! A job borrows a variable, and may be forgotten, paused for ever:
//! ```compile_fail,E0597
//! let local = String::new();
//! let borrowed = &local;
//! siding::job::start(move || borrowed.len());
//! ```
//! A job returns what it borrows:
//! ```compile_fail,E0521
//! fn escapes(text: &str) {
//!     let _ = siding::job::start(move || text.len());
//! }
//! ```
//! A guard against pausing moves to another thread:
//! ```compile_fail,E0277
//! let guard = siding::job::block_pause();
//! std::thread::spawn(move || drop(guard));
//! ```
//! A scheduler, and what spawns on it, move to another thread:
//! ```compile_fail,E0277
//! let scheduler = siding::scheduler::Scheduler::new().unwrap();
//! std::thread::spawn(move || scheduler.run());
//! ```
//! ```compile_fail,E0277
//! let spawner = siding::scheduler::Scheduler::new().unwrap().spawner();
//! std::thread::spawn(move || spawner.spawn(|| ()));
//! ```
//! A scheduler's job borrows:
//! ```compile_fail,E0597
//! let scheduler = siding::scheduler::Scheduler::new().unwrap();
//! let local = String::new();
//! let borrowed = &local;
//! scheduler.spawn(move || borrowed.len());
//! ```
//! Somebody on another thread waits for a job's end:
//! ```compile_fail,E0277
//! let scheduler = siding::scheduler::Scheduler::new().unwrap();
//! let handle = scheduler.spawn(|| ()).unwrap();
//! std::thread::spawn(move || handle.join());
//! ```
//! A result is taken twice:
//! ```compile_fail,E0382
//! let scheduler = siding::scheduler::Scheduler::new().unwrap();
//! let handle = scheduler.spawn(|| String::new()).unwrap();
//! let first = handle.join();
//! let second = handle.join();
//! ```
//! Offloaded work borrows from the job's stack, which may be unwound meanwhile:
//! ```compile_fail,E0597
//! let local = String::new();
//! let borrowed = &local;
//! siding::offload::offload(move || borrowed.len());
//! ```
//! Offloaded work takes along what belongs to this thread, or brings it back:
//! ```compile_fail,E0277
//! let counted = std::rc::Rc::new(1);
//! siding::offload::offload(move || *counted);
//! ```
//! ```compile_fail,E0277
//! siding::offload::offload(|| std::rc::Rc::new(1));
//! ```
//! The future of a job moves to another thread:
//! ```compile_fail,E0277
//! let future = siding::future::run(|| ());
//! std::thread::spawn(move || pollster::block_on(future));
//! ```
//! A future's job borrows, and the future may be forgotten:
//! ```compile_fail,E0597
//! let local = String::new();
//! let borrowed = &local;
//! let _future = siding::future::run(move || borrowed.len());
//! ```
//! The cleanup of a wait context, which any thread may run, holds what is of this one:
//! ```compile_fail,E0277
//! let counted = std::rc::Rc::new(1);
//! let cleanup = move |_: &_, _, _| drop(counted);
//! siding::job::WaitCtx::new().set_wait_fd_with(0.into(), 0, cleanup);
//! ```
//! So does its callback:
//! ```compile_fail,E0277
//! let counted = std::rc::Rc::new(1);
//! siding::job::Callback::new(move || assert_eq!(*counted, 1));
//! ```
//! Memory is made a stack without a promise:
//! ```compile_fail,E0200
//! struct Memory(Vec<u8>);
//! impl siding::stack::Stack for Memory {
//!     fn top(&self) -> *mut u8 { std::ptr::null_mut() }
//!     fn bottom(&self) -> *mut u8 { std::ptr::null_mut() }
//! }
//! ```
