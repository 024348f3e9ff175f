//! Whether returns are checked against a second stack, which no switch of ours keeps in step.

/// Asks the processor, by an instruction that does nothing where it knows of no such stack.
/// On riscv64 there is none that is safe to try: there only the kernel knows. To programs with
/// 32 bits Linux gives none on x86.
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub(crate) fn shadow_stack_active() -> bool {
    let pointer: usize;
    // SAFETY: reads a register (Intel SDM, RDSSP), or leaves the zero.
    unsafe {
        core::arch::asm!(
            "rdsspq {}",
            inlateout(reg) 0_usize => pointer,
            options(nomem, nostack, preserves_flags),
        );
    }
    pointer != 0
}

/// As on x86_64, by `chkfeat x16`, which clears the bits of what is active: here the Guarded
/// Control Stack.
#[cfg(all(target_arch = "aarch64", not(miri)))]
pub(crate) fn shadow_stack_active() -> bool {
    const GCS: usize = 1;
    let inactive: usize;
    // SAFETY: a hint, which changes no other register (Arm ARM, CHKFEAT).
    unsafe {
        core::arch::asm!(
            "hint 40",
            inlateout("x16") GCS => inactive,
            options(nomem, nostack, preserves_flags),
        );
    }
    inactive & GCS == 0
}

#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) fn shadow_stack_active() -> bool {
    false
}
