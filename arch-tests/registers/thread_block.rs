//! Windows: the thread's block (TEB) says which stack the thread is on. Each side of a switch
//! finds its own words there; and, with the option, its own control words of floating point.

use std::arch::{asm, naked_asm};
use std::cell::Cell;
use std::hint::black_box;
use std::ops::Range;
use std::ptr;
use std::rc::Rc;

use siding::coroutine::{Coroutine, CoroutineState, Yielder};
use siding::job::{self, Options, Progress};
use siding::stack::Stack;
use windows_sys::Win32::System::Memory::{PAGE_GUARD, PAGE_READWRITE, VirtualProtect};

use super::{FINISHED, Side, TRIPS, new_link, new_stack, start, to_word};
use crate::arch::{self, Link, Word, Words, asm_abi};

/// The words that a switch exchanges.
const NAMES: [&str; 5] =
    ["ExceptionList", "StackBase", "StackLimit", "DeallocationStack", "GuaranteedStackBytes"];
const OFFSETS: [usize; 5] = [0, 0x08, 0x10, 0x1478, 0x1748];
const STACK_BASE: usize = 1;
const STACK_LIMIT: usize = 2;
const DEALLOCATION_STACK: usize = 3;
const GUARANTEED: usize = 4;

fn words() -> [usize; 5] {
    OFFSETS.map(|offset| {
        let word;
        // SAFETY: reads a word of the thread's block.
        unsafe {
            asm!("mov {}, gs:[{}]", out(reg) word, in(reg) offset, options(nostack, readonly));
        }
        word
    })
}

fn set_words(words: [usize; 5]) {
    for (offset, word) in OFFSETS.into_iter().zip(words) {
        // SAFETY: the words differ from what they were by some bytes at most, which nobody
        // notices who raises no exception.
        unsafe { asm!("mov gs:[{}], {}", in(reg) offset, in(reg) word, options(nostack)) };
    }
}

/// Whether the words describe a stack on which we are.
fn describe_this_stack(words: &[usize; 5]) -> bool {
    let sp = arch::stack_pointer();
    words[DEALLOCATION_STACK] <= words[STACK_LIMIT]
        && (words[STACK_LIMIT]..words[STACK_BASE]).contains(&sp)
}

/// The words of this side, changed a little, lest they be the same on two sides or at two times.
pub(super) struct Varied {
    original: [usize; 5],
    varied: [usize; 5],
}

impl Varied {
    pub(super) fn new(random: u64) -> Result<Self, String> {
        touch_the_stack_below();
        let original = words();
        if !describe_this_stack(&original) {
            return Err(format!("{NAMES:?} do not describe the stack: {original:x?}"));
        }
        let mut bits = random as usize;
        let varied = original.map(|word| {
            bits >>= 4;
            word ^ bits & 15
        });
        set_words(varied);
        Ok(Varied { original, varied })
    }

    pub(super) fn put_back(self) -> Result<(), String> {
        let found = words();
        set_words(self.original);
        if found == self.varied {
            return Ok(());
        }
        Err(format!("{NAMES:?} were {:x?} and became {found:x?}", self.varied))
    }
}

/// The stack of a thread grows, which changes the words: before they are looked at, please.
#[inline(never)]
fn touch_the_stack_below() {
    black_box(&mut [0_u8; 16 << 10]);
}

/// Whether the words are right inside, on a stack in this range.
fn are_right_inside(words: &[usize; 5], stack: &Range<usize>) -> bool {
    describe_this_stack(words)
        && stack.contains(&(words[STACK_BASE] - 1))
        && [words[STACK_LIMIT], words[DEALLOCATION_STACK]] == [stack.start; 2]
        && words[GUARANTEED] == 0
}

#[track_caller]
fn check_inside(stack: &Range<usize>) {
    let words = words();
    assert!(are_right_inside(&words, stack), "{words:x?} in {stack:x?}");
}

type Looker = Coroutine<(), (), ()>;

