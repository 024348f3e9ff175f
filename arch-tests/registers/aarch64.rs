//! AAPCS64: x19-x29 and the low halves of v8-v15.

use core::arch::naked_asm;

use super::Values;
use crate::arch::{Link, Word, Words};

pub(crate) const NAMES: [&str; 19] = [
    "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "d8", "d9", "d10",
    "d11", "d12", "d13", "d14", "d15",
];

pub(crate) const RESERVED: usize = 0;
pub(crate) const FP: usize = 10;
pub(crate) const FP_ABOVE_PAIR: usize = 0;

/// `op` on every register of `NAMES`, in that order: `ld` or `st`.
macro_rules! each {
    ($op:literal, $base:literal) => {
        concat!(
            $op,
            "p x19, x20, [",
            $base,
            ", 0]\n",
            $op,
            "p x21, x22, [",
            $base,
            ", 16]\n",
            $op,
            "p x23, x24, [",
            $base,
            ", 32]\n",
            $op,
            "p x25, x26, [",
            $base,
            ", 48]\n",
            $op,
            "p x27, x28, [",
            $base,
            ", 64]\n",
            $op,
            "r x29, [",
            $base,
            ", 80]\n",
            $op,
            "p d8, d9, [",
            $base,
            ", 88]\n",
            $op,
            "p d10, d11, [",
            $base,
            ", 104]\n",
            $op,
            "p d12, d13, [",
            $base,
            ", 120]\n",
            $op,
            "p d14, d15, [",
            $base,
            ", 136]\n",
        )
    };
}

#[unsafe(naked)]
pub(crate) unsafe extern "C" fn fill_call_store(
    values: *mut Values,
    body: *const (),
    arguments: *const [usize; 6],
) -> Words {
    naked_asm!(
        "sub sp, sp, 176",
        each!("st", "sp"),
        "stp x30, x0, [sp, 152]",
        each!("ld", "x0"),
        "mov x16, x1",
        "mov x9, x2",
        "ldp x0, x1, [x9]",
        "ldp x2, x3, [x9, 16]",
        "ldp x4, x5, [x9, 32]",
        "blr x16",
        "ldr x9, [sp, 160]",
        each!("st", "x9"),
        each!("ld", "sp"),
        "ldr x30, [sp, 152]",
        "add sp, sp, 176",
        "ret",
    )
}

#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn sp_and_fp(_: Word, _: usize, _: *mut Link) -> Words {
    naked_asm!(
        "str q0, [sp, -16]!", // faults, on hardware, unless sp is aligned
        "add sp, sp, 16",
        "mov x0, sp",
        "mov x1, x29",
        "ret",
    )
}
