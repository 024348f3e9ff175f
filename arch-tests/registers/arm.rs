//! AAPCS32: r4-r11 and d8-d15.

use core::arch::naked_asm;

use super::Values;
use crate::arch::{Link, Word, Words};

pub(crate) const NAMES: [&str; 16] = [
    "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "d8", "d9", "d10", "d11", "d12", "d13",
    "d14", "d15",
];

pub(crate) const RESERVED: usize = 2;
pub(crate) const FP: usize = 7;
pub(crate) const FP_ABOVE_PAIR: usize = 0;

/// `op` on every register of `NAMES`, in that order: `ld` or `st`. Of a value for a core
/// register the upper half stays where it is.
macro_rules! each {
    ($op:literal, $base:literal) => {
        concat!(
            $op,
            "r r4, [",
            $base,
            ", #0]\n",
            $op,
            "r r5, [",
            $base,
            ", #8]\n",
            $op,
            "r r6, [",
            $base,
            ", #16]\n",
            $op,
            "r r7, [",
            $base,
            ", #24]\n",
            $op,
            "r r8, [",
            $base,
            ", #32]\n",
            $op,
            "r r9, [",
            $base,
            ", #40]\n",
            $op,
            "r r10, [",
            $base,
            ", #48]\n",
            $op,
            "r r11, [",
            $base,
            ", #56]\n",
            "add ",
            $base,
            ", ",
            $base,
            ", #64\n",
            "v",
            $op,
            "m ",
            $base,
            ", {{d8-d15}}\n",
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
        // r0: where the words go, for `body` too.
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "push {{r1}}",
        "sub sp, sp, #16", // three arguments on the stack
        "mov r12, r1",
        "mov lr, r2",
        "ldr r1, [r3, #12]",
        "str r1, [sp, #0]",
        "ldr r1, [r3, #16]",
        "str r1, [sp, #4]",
        "ldr r1, [r3, #20]",
        "str r1, [sp, #8]",
        "ldm r3, {{r1-r3}}",
        each!("ld", "r12"),
        "blx lr",
        "ldr r12, [sp, #16]",
        each!("st", "r12"),
        "add sp, sp, #20",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}

#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn sp_and_fp(_: Word, _: usize, _: *mut Link) -> Words {
    naked_asm!(
        "sub sp, sp, #8",
        "ldrexd r2, r3, [sp]", // faults unless sp is a multiple of 8
        "clrex",
        "add r2, sp, #16", // behind where the trampoline keeps the words
        "mov r3, r11",
        "stm r0, {{r2, r3}}",
        "add sp, sp, #8",
        "bx lr",
    )
}
