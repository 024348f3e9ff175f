//! Each side of a switch finds its own r2 again: the two may be parts of different shared
//! objects. Here r2 holds what is no TOC at all while the other side runs.

use core::arch::{asm, naked_asm};

use super::*;

/// Two values for r2 on the two sides; no code here uses it meanwhile.
const OUTSIDE: usize = 0x5eed_0001;
const INSIDE: usize = 0x5eed_0002;

/// Calls `body` with this r2 and returns what it holds then.
#[unsafe(naked)]
unsafe extern "C" fn call_with_r2(
    r2: usize,
    body: *const (),
    arguments: *const [usize; 6],
) -> usize {
    naked_asm!(
        "mflr 0",
        "std 0, 16(1)",
        "stdu 1, -48(1)",
        "std 2, 32(1)",
        "mr 2, 3",
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
        "mr 3, 2",
        "ld 2, 32(1)",
        "addi 1, 1, 48",
        "ld 0, 16(1)",
        "mtlr 0",
        "blr",
    )
}

/// What the stub's `resume` goes on in: leaves r2 as it is.
#[unsafe(naked)]
unsafe extern "C" fn go_on() {
    naked_asm!("blr")
}

#[inline(always)]
fn r2() -> usize {
    let found;
    // SAFETY: reads a register.
    unsafe { asm!("mr {}, 2", out(reg) found, options(nomem, nostack, preserves_flags)) };
    found
}

/// Pauses by the stub with an r2 of its own. Tells at its end what it finds then.
unsafe extern "C-unwind" fn pauses(_: Word, _: usize, link: *mut Link) -> Words {
    let arguments = [0, PAUSED, link.expose_provenance(), 0, 0, 0];
    // SAFETY: called by the job of this link.
    let found = unsafe { call_with_r2(INSIDE, stub_pause as *const (), &arguments) };
    Words { word: to_word(found), tag: FINISHED }
}

/// The same inlined, with the r2 that the compiler has given it.
unsafe extern "C-unwind" fn pauses_inline(_: Word, _: usize, link: *mut Link) -> Words {
    let before = r2();
    // SAFETY: called by the job of this link.
    unsafe { arch::imp::pause(link, to_word(0), PAUSED) };
    let lost = r2() != before;
    Words { word: to_word(if lost { 0 } else { INSIDE }), tag: FINISHED }
}

fn resume_by_the_stub(link: *mut Link) {
    let then = (go_on as *const ()).expose_provenance();
    let arguments = [0, 0, link.expose_provenance(), 0, 0, then];
    // SAFETY: the tests resume fresh and paused links only.
    let found = unsafe { call_with_r2(OUTSIDE, stub_resume as *const (), &arguments) };
    assert_eq!(found, OUTSIDE);
}

fn resume_inline(link: *mut Link) -> Landed {
    let before = r2();
    // SAFETY: the tests resume fresh and paused links only.
    let landed = unsafe { arch::imp::resume(link, to_word(0), 0) };
    assert_eq!(r2(), before);
    landed
}

fn each_side_finds_its_own(entry: Entry) {
    let stack = new_stack();
    let mut link = Link::new();
    let link = &raw mut link;
    start(link, entry, stack.top().addr());
    resume_by_the_stub(link);
    let landed = resume_inline(link);
    assert_eq!((from_word(landed.word), landed.tag), (INSIDE, FINISHED));
    start(link, entry, stack.top().addr());
    assert_eq!(resume_inline(link).tag, PAUSED);
    resume_by_the_stub(link);
}

#[test]
fn r2_survives_a_pause_by_the_stub_and_both_kinds_of_resume() {
    each_side_finds_its_own(pauses);
}

#[test]
fn r2_survives_an_inlined_pause_and_both_kinds_of_resume() {
    each_side_finds_its_own(pauses_inline);
}
