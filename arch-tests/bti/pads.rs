//! The tests themselves: a scenario that jumps to every pad, run on a copy of the stub
//! and on inlined switches.

use std::arch::global_asm;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use siding::stack::{GuardedStack, Stack, StackConfig};

use crate::arch::{self, Landed, Link, Word, Words};
use crate::common::{Ending, fork};

const BTI_C: u32 = 0xd503_245f;
const BTI_J: u32 = 0xd503_249f;
const NOP: u32 = 0xd503_201f;

const PROT_BTI: libc::c_int = 0x10;
const READ_WRITE: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;
const READ_EXECUTE: libc::c_int = libc::PROT_READ | libc::PROT_EXEC;

/// Ways to switch whose code lies on pages of its own.
trait Switch {
    fn resume(link: *mut Link, word: usize) -> (*mut Link, usize);
    fn pause(link: *mut Link, word: usize) -> usize;
    fn hand_over(from: *mut Link, to: *mut Link, word: usize) -> usize;
    fn trampoline() -> usize;
}

/// The job `first` pauses, hands over to `second`, which ends, and is resumed to its own
/// end: every pad is jumped to at least once.
fn scenario<S: Switch>(stacks: &[GuardedStack; 2]) -> bool {
    let mut links = [Link::new(), Link::new()];
    let [first, second] = links.each_mut().map(ptr::from_mut);
    let entries = [self::first::<S> as arch::Entry, self::second];
    for ((link, entry), stack) in [first, second].into_iter().zip(entries).zip(stacks) {
        let stack = stack.bottom().addr()..stack.top().addr();
        // SAFETY: nothing runs on the stack.
        unsafe { arch::arm(link, S::trampoline(), entry, stack) };
    }
    S::resume(first, second.addr()) == (first, 10)
        && S::resume(first, 11) == (second, 12)
        && S::resume(first, 13) == (first, 14)
}

unsafe extern "C-unwind" fn first<S: Switch>(word: Word, _: usize, link: *mut Link) -> Words {
    let second: *mut Link = link.with_addr(number(word));
    let right = S::pause(link, 10) == 11;
    // SAFETY: the link is valid, and no switch is under way.
    let resumer = unsafe { (*link).outer };
    // SAFETY: as is the other, which is not running.
    unsafe { (*second).outer = resumer };
    let right = right && S::hand_over(link, second, 12) == 13;
    Words { word: to_word(if right { 14 } else { 0 }), tag: 0 }
}

unsafe extern "C-unwind" fn second(word: Word, tag: usize, _: *mut Link) -> Words {
    Words { word, tag }
}

fn to_word(number: usize) -> Word {
    Word::new(ptr::without_provenance_mut(number))
}

fn number(word: Word) -> usize {
    // SAFETY: every word here is initialised.
    unsafe { word.assume_init() }.addr()
}

/// The stub, called through pointers into a copy of its section.
struct Copied;

/// Where the copy of this process lies; set in the child only.
static COPY: AtomicUsize = AtomicUsize::new(0);

// Functions, as `arch::stub` declares them: the same symbol as a function here and as a
// static there makes LLVM rename one of them (`siding_0_1_trampoline.1`).
#[allow(clashing_extern_declarations, reason = "only their addresses are used")]
unsafe extern "C" {
    #[link_name = "siding_0_1_resume"]
    fn asm_resume();
    #[link_name = "siding_0_1_pause"]
    fn asm_pause();
    #[link_name = "siding_0_1_hand_over"]
    fn asm_hand_over();
    #[link_name = "siding_0_1_trampoline"]
    fn asm_trampoline();
    #[link_name = "siding_0_1_end"]
    fn asm_end();
}

type Label = unsafe extern "C" fn();

/// The stub section: the first symbol up to the label `end`.
fn stub() -> Range<*const u32> {
    asm_resume as *const u32..asm_end as *const u32
}

fn in_the_copy(symbol: Label) -> usize {
    COPY.load(Relaxed) + (symbol as usize - stub().start.addr())
}

impl Switch for Copied {
    fn resume(link: *mut Link, word: usize) -> (*mut Link, usize) {
        type Then = extern "C" fn(Word, usize, *mut Link, *mut *mut Link) -> Words;
        type Resume = extern "C" fn(usize, usize, *mut Link, *mut *mut Link, usize, Then) -> Words;
        extern "C" fn note(
            word: Word,
            tag: usize,
            link: *mut Link,
            came_back: *mut *mut Link,
        ) -> Words {
            // SAFETY: passed through from below.
            unsafe { came_back.write(link) };
            Words { word, tag }
        }
        // SAFETY: the copy is that function.
        let resume: Resume = unsafe { std::mem::transmute(in_the_copy(asm_resume)) };
        let mut came_back = link;
        let words = resume(word, 0, link, &mut came_back, 0, note);
        (came_back, number(words.word))
    }

    fn pause(link: *mut Link, word: usize) -> usize {
        type Pause = extern "C" fn(usize, usize, *mut Link) -> Words;
        // SAFETY: the copy is that function.
        let pause: Pause = unsafe { std::mem::transmute(in_the_copy(asm_pause)) };
        number(pause(word, 0, link).word)
    }

    fn hand_over(from: *mut Link, to: *mut Link, word: usize) -> usize {
        type HandOver = extern "C" fn(usize, usize, *mut Link, *mut Link) -> Words;
        // SAFETY: the copy is that function.
        let hand_over: HandOver = unsafe { std::mem::transmute(in_the_copy(asm_hand_over)) };
        number(hand_over(word, 0, from, to).word)
    }

