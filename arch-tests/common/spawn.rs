//! Children on Windows: this program once more, with the same test alone, which gets to the same
//! call of [`fork_and_listen`] and there is the child.

use std::any::type_name;
use std::env;
use std::process::{self, Command, Output};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use windows_sys::Win32::Foundation::{DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, INFINITE, WaitForSingleObject,
};

use super::{Ending, run};

/// Set in the child.
const CHILD: &str = "SIDING_TEST_CHILD";

/// What the child says first: a program that finds no such test says nothing.
const BEGIN: &str = "here the child begins";

/// Added to what the child exits with, lest it be taken for what others make of its death.
const RAN: i32 = 1 << 16;

/// As [`fork`](super::fork), with what the child wrote to stderr. A test may call it once, with
/// a closure of its own.
pub fn fork_and_listen<F: FnOnce()>(f: F) -> (Ending, String) {
    if env::var_os(CHILD).is_some() {
        static CALLED: AtomicBool = AtomicBool::new(false);
        assert!(!CALLED.swap(true, Relaxed), "which call of it?");
        eprintln!("{BEGIN}");
        end_with_this_thread();
        process::exit(RAN + run(Box::new(f)));
    }
    let mut command = Command::new(env::current_exe().expect("it has a path"));
    command.args(["--exact", &test_of::<F>(), "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    let mut output = command.output();
    // wine has none to give now and then: ERROR_INTERNAL_ERROR.
    for _ in 0..3 {
        if matches!(&output, Err(error) if error.raw_os_error() == Some(1359)) {
            output = command.output();
        }
    }
    let Output { status, stderr, .. } = output.expect("a process can be had");
    let said = String::from_utf8_lossy(&stderr).into_owned();
    (ending(status.code().expect("no signals"), &said), said)
}

/// Of a stack that ends in its last page wine ends the thread, and no more.
fn end_with_this_thread() {
    let this = thread_handle();
    thread::spawn(move || {
        // SAFETY: the handle of a thread.
        unsafe { WaitForSingleObject(this as HANDLE, INFINITE) };
        process::exit(STACK_OVERFLOW.cast_signed());
    });
}

/// A handle of this thread that is good for others.
fn thread_handle() -> isize {
    let mut handle = ptr::null_mut();
    // SAFETY: no preconditions.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: no preconditions.
    let this = unsafe { GetCurrentThread() };
    // SAFETY: handles of this process and thread, and a place for another one.
    let got = unsafe {
        DuplicateHandle(process, this, process, &mut handle, 0, 0, DUPLICATE_SAME_ACCESS)
    };
    assert_ne!(got, 0);
    handle as isize
}

const STACK_OVERFLOW: u32 = 0xc000_00fd;

/// The name of the test that a closure is written in: `program::test::{{closure}}`.
fn test_of<F>() -> String {
    let name = type_name::<F>();
    // A closure of a generic function that is given one of a test: that is its last parameter.
    let test = name.rsplit('<').next().and_then(|name| name.split("::{{closure}}").next());
    let (_, test) = test.and_then(|test| test.split_once("::")).expect("a closure of a test");
    test.to_owned()
}

/// Where a stack ends there is no room for what is to be told of it: Windows ends the process
/// then, and wine dies itself, of a signal, which leaves a zero.
fn ending(code: i32, said: &str) -> Ending {
    const ACCESS_VIOLATION: u32 = 0xc000_0005;
    const BY_SIGNAL: u32 = 0;
    const FAIL_FAST: u32 = 0xc000_0409;
    /// Of a panic or a C++ exception that nobody catches.
    const THROWN: u32 = 0x2047_4343;
    assert!(said.contains(BEGIN), "no child: {code:#x}, {said}");
    if [ACCESS_VIOLATION, STACK_OVERFLOW, BY_SIGNAL].contains(&code.cast_unsigned()) {
        Ending::Killed(libc::SIGSEGV)
    } else if [FAIL_FAST, THROWN].contains(&code.cast_unsigned()) {
        Ending::Killed(libc::SIGABRT)
    } else {
        // Without, the closure itself has called `exit`.
        Ending::Exited(code & !RAN)
    }
}
