//! An architecture that has no file yet: the first test that needs one says so.

use super::Values;
use crate::arch::{Link, Word, Words};

pub(crate) const NAMES: [&str; 1] = ["none is known"];
pub(crate) const RESERVED: usize = 0;
pub(crate) const FP: usize = 0;
pub(crate) const FP_ABOVE_PAIR: usize = 0;

pub(crate) unsafe extern "C" fn fill_call_store(
    _: *mut Values,
    _: *const (),
    _: *const [usize; 6],
) -> Words {
    unimplemented!("a file for this architecture in arch-tests/registers/")
}

pub(crate) unsafe extern "C-unwind" fn sp_and_fp(_: Word, _: usize, _: *mut Link) -> Words {
    unimplemented!("a file for this architecture in arch-tests/registers/")
}
