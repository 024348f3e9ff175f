//! qemu-system-riscv64 -M virt -bios none

use core::arch::global_asm;

// Loaded by qemu, which has cleared the rest of the memory. `mstatus.FS`: floating-point
// instructions are off at first.
global_asm!(
    ".pushsection .text.start, \"ax\"",
    ".globl _start",
    "_start:",
    ".option push",
    ".option norelax",
    "la     gp, __global_pointer$",
    ".option pop",
    "la     sp, stack_top",
    "la     t0, 2f",
    "csrw   mtvec, t0",
    "li     t0, 1 << 13",
    "csrs   mstatus, t0",
    "call   {start}",
    ".p2align 2",
    "2:",
    "call   {trap}",
    ".popsection",
    start = sym super::start,
    trap = sym super::trap,
);

/// The transmit register of its 16550.
const UART: *mut u8 = 0x1000_0000 as *mut u8;
/// SiFive's test device.
const TEST: *mut u32 = 0x10_0000 as *mut u32;

pub(super) fn put(byte: u8) {
    // SAFETY: the register of a device, which takes any byte.
    unsafe { UART.write_volatile(byte) };
}

pub(super) fn exit(status: u32) -> ! {
    let word = if status == 0 { 0x5555 } else { status << 16 | 0x3333 };
    // SAFETY: the register of a device, which ends the machine.
    unsafe { TEST.write_volatile(word) };
    loop {
        core::hint::spin_loop();
    }
}
