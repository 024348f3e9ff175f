//! i386 psABI 2.2.1: ebx, ebp, esi and edi; no vector register is preserved by a callee.

use core::arch::naked_asm;

use super::Values;
use crate::arch::{Link, Word, Words};

pub(crate) const NAMES: [&str; 4] = ["ebx", "ebp", "esi", "edi"];

pub(crate) const RESERVED: usize = 2;
pub(crate) const FP: usize = 1;
pub(crate) const FP_ABOVE_PAIR: usize = 0;

#[unsafe(naked)]
pub(crate) unsafe extern "C" fn fill_call_store(
    values: *mut Values,
    body: *const (),
    arguments: *const [usize; 6],
) -> Words {
    naked_asm!(
        "push ebx",
        "push ebp",
        "push esi",
        "push edi",
        "mov ecx, [esp + 20]", // where the result goes: for the body's, too
        "mov eax, [esp + 28]",
        "mov edx, [esp + 32]",
        "push [edx + 20]",
        "push [edx + 16]",
        "push [edx + 12]",
        "push [edx + 8]",
        "push [edx + 4]",
        "push [edx]",
        "push ecx",
        "mov edx, [esp + 52]",
        "mov ebx, [edx]",
        "mov ebp, [edx + 8]",
        "mov esi, [edx + 16]",
        "mov edi, [edx + 24]",
        "call eax", // which pops the first argument
        "add esp, 24",
        "mov edx, [esp + 24]",
        "mov [edx], ebx",
        "mov [edx + 8], ebp",
        "mov [edx + 16], esi",
        "mov [edx + 24], edi",
        "pop edi",
        "pop esi",
        "pop ebp",
        "pop ebx",
        "ret 4",
    )
}

#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn sp_and_fp(_: Word, _: usize, _: *mut Link) -> Words {
    naked_asm!(
        "sub esp, 28",
        "movaps [esp], xmm0", // faults unless aligned
        "add esp, 28",
        "mov eax, [esp + 4]",
        "lea ecx, [esp + 36]", // above the arguments, and the result's place
        "mov [eax], ecx",
        "mov [eax + 4], ebp",
        "ret 4",
    )
}
