//! ELFv2: r14-r31, f14-f31, v20-v31 and cr2-cr4.

use core::arch::naked_asm;

use super::Values;
use crate::arch::{Link, Word, Words};

pub(crate) const NAMES: [&str; 61] = [
    "r14",
    "r15",
    "r16",
    "r17",
    "r18",
    "r19",
    "r20",
    "r21",
    "r22",
    "r23",
    "r24",
    "r25",
    "r26",
    "r27",
    "r28",
    "r29",
    "r30",
    "r31",
    "f14",
    "f15",
    "f16",
    "f17",
    "f18",
    "f19",
    "f20",
    "f21",
    "f22",
    "f23",
    "f24",
    "f25",
    "f26",
    "f27",
    "f28",
    "f29",
    "f30",
    "f31",
    "v20 low",
    "v20 high",
    "v21 low",
    "v21 high",
    "v22 low",
    "v22 high",
    "v23 low",
    "v23 high",
    "v24 low",
    "v24 high",
    "v25 low",
    "v25 high",
    "v26 low",
    "v26 high",
    "v27 low",
    "v27 high",
    "v28 low",
    "v28 high",
    "v29 low",
    "v29 high",
    "v30 low",
    "v30 high",
    "v31 low",
    "v31 high",
    "cr2 to cr4",
];

pub(crate) const RESERVED: usize = 16;
pub(crate) const FP: usize = 17;
/// In place of frame pointers there is a chain of sps, which goes on in the outer record's.
pub(crate) const FP_ABOVE_PAIR: usize = 16;

/// Every register of `NAMES`, in that order. In the last word, the 12 bits that are cr2 to
/// cr4 are written to cr, or read from it by `$fields`; the others stay.
macro_rules! each {
    ($general:literal, $float:literal, $vector:literal, $fields:literal, $base:literal) => {
        concat!(
            ".irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n",
            $general,
            " \\n, 8 * (\\n - 14)(",
            $base,
            ")\n",
            $float,
            " \\n, 144 + 8 * (\\n - 14)(",
            $base,
            ")\n.endr\n",
            ".irp n, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n",
            "li 11, 288 + 16 * (\\n - 20)\n",
            $vector,
            " 32 + \\n, 11, ",
            $base,
            "\n.endr\n",
            "lwz 11, 480(",
            $base,
            ")\n",
            $fields,
            "\nstw 11, 480(",
            $base,
            ")\n",
        )
    };
}

macro_rules! fill {
    ($base:literal) => {
        each!("ld", "lfd", "lxvd2x", "mtocrf 32, 11\nmtocrf 16, 11\nmtocrf 8, 11", $base)
    };
}

macro_rules! store {
    ($base:literal) => {
        each!("std", "stfd", "stxvd2x", "mfcr 12\nrlwimi 11, 12, 0, 8, 19", $base)
    };
}

#[unsafe(naked)]
pub(crate) unsafe extern "C" fn fill_call_store(
    values: *mut Values,
    body: *const (),
    arguments: *const [usize; 6],
) -> Words {
    naked_asm!(
        "mflr 0",
        "std 0, 16(1)",
        "stdu 1, -544(1)",
        "std 2, 24(1)", // a body that is no stub has a TOC of its own
        "std 3, 520(1)",
        "addi 10, 1, 32",
        store!("10"),
        fill!("3"),
        "mr 12, 4",
        "mtctr 12",
        "mr 9, 5",
        "ld 3, 0(9)",
        "ld 4, 8(9)",
        "ld 5, 16(9)",
        "ld 6, 24(9)",
        "ld 7, 32(9)",
        "ld 8, 40(9)",
        "bctrl",
        "ld 2, 24(1)",
        "ld 10, 520(1)",
        store!("10"),
        "addi 10, 1, 32",
        fill!("10"),
        "addi 1, 1, 544",
        "ld 0, 16(1)",
        "mtlr 0",
        "blr",
    )
}

#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn sp_and_fp(_: Word, _: usize, _: *mut Link) -> Words {
    naked_asm!(
        "li 9, -16",
        "stvx 0, 1, 9",  // would round the address down: sp is returned, and compared
        "addi 3, 1, 32", // what every caller has on the stack for its callees
        "ld 4, 0(1)",
        "blr",
    )
}
