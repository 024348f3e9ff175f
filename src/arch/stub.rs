//! The out-of-line switch and the entry trampoline of `asm/<arch>.S`.
//!
//! None of these functions may be inlined into another crate: they name hidden
//! symbols, which a Rust `dylib` could not link.

use super::{Landed, Link, Word, Words};

unsafe extern "C-unwind" {
    #[link_name = "siding_0_1_resume"]
    fn asm_resume(word: Word, tag: usize, link: *mut Link, came_back: *mut *mut Link) -> Words;
    #[link_name = "siding_0_1_pause"]
    fn asm_pause(word: Word, tag: usize, link: *mut Link) -> Words;
    #[link_name = "siding_0_1_hand_over"]
    fn asm_hand_over(word: Word, tag: usize, from: *mut Link, to: *mut Link) -> Words;
    #[link_name = "siding_0_1_trampoline"]
    fn asm_trampoline();
}

/// The address a fresh context starts at, for [`arm`](super::arm).
#[inline(never)]
pub(crate) fn prepare() -> usize {
    asm_trampoline as *const () as usize
}

/// [`resume`](super::resume) by the stub: unwinding through it is sound.
///
/// # Safety
/// As for the inlined form.
#[inline(never)]
#[allow(dead_code, reason = "which forms are used depends on --cfg siding_outline and features")]
pub(crate) unsafe fn resume(link: *mut Link, word: Word, tag: usize) -> Landed {
    let mut came_back = link;
    // SAFETY: the caller vouches for `link`; `came_back` outlives the call.
    let Words { word, tag } = unsafe { asm_resume(word, tag, link, &mut came_back) };
    Landed { link: came_back, word, tag }
}

/// [`pause`](super::pause) by the stub.
///
/// # Safety
/// As for the inlined form.
#[inline(never)]
#[allow(dead_code, reason = "which forms are used depends on --cfg siding_outline and features")]
pub(crate) unsafe fn pause(link: *mut Link, word: Word, tag: usize) -> Words {
    // SAFETY: the caller vouches for `link`.
    unsafe { asm_pause(word, tag, link) }
}

/// [`hand_over`](super::hand_over) by the stub.
///
/// # Safety
/// As for the inlined form.
#[inline(never)]
#[allow(dead_code, reason = "which forms are used depends on --cfg siding_outline and features")]
pub(crate) unsafe fn hand_over(from: *mut Link, to: *mut Link, word: Word, tag: usize) -> Words {
    // SAFETY: the caller vouches for both links.
    unsafe { asm_hand_over(word, tag, from, to) }
}
