//! The out-of-line switch, the entry trampoline and the addresses in `asm/<arch>.S`.
//!
//! None of these functions may be inlined into another crate: they name hidden
//! symbols, which a Rust `dylib` could not link.

#[cfg(feature = "capi")]
use core::ffi::c_int;
use core::ffi::c_uint;
use core::{mem, ptr};

#[cfg(feature = "capi")]
use super::imp::WORDS_IN_REGISTERS;
use super::{Landed, Link, Word, Words};

/// What the stub passes on unseen.
pub(crate) type Any = *mut ();

asm_abi! { extern {
    #[link_name = "siding_0_1_resume"]
    fn asm_resume(word: Word, tag: usize, link: *mut Link, a: Any, b: Any, then: Any) -> Words;
    #[link_name = "siding_0_1_pause"]
    fn asm_pause(word: Word, tag: usize, link: *mut Link) -> Words;
    #[link_name = "siding_0_1_hand_over"]
    fn asm_hand_over(word: Word, tag: usize, from: *mut Link, to: *mut Link) -> Words;
    #[link_name = "siding_0_1_trampoline"]
    fn asm_trampoline();
} }

unsafe extern "C" {
    #[link_name = "siding_0_1_sanitizer"]
    static asm_sanitizer: Sanitizer;
}

/// What there is of the interfaces to sanitizers, by LLVM's names for them: in its
/// `sanitizer/common_interface_defs.h`, `asan_interface.h`, `lsan_interface.h` and
/// `tsan_interface.h`. Where one of a group is there, so are the others.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Sanitizer {
    /// To be called before a switch: where to put the fake stack, bottom and size to come.
    pub(crate) start_switch: Option<unsafe extern "C" fn(*mut Any, Any, usize)>,
    /// Then: the fake stack to come; where to put bottom and size of what is left.
    pub(crate) finish_switch: Option<unsafe extern "C" fn(Any, *mut Any, *mut usize)>,
    pub(crate) register_root: Option<unsafe extern "C" fn(Any, usize)>,
    pub(crate) unregister_root: Option<unsafe extern "C" fn(Any, usize)>,
    pub(crate) current_fiber: Option<unsafe extern "C" fn() -> Any>,
    pub(crate) create_fiber: Option<unsafe extern "C" fn(c_uint) -> Any>,
    pub(crate) destroy_fiber: Option<unsafe extern "C" fn(Any)>,
    pub(crate) switch_to_fiber: Option<unsafe extern "C" fn(Any, c_uint)>,
}

/// The sanitizer that this program runs under: known to the linker, so that it works in
/// static programs too.
#[inline(never)]
pub(crate) fn sanitizer() -> Sanitizer {
    if cfg!(miri) {
        // SAFETY: nothing is a value of each field.
        return unsafe { mem::zeroed() };
    }
    // SAFETY: laid out like this; nobody writes to it once the program runs.
    unsafe { asm_sanitizer }
}

/// The address a fresh context starts at, for [`arm`](super::arm).
#[inline(never)]
pub(crate) fn prepare() -> usize {
    if cfg!(miri) { 1 } else { asm_trampoline as *const () as usize }
}

/// [`resume`](super::resume) by the stub: unwinding through it is sound.
///
/// # Safety
/// As for the inlined form.
#[inline(never)]
#[allow(dead_code, reason = "which forms are used depends on --cfg siding_outline and features")]
pub(crate) unsafe fn resume(link: *mut Link, word: Word, tag: usize) -> Landed {
    // SAFETY: by this function's contract.
    unsafe { resume_here(link, word, tag) }
}

/// As [`resume`], and no call of Rust's lies around the stub.
///
/// # Safety
/// As for the inlined form.
#[inline(always)]
pub(crate) unsafe fn resume_here(link: *mut Link, word: Word, tag: usize) -> Landed {
    let mut came_back = link;
    let (a, then) = ((&raw mut came_back).cast(), note as *mut ());
    // SAFETY: the caller vouches for `link`; `then` takes an `a` like this.
    let Words { word, tag } = unsafe { asm_resume(word, tag, link, a, ptr::null_mut(), then) };
    Landed { link: came_back, word, tag }
}

asm_abi! {
/// Notes who came back.
///
/// # Safety
/// `came_back` is writable.
unsafe fn note(word: Word, tag: usize, link: *mut Link, came_back: *mut *mut Link) -> Words {
    // SAFETY: by this function's contract.
    unsafe { came_back.write(link) };
    Words { word, tag }
}
}

/// What [`resume_then`] goes on in: word, tag, who came back, and the two it was given.
#[cfg(feature = "capi")]
pub(crate) type Then = asm_abi!(unsafe fn(Word, usize, *mut Link, Any, Any) -> c_int);

/// As [`resume`], as the last act of the caller: goes on in `then`, with `a` and `b`, and
/// returns what that returns.
///
/// # Safety
/// As for the inlined form; `then` may be called like that.
#[inline(always)]
#[cfg(feature = "capi")]
pub(crate) unsafe fn resume_then(
    link: *mut Link,
    word: Word,
    tag: usize,
    a: Any,
    b: Any,
    then: Then,
) -> c_int {
    if !WORDS_IN_REGISTERS {
        // SAFETY: by this function's contract.
        let Landed { link, word, tag } = unsafe { resume_here(link, word, tag) };
        // SAFETY: by this function's contract.
        return unsafe { then(word, tag, link, a, b) };
    }
    /// `asm_resume` with what `then` returns: with the caller's own type, so that the call
    /// can be a jump.
    type Resume = asm_abi!(unsafe fn(Word, usize, *mut Link, Any, Any, Then) -> c_int);
    // SAFETY: the stub leaves the result to `then`.
    let resume = unsafe { mem::transmute::<*const (), Resume>(asm_resume as *const ()) };
    // SAFETY: by this function's contract.
    unsafe { resume(word, tag, link, a, b, then) }
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
