//! No architecture: the switch is `asm/ucontext.c`, by the C library, behind the stub's names.

// There is no other form.
pub(crate) use super::stub::{hand_over, pause, resume};

/// What the strictest ABI wants; `makecontext` aligns further by itself.
pub(crate) const STACK_ALIGN: usize = 16;

/// C sees it as we do.
pub(crate) const OUTER: usize = size_of::<super::Record>();

/// How [`Words`](super::Words) are returned is the C compiler's business.
#[cfg(feature = "capi")]
pub(crate) const WORDS_IN_REGISTERS: bool = false;

unsafe extern "C" {
    // Safe: it wants nothing, and answers with an address.
    #[cfg(feature = "capi")]
    #[link_name = "siding_0_1_thread_words"]
    safe fn asm_thread_words() -> *mut [usize; 2];
    #[link_name = "siding_0_1_fp_read"]
    fn asm_fp_read(control: *mut FpControl);
    #[link_name = "siding_0_1_fp_write"]
    fn asm_fp_write(control: *const FpControl);
}

/// An address on the stack that this code runs on.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let here = 0_u8;
    core::ptr::from_ref(core::hint::black_box(&here)).addr()
}

/// The two words that this thread has in `asm/ucontext.c`, zero at first.
#[cfg(feature = "capi")]
#[inline(never)]
pub(crate) fn thread_words() -> *mut [usize; 2] {
    asm_thread_words()
}

/// The body of a function that goes on in `$to`, which is not told where the call came from:
/// only assembly knows.
#[cfg(feature = "capi")]
#[allow(unused_macros, unused_imports, reason = "the ABI's own")]
macro_rules! with_caller {
    ($to:path $(, $argument:expr)*) => {
        $to($($argument,)* core::ptr::null())
    };
}
#[cfg(feature = "capi")]
pub(crate) use with_caller;

/// Nobody is asked: the instructions by which valgrind hears us are an architecture's.
pub(crate) fn client_request(_: &[usize; 6]) -> usize {
    0
}

pub(crate) fn prefetch(_: *const u8) {}

/// C's `fenv_t`: what may be changed for a job, and is written without its exception flags.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct FpControl([u8; 32]);

impl FpControl {
    #[inline(never)]
    pub(crate) fn read() -> Self {
        let mut control = FpControl([0; 32]);
        // SAFETY: a fenv_t is no larger and needs no other alignment.
        unsafe { asm_fp_read(&raw mut control) };
        control
    }

    #[inline(never)]
    pub(crate) fn write(&self) {
        // SAFETY: comes from `read`.
        unsafe { asm_fp_write(self) };
    }
}
