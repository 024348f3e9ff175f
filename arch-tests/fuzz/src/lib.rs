//! Runs a sequence of public calls, read from bytes, and a model of them beside it: what
//! every call answers, what every job did and which destructors ran must be the same.
//!
//! The bytes say what happens outside (start, resume, cancel, wake, turn, ...) and what each
//! job does inside (its script: pause, wait, nest, catch, panic, ...).

mod c;
mod input;
mod model;
mod rust;
mod script;

use input::Input;

/// Runs one sequence. The first byte says through which of the two interfaces.
///
/// # Panics
///
/// Where library and model differ.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    if input.one_in(3) { c::run(&mut input) } else { rust::run(&mut input) }
}