/// A coroutine that looks at the words at every turn; and when it unwinds, says whether they
/// are right then.
fn looker() -> (Looker, Rc<Cell<bool>>) {
    struct AtEnd(Range<usize>, Rc<Cell<bool>>);
    impl Drop for AtEnd {
        fn drop(&mut self) {
            self.1.set(are_right_inside(&words(), &self.0));
        }
    }
    let stack = new_stack();
    let range = stack.bottom().addr()..stack.top().addr();
    let right = Rc::new(Cell::new(false));
    let at_end = AtEnd(range, right.clone());
    let body = move |yielder: &Yielder<(), ()>, ()| {
        let at_end = at_end;
        loop {
            check_inside(&at_end.0);
            yielder.suspend(());
        }
    };
    (Coroutine::with_stack(stack, body).expect("large enough"), right)
}

#[test]
fn inside_it_describes_the_stack_of_the_coroutine_outside_that_of_the_thread() {
    touch_the_stack_below();
    let before = words();
    assert!(describe_this_stack(&before), "{before:x?}");
    let (mut looker, right_at_end) = looker();
    for _ in 0..TRIPS {
        assert!(matches!(looker.resume(()), CoroutineState::Yielded(())));
        assert_eq!(words(), before);
    }
    drop(looker);
    assert_eq!(words(), before);
    assert!(right_at_end.get());
}

#[test]
fn it_describes_each_stack_of_nested_coroutines() {
    let (mut inner, right_at_end) = looker();
    let stack = new_stack();
    let range = stack.bottom().addr()..stack.top().addr();
    let body = move |yielder: &Yielder<(), ()>, ()| {
        for _ in 0..100 {
            check_inside(&range);
            inner.resume(());
            check_inside(&range);
            yielder.suspend(());
        }
        drop(inner);
        assert!(right_at_end.get());
        check_inside(&range);
    };
    let before = words();
    let mut outer = Coroutine::with_stack(stack, body).expect("large enough");
    while let CoroutineState::Yielded(()) = outer.resume(()) {
        assert_eq!(words(), before);
    }
    assert_eq!(words(), before);
}

/// After a panic, too, which is raised and caught on the job's stack.
#[test]
fn inside_it_describes_the_stack_of_the_job_outside_that_of_the_thread() {
    let before = words();
    let body = || {
        let first = words();
        assert!(describe_this_stack(&first), "{first:x?}");
        job::pause().expect("not cancelled");
        let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(())));
        assert!(caught.is_err());
        assert_eq!(words(), first);
        first
    };
    let Ok(Progress::Paused(job)) = job::start(body) else { panic!("it pauses") };
    assert_eq!(words(), before);
    let Progress::Finished(inside) = job.resume() else { panic!("it finishes") };
    assert_eq!(words(), before);
    assert_ne!(inside, before);
}

const PAGE: usize = 4096;

/// Makes a page of the thread's stack its guard, or a page like any other; whether it was one.
fn set_guard(page: usize, on: bool) -> bool {
    let (mut before, guard) = (0, if on { PAGE_GUARD } else { 0 });
    let page = ptr::with_exposed_provenance(page);
    // SAFETY: no frame lies there.
    let done = unsafe { VirtualProtect(page, PAGE, PAGE_READWRITE | guard, &mut before) };
    assert_ne!(done, 0, "{}", std::io::Error::last_os_error());
    before & PAGE_GUARD != 0
}

/// Calls `body` with the stack pointer at `sp`.
#[unsafe(naked)]
unsafe extern "sysv64-unwind" fn call_at(sp: usize, link: *mut Link, body: *const ()) {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "mov rsp, rdi",
        "mov rdi, rsi",
        "call rdx",
        "mov rsp, rbp",
        "pop rbp",
        "ret",
    )
}

asm_abi! {
unsafe fn ends(_: Word, _: usize, _: *mut Link) -> Words {
    Words { word: to_word(0), tag: FINISHED }
}
}

asm_abi! {
unsafe fn resume_inlined(link: *mut Link) -> Words {
    // SAFETY: the test arms it.
    let landed = unsafe { arch::imp::resume(link, to_word(0), 0) };
    Words { word: landed.word, tag: landed.tag }
}
}

asm_abi! {
unsafe fn resume_by_the_stub(link: *mut Link) -> Words {
    // SAFETY: the test arms it.
    let landed = unsafe { arch::stub::resume(link, to_word(0), 0) };
    Words { word: landed.word, tag: landed.tag }
}
}

