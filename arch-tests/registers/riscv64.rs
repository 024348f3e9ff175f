//! psABI, lp64d: s0-s11 and fs0-fs11.

use core::arch::naked_asm;

use super::Values;
use crate::arch::{Link, Word, Words};

pub(crate) const NAMES: [&str; 24] = [
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "fs0", "fs1", "fs2",
    "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11",
];

pub(crate) const RESERVED: usize = 1;
pub(crate) const FP: usize = 0;
pub(crate) const FP_ABOVE_PAIR: usize = 16;

/// One line for every register of `NAMES`, in that order.
macro_rules! each {
    ($int:literal, $float:literal, $base:literal) => {
        concat!(
            $int,
            " s0, 0(",
            $base,
            ")\n",
            $int,
            " s1, 8(",
            $base,
            ")\n",
            $int,
            " s2, 16(",
            $base,
            ")\n",
            $int,
            " s3, 24(",
            $base,
            ")\n",
            $int,
            " s4, 32(",
            $base,
            ")\n",
            $int,
            " s5, 40(",
            $base,
            ")\n",
            $int,
            " s6, 48(",
            $base,
            ")\n",
            $int,
            " s7, 56(",
            $base,
            ")\n",
            $int,
            " s8, 64(",
            $base,
            ")\n",
            $int,
            " s9, 72(",
            $base,
            ")\n",
            $int,
            " s10, 80(",
            $base,
            ")\n",
            $int,
            " s11, 88(",
            $base,
            ")\n",
            $float,
            " fs0, 96(",
            $base,
            ")\n",
            $float,
            " fs1, 104(",
            $base,
            ")\n",
            $float,
            " fs2, 112(",
            $base,
            ")\n",
            $float,
            " fs3, 120(",
            $base,
            ")\n",
            $float,
            " fs4, 128(",
            $base,
            ")\n",
            $float,
            " fs5, 136(",
            $base,
            ")\n",
            $float,
            " fs6, 144(",
            $base,
            ")\n",
            $float,
            " fs7, 152(",
            $base,
            ")\n",
            $float,
            " fs8, 160(",
            $base,
            ")\n",
            $float,
            " fs9, 168(",
            $base,
            ")\n",
            $float,
            " fs10, 176(",
            $base,
            ")\n",
            $float,
            " fs11, 184(",
            $base,
            ")\n",
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
        // LLVM forgets the target's features in a module of naked functions alone.
        ".option push",
        ".option arch, +d",
        "addi sp, sp, -208",
        each!("sd", "fsd", "sp"),
        "sd ra, 192(sp)",
        "sd a0, 200(sp)",
        each!("ld", "fld", "a0"),
        "mv t1, a1",
        "mv t2, a2",
        "ld a0, 0(t2)",
        "ld a1, 8(t2)",
        "ld a2, 16(t2)",
        "ld a3, 24(t2)",
        "ld a4, 32(t2)",
        "ld a5, 40(t2)",
        "jalr t1",
        "ld t2, 200(sp)",
        each!("sd", "fsd", "t2"),
        each!("ld", "fld", "sp"),
        "ld ra, 192(sp)",
        "addi sp, sp, 208",
        "ret",
        ".option pop",
    )
}

#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn sp_and_fp(_: Word, _: usize, _: *mut Link) -> Words {
    naked_asm!(
        "addi sp, sp, -16",
        "sd a0, 0(sp)", // the base ISA has no store that insists on 16 bytes
        "addi sp, sp, 16",
        "mv a0, sp",
        "mv a1, s0",
        "ret",
    )
}
