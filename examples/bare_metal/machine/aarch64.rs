//! qemu-system-aarch64 -M virt -cpu cortex-a72 -semihosting

use core::arch::{asm, global_asm};

// Loaded by qemu, which has cleared the rest of the memory. `CPACR_EL1.FPEN`: floating-point
// instructions trap at first.
global_asm!(
    ".pushsection .text.start, \"ax\"",
    ".globl _start",
    "_start:",
    "adrp   x0, stack_top",
    "add    x0, x0, :lo12:stack_top",
    "mov    sp, x0",
    "adr    x0, 2f",
    "msr    vbar_el1, x0",
    "mov    x0, 3 << 20",
    "msr    cpacr_el1, x0",
    "isb",
    "bl     {start}",
    ".p2align 11",
    "2:",
    ".rept 16",
    "b      {trap}",
    ".p2align 7",
    ".endr",
    ".popsection",
    start = sym super::start,
    trap = sym super::trap,
);

/// The data register of its PL011.
const UART: *mut u32 = 0x0900_0000 as *mut u32;

pub(super) fn put(byte: u8) {
    // SAFETY: the register of a device, which takes any byte.
    unsafe { UART.write_volatile(byte.into()) };
}

/// By Arm's semihosting: SYS_EXIT_EXTENDED, with ADP_Stopped_ApplicationExit.
pub(super) fn exit(status: u32) -> ! {
    let reason: [u64; 2] = [0x20026, status.into()];
    // SAFETY: a request that does not return; the block lives until then.
    unsafe { asm!("hlt 0xf000", in("x0") 0x20, in("x1") &raw const reason, options(noreturn)) };
}
