//! What the examples print. Their code is included, not run as a program: under an
//! emulator a test cannot start one.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

#[allow(dead_code, reason = "its main")]
#[path = "../examples/man_page.rs"]
mod man_page;

/// The expected output of ASYNC_start_job(3), EXAMPLES.
const EXPECTED: &str = include_str!("../examples/man_page.txt");

#[test]
fn the_manual_pages_program_prints_what_the_manual_page_says() {
    let printed = Rc::new(RefCell::new(Vec::new()));
    let out = Rc::clone(&printed) as Rc<RefCell<dyn Write>>;
    man_page::run(&out).unwrap();
    let printed = String::from_utf8(printed.take()).unwrap();
    for (line, (expected, printed)) in EXPECTED.lines().zip(printed.lines()).enumerate() {
        assert_eq!(printed, expected, "line {}", line + 1);
    }
    assert_eq!(printed, EXPECTED);
}
