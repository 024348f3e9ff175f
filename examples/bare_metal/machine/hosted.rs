//! An operating system: to try the same without an emulator.

use std::io::Write;

pub(super) fn put(byte: u8) {
    std::io::stdout().write_all(&[byte]).expect("stdout is open");
}
