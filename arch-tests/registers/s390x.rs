//! s390x ELF ABI 1.2.1: r6-r13 and f8-f15. r15 is whoever's sp, and r14 the return address.

use core::arch::naked_asm;

use super::Values;
use crate::arch::{Link, Word, Words};

pub(crate) const NAMES: [&str; 16] = [
    "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "f8", "f9", "f10", "f11", "f12", "f13",
    "f14", "f15",
];

pub(crate) const RESERVED: usize = 4;
pub(crate) const FP: usize = 5;
/// r11 points at the pair, though no chain of frame pointers needs that here.
pub(crate) const FP_ABOVE_PAIR: usize = 0;

/// `op` on f8 to f15, at `offset` and on from `base`: `l` or `st`.
macro_rules! each_float {
    ($op:literal, $offset:literal, $base:literal) => {
        concat!(
            ".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n",
            $op,
            "d %f\\n, ",
            $offset,
            " + 8 * (\\n - 8)(",
            $base,
            ")\n",
            ".endr\n",
        )
    };
}

// r2 says where the Words go: to the body as it came.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn fill_call_store(
    values: *mut Values,
    body: *const (),
    arguments: *const [usize; 6],
) -> Words {
    naked_asm!(
        "stmg %r6, %r15, 48(%r15)",
        "aghi %r15, -256",
        each_float!("st", "176", "%r15"),
        "stg %r3, 240(%r15)",
        // The fifth and sixth argument are in memory.
        "mvc 160(16, %r15), 32(%r5)",
        "lgr %r1, %r4",
        each_float!("l", "64", "%r3"),
        "lmg %r6, %r13, 0(%r3)",
        // r6 is the fourth, and is preserved all the same.
        "lg %r0, 24(%r5)",
        "ltgr %r0, %r0",
        "jz 2f",
        "lgr %r6, %r0",
        "2:",
        "stg %r6, 248(%r15)",
        "lmg %r3, %r5, 0(%r5)",
        "basr %r14, %r1",
        "lg %r1, 240(%r15)",
        "xg %r6, 248(%r15)",
        "xg %r6, 0(%r1)",
        "stmg %r6, %r13, 0(%r1)",
        each_float!("st", "64", "%r1"),
        each_float!("l", "176", "%r15"),
        "lmg %r6, %r15, 304(%r15)",
        "br %r14",
    )
}

#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn sp_and_fp(_: Word, _: usize, _: *mut Link) -> Words {
    naked_asm!(
        // No store insists on the stack's alignment.
        "stg %r2, 16(%r15)",
        "la %r0, 176(%r15)", // a trampoline's frame
        "stg %r0, 0(%r2)",
        "stg %r11, 8(%r2)",
        "br %r14",
    )
}
