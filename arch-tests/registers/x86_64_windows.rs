//! Windows x64 calling convention, "Register volatility": rbx, rbp, rdi, rsi, r12-r15 and all
//! of xmm6-xmm15. The assembly is called as psABI 3.2.1 says.

use core::arch::naked_asm;

use super::Values;
use crate::arch::{Link, Word, Words};

pub(crate) const NAMES: [&str; 28] = [
    "rbx",
    "rbp",
    "rdi",
    "rsi",
    "r12",
    "r13",
    "r14",
    "r15",
    "xmm6",
    "xmm6 high",
    "xmm7",
    "xmm7 high",
    "xmm8",
    "xmm8 high",
    "xmm9",
    "xmm9 high",
    "xmm10",
    "xmm10 high",
    "xmm11",
    "xmm11 high",
    "xmm12",
    "xmm12 high",
    "xmm13",
    "xmm13 high",
    "xmm14",
    "xmm14 high",
    "xmm15",
    "xmm15 high",
];

pub(crate) const RESERVED: usize = 0;
pub(crate) const FP: usize = 1;
pub(crate) const FP_ABOVE_PAIR: usize = 0;

/// A function that preserves what the convention says. Finds in rcx where the result goes, in
/// rdx values, in r8 the body, in r9 the arguments; the first two are at [rsp + 56] and
/// [rsp + 64] then, below which is room for what a body finds on the stack.
macro_rules! preserving {
    ($($line:literal),+ $(,)?) => {
        naked_asm!(
            "push rbx",
            "push rbp",
            "push rdi",
            "push rsi",
            "push r12",
            "push r13",
            "push r14",
            "push r15",
            "sub rsp, 248",
            r".irp n, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
            r"movaps [rsp + 16 * \n - 16], xmm\n",
            ".endr",
            "mov [rsp + 56], rcx",
            "mov [rsp + 64], rdx",
            $($line,)+
            "mov rax, [rsp + 56]",
            r".irp n, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
            r"movaps xmm\n, [rsp + 16 * \n - 16]",
            ".endr",
            "add rsp, 248",
            "pop r15",
            "pop r14",
            "pop r13",
            "pop r12",
            "pop rsi",
            "pop rdi",
            "pop rbp",
            "pop rbx",
            "ret",
        )
    };
}

#[unsafe(naked)]
pub(crate) unsafe extern "C" fn fill_call_store(
    values: *mut Values,
    body: *const (),
    arguments: *const [usize; 6],
) -> Words {
    preserving!(
        // rcx is where the result goes: for the body's, too.
        "mov rax, r8",
        "mov r10, rdx",
        "mov rdx, [r9]",
        "mov r8, [r9 + 8]",
        "mov r11, [r9 + 24]",
        "mov [rsp + 32], r11",
        "mov r11, [r9 + 32]",
        "mov [rsp + 40], r11",
        "mov r11, [r9 + 40]",
        "mov [rsp + 48], r11",
        "mov r9, [r9 + 16]",
        "mov rbx, [r10]",
        "mov rbp, [r10 + 8]",
        "mov rdi, [r10 + 16]",
        "mov rsi, [r10 + 24]",
        "mov r12, [r10 + 32]",
        "mov r13, [r10 + 40]",
        "mov r14, [r10 + 48]",
        "mov r15, [r10 + 56]",
        r".irp n, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        r"movups xmm\n, [r10 + 16 * \n - 32]",
        ".endr",
        "call rax",
        "mov rdx, [rsp + 64]",
        "mov [rdx], rbx",
        "mov [rdx + 8], rbp",
        "mov [rdx + 16], rdi",
        "mov [rdx + 24], rsi",
        "mov [rdx + 32], r12",
        "mov [rdx + 40], r13",
        "mov [rdx + 48], r14",
        "mov [rdx + 56], r15",
        r".irp n, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
        r"movups [rdx + 16 * \n - 32], xmm\n",
        ".endr",
    )
}

/// Leaves the values of rdi, rsi and xmm6-xmm15 alone.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn fill_call_store_stub(
    values: *mut Values,
    body: *const (),
    arguments: *const [usize; 6],
) -> Words {
    preserving!(
        "mov rax, r8",
        "mov r10, rdx",
        "mov r11, r9",
        "mov rdi, [r11]",
        "mov rsi, [r11 + 8]",
        "mov rdx, [r11 + 16]",
        "mov rcx, [r11 + 24]",
        "mov r8, [r11 + 32]",
        "mov r9, [r11 + 40]",
        "mov rbx, [r10]",
        "mov rbp, [r10 + 8]",
        "mov r12, [r10 + 32]",
        "mov r13, [r10 + 40]",
        "mov r14, [r10 + 48]",
        "mov r15, [r10 + 56]",
        "call rax",
        "mov rcx, [rsp + 56]",
        "mov [rcx], rax",
        "mov [rcx + 8], rdx",
        "mov rdx, [rsp + 64]",
        "mov [rdx], rbx",
        "mov [rdx + 8], rbp",
        "mov [rdx + 32], r12",
        "mov [rdx + 40], r13",
        "mov [rdx + 48], r14",
        "mov [rdx + 56], r15",
    )
}

#[unsafe(naked)]
pub(crate) unsafe extern "sysv64-unwind" fn sp_and_fp(_: Word, _: usize, _: *mut Link) -> Words {
    naked_asm!(
        "sub rsp, 24",
        "movaps [rsp], xmm0", // faults unless aligned
        "add rsp, 24",
        "lea rax, [rsp + 24]", // above the return address, and the two words that end the frames
        "mov rdx, rbp",
        "ret",
    )
}