    fn trampoline() -> usize {
        in_the_copy(asm_trampoline)
    }
}

/// Copies the stub, overwrites the pad at index `without`, protects the copy and runs on it.
fn run_the_copy(stacks: &[GuardedStack; 2], without: Option<usize>, protection: i32) {
    let Range { start, end } = stub();
    let bytes = end.addr() - start.addr();
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh mapping.
    let copy = unsafe { libc::mmap(ptr::null_mut(), bytes, READ_WRITE, flags, -1, 0) };
    assert_ne!(copy, libc::MAP_FAILED);
    // SAFETY: the source is the section, the target at least as long.
    unsafe { ptr::copy_nonoverlapping(start, copy.cast(), bytes / 4) };
    if let Some(index) = without {
        // SAFETY: a word of the copy.
        unsafe { copy.cast::<u32>().wrapping_add(index).write(NOP) };
    }
    // SAFETY: only this test uses the mapping.
    assert_eq!(unsafe { libc::mprotect(copy, bytes, protection) }, 0, "no BTI here");
    COPY.store(copy.addr(), Relaxed);
    assert!(scenario::<Copied>(stacks));
}

/// The inlined switch, in functions on pages of their own. They are called directly, so
/// only landings are reached by indirect branches.
struct Inlined;

global_asm!(".pushsection siding_bti, \"ax\", %progbits", ".p2align 12", ".popsection");

unsafe extern "C" {
    #[link_name = "__start_siding_bti"]
    static INLINED_START: u32;
    #[link_name = "__stop_siding_bti"]
    static INLINED_END: u32;
}

fn inlined() -> Range<*const u32> {
    &raw const INLINED_START..&raw const INLINED_END
}

impl Switch for Inlined {
    #[inline(never)]
    #[unsafe(link_section = "siding_bti")]
    fn resume(link: *mut Link, word: usize) -> (*mut Link, usize) {
        // SAFETY: the scenario resumes fresh and paused links only.
        let Landed { link, word, .. } = unsafe { arch::imp::resume(link, to_word(word), 0) };
        (link, number(word))
    }

    #[inline(never)]
    #[unsafe(link_section = "siding_bti")]
    fn pause(link: *mut Link, word: usize) -> usize {
        // SAFETY: called by the job of this link.
        number(unsafe { arch::imp::pause(link, to_word(word), 0) }.word)
    }

    #[inline(never)]
    #[unsafe(link_section = "siding_bti")]
    fn hand_over(from: *mut Link, to: *mut Link, word: usize) -> usize {
        // SAFETY: called by the job of `from`; `to` is fresh.
        number(unsafe { arch::imp::hand_over(from, to, to_word(word), 0) }.word)
    }

    fn trampoline() -> usize {
        arch::prepare()
    }
}

/// Overwrites the pad at index `without`, protects the pages in place and runs on them.
fn run_inlined(stacks: &[GuardedStack; 2], without: Option<usize>, protection: i32) {
    let Range { start, end } = inlined();
    let start = start.cast_mut();
    let bytes = end.addr() - start.addr();
    if let Some(index) = without {
        // SAFETY: private pages of this child, which run no code here.
        assert_eq!(unsafe { libc::mprotect(start.cast(), bytes, READ_WRITE) }, 0);
        // SAFETY: a word of the section, writable now.
        unsafe { start.wrapping_add(index).write(NOP) };
    }
    // SAFETY: what else lies on the last page is not called by this child.
    assert_eq!(unsafe { libc::mprotect(start.cast(), bytes, protection) }, 0, "no BTI here");
    assert!(scenario::<Inlined>(stacks));
}

/// Indices of the words in `code` that are landing pads.
fn pads(code: Range<*const u32>) -> Vec<usize> {
    let words = (code.end.addr() - code.start.addr()) / 4;
    let is_pad = |&index: &usize| {
        // SAFETY: the range is mapped code.
        let word = unsafe { code.start.wrapping_add(index).read() };
        word == BTI_C || word == BTI_J
    };
    (0..words).filter(is_pad).collect()
}

type Run = fn(&[GuardedStack; 2], Option<usize>, i32);

/// The code works with its pads under PROT_BTI; without any one of them it dies, and
/// works again when it is not under PROT_BTI, so the missing pad was the reason.
fn every_pad_counts(run: Run, code: Range<*const u32>, count: usize) {
    let stacks = [(); 2].map(|()| GuardedStack::new(StackConfig::DEFAULT).expect("a stack"));
    let pads = pads(code);
    assert_eq!(pads.len(), count);
    assert_eq!(fork(|| run(&stacks, None, READ_EXECUTE | PROT_BTI)), Ending::Exited(0));
    for pad in pads {
        let guarded = fork(|| run(&stacks, Some(pad), READ_EXECUTE | PROT_BTI));
        assert_eq!(guarded, Ending::Killed(libc::SIGILL), "without the pad at word {pad}");
        let unguarded = fork(|| run(&stacks, Some(pad), READ_EXECUTE));
        assert_eq!(unguarded, Ending::Exited(0), "without the pad at word {pad}");
    }
}

#[test]
fn every_pad_of_the_stub_counts() {
    every_pad_counts(run_the_copy, stub(), 6);
}

#[test]
fn every_pad_of_the_inlined_switch_counts() {
    every_pad_counts(run_inlined, inlined(), 3);
}