/// Wherever in a switch the stack of the thread reaches the page where it has ended so far.
fn grows_when_left(resume: *const ()) {
    touch_the_stack_below();
    let before = words();
    let border = (arch::stack_pointer() & !(PAGE - 1)) - 2 * PAGE;
    let stack = new_stack();
    let link = new_link(&stack);
    let mut grown = [false; 2];
    for sp in (border..border + PAGE).step_by(16) {
        start(link, ends, link.addr());
        set_guard(border - PAGE, true);
        let mut limited = before;
        limited[STACK_LIMIT] = border;
        set_words(limited);
        // SAFETY: there is a page below, and then a guard, which gives way.
        unsafe { call_at(sp, link, resume) };
        let found = words()[STACK_LIMIT];
        set_words(before);
        let has_grown = !set_guard(border - PAGE, false);
        grown[usize::from(has_grown)] = true;
        let limit = if has_grown { border - PAGE } else { border };
        assert_eq!(found, limit, "{:#x} above the guard", sp - border);
    }
    assert_eq!(grown, [true; 2], "the guard has to be hit from some places and not from others");
}

#[test]
fn a_stack_that_grows_during_an_inlined_switch_is_found_grown() {
    grows_when_left(resume_inlined as *const ());
}

#[test]
fn a_stack_that_grows_in_the_stub_is_found_grown() {
    grows_when_left(resume_by_the_stub as *const ());
}

/// The control bits of MXCSR and the x87 control word, without what would raise exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Control {
    mxcsr: u32,
    x87: u16,
}

impl Control {
    const MXCSR_BITS: u32 = 0xffc0;
    const MXCSR_MASKS: u32 = 0x1f80;
    const X87_MASKS: u16 = 0x003f;

    /// Rounding, denormals and precision at random.
    fn random(side: &mut Side) -> Self {
        let bits = side.random();
        let precision = [0x000, 0x200, 0x300][bits as usize % 3];
        Control {
            mxcsr: Self::MXCSR_MASKS | bits as u32 & 0xe040,
            x87: Self::X87_MASKS | precision | bits as u16 & 0x0c00,
        }
    }

    fn read() -> Self {
        let (mut mxcsr, mut x87) = (0_u32, 0_u16);
        // SAFETY: stores to the two integers.
        unsafe {
            asm!(
                "stmxcsr [{}]",
                "fnstcw [{}]",
                in(reg) &raw mut mxcsr,
                in(reg) &raw mut x87,
                options(nostack),
            );
        }
        Control { mxcsr: mxcsr & Self::MXCSR_BITS, x87: x87 & (Self::X87_MASKS | 0x0f00) }
    }

    fn set(self) {
        // SAFETY: no exception is unmasked, and no reserved bit set.
        unsafe {
            asm!(
                "ldmxcsr [{}]",
                "fldcw [{}]",
                in(reg) &raw const self.mxcsr,
                in(reg) &raw const self.x87,
                options(nostack),
            );
        }
    }
}

/// Puts back the words of the thread.
struct PutBack(Control);

impl Drop for PutBack {
    fn drop(&mut self) {
        self.0.set();
    }
}

#[test]
fn each_side_of_a_job_with_control_words_of_its_own_finds_them_again() {
    let put_back = PutBack(Control::read());
    let over = Rc::new(Cell::new(false));
    let body = {
        let over = over.clone();
        move || {
            let mut side = Side::new(2);
            while !over.get() {
                let mine = Control::random(&mut side);
                mine.set();
                job::pause().expect("not cancelled");
                assert_eq!(Control::read(), mine, "inside");
            }
        }
    };
    let mut side = Side::new(1);
    let mine = Control::random(&mut side);
    mine.set();
    let mut progress = Options::new().save_fp_control(true).start(body).expect("a job");
    assert_eq!(Control::read(), mine, "outside, at the start");
    for trip in 0..TRIPS {
        let Progress::Paused(job) = progress else { panic!("it pauses") };
        over.set(trip == TRIPS - 1);
        let mine = Control::random(&mut side);
        mine.set();
        progress = job.resume();
        assert_eq!(Control::read(), mine, "outside");
    }
    assert!(matches!(progress, Progress::Finished(())));
    drop(put_back);
}
