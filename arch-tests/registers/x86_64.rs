//! psABI 3.2.1: rbx, rbp and r12-r15; no vector register is preserved by a callee.

use core::arch::naked_asm;

use super::Values;
use crate::arch::{Link, Word, Words};

pub(crate) const NAMES: [&str; 6] = ["rbx", "rbp", "r12", "r13", "r14", "r15"];

pub(crate) const RESERVED: usize = 0;
pub(crate) const FP: usize = 1;
pub(crate) const FP_ABOVE_PAIR: usize = 0;

#[unsafe(naked)]
pub(crate) unsafe extern "C" fn fill_call_store(
    values: *mut Values,
    body: *const (),
    arguments: *const [usize; 6],
) -> Words {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdi",
        "mov rbx, [rdi]",
        "mov rbp, [rdi + 8]",
        "mov r12, [rdi + 16]",
        "mov r13, [rdi + 24]",
        "mov r14, [rdi + 32]",
        "mov r15, [rdi + 40]",
        "mov rax, rsi",
        "mov rdi, [rdx]",
        "mov rsi, [rdx + 8]",
        "mov rcx, [rdx + 24]",
        "mov r8, [rdx + 32]",
        "mov r9, [rdx + 40]",
        "mov rdx, [rdx + 16]",
        "call rax",
        "pop rdi",
        "mov [rdi], rbx",
        "mov [rdi + 8], rbp",
        "mov [rdi + 16], r12",
        "mov [rdi + 24], r13",
        "mov [rdi + 32], r14",
        "mov [rdi + 40], r15",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn sp_and_fp(_: Word, _: usize, _: *mut Link) -> Words {
    naked_asm!(
        "sub rsp, 24",
        "movaps [rsp], xmm0", // faults unless aligned
        "add rsp, 24",
        "lea rax, [rsp + 8]", // above the return address
        "mov rdx, rbp",
        "ret",
    )
}
