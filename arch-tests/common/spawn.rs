//! Children on Windows: this program once more, with the same test alone, which gets to the same
//! call of [`fork_and_listen`] and there is the child.

use std::any::type_name;
use std::env;
use std::process::{self, Command, Output};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

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
        process::exit(RAN + run(Box::new(f)));
    }
    let Output { status, stderr, .. } = Command::new(env::current_exe().expect("it has a path"))
        .args(["--exact", &test_of::<F>(), "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .expect("a process can be had");
    let said = String::from_utf8_lossy(&stderr).into_owned();
    (ending(status.code().expect("no signals"), &said), said)
}

/// The name of the test that a closure is written in: `program::test::{{closure}}`.
fn test_of<F>() -> String {
    let name = type_name::<F>();
    let test = name.split("::{{closure}}").next();
    let (_, test) = test.and_then(|test| test.split_once("::")).expect("a closure of a test");
    test.to_owned()
}

/// Where a stack ends there is no room for what is to be told of it: Windows ends the process
/// then, and wine dies itself, of a signal, which leaves a zero.
fn ending(code: i32, said: &str) -> Ending {
    const ACCESS_VIOLATION: u32 = 0xc000_0005;
    const STACK_OVERFLOW: u32 = 0xc000_00fd;
    const BY_SIGNAL: u32 = 0;
    assert!(said.contains(BEGIN), "no child: {code:#x}, {said}");
    if [ACCESS_VIOLATION, STACK_OVERFLOW, BY_SIGNAL].contains(&code.cast_unsigned()) {
        Ending::Killed(libc::SIGSEGV)
    } else {
        Ending::Exited(code.wrapping_sub(RAN))
    }
}
