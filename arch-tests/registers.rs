//! Every register a callee must preserve survives every kind of switch, in both
//! directions, under a storm of signals; stacks are aligned where code starts.
//!
//! The switches are reached directly (`src/arch` is included as a module, and names the
//! stubs by their link names) and through the public API.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::ptr;

use siding::coroutine::{Coroutine, CoroutineState, Yielder};
use siding::stack::{GuardedStack, Stack, StackConfig};

use self::machine::{FP_ABOVE_PAIR, sp_and_fp};
use self::side::Side;
use self::storm::Storm;
use crate::arch::{self, Entry, Landed, Link, STACK_ALIGN, Word, Words, asm_abi};

#[cfg(windows)]
mod frames;
mod machine;
mod side;
#[cfg_attr(windows, path = "registers/no_storm.rs")]
mod storm;
#[cfg(windows)]
mod thread_block;
#[cfg(target_arch = "powerpc64")]
mod toc;

/// How often each test crosses to the other side and back.
const TRIPS: usize = if cfg!(debug_assertions) { 10_000 } else { 200_000 };
/// After so many trips the job ends and a new one starts on the same stack.
const TRIPS_PER_JOB: usize = 100;

/// Tags that go outside.
const PAUSED: usize = 1;
const FINISHED: usize = 2;
/// The word is a `Box<String>`: which registers the job found changed.
const LOST: usize = 3;

/// What one crossing takes along, and what it brings back.
struct Crossing {
    link: *mut Link,
    word: usize,
    tag: usize,
}

/// A way to switch, from filled registers.
trait Switch {
    fn resume(side: &mut Side, crossing: &mut Crossing) -> Result<(), String>;
    fn pause(side: &mut Side, crossing: &mut Crossing) -> Result<(), String>;
    fn hand_over(side: &mut Side, crossing: &mut Crossing, to: *mut Link) -> Result<(), String>;
}

/// The stub, called directly: no wrapper can save a register that it forgets.
struct Stub;

asm_abi! { extern {
    #[link_name = "siding_0_1_resume"]
    fn stub_resume(
        word: Word,
        tag: usize,
        link: *mut Link,
        a: *mut (),
        b: *mut (),
        then: *mut (),
    ) -> Words;
    #[link_name = "siding_0_1_pause"]
    fn stub_pause(word: Word, tag: usize, link: *mut Link) -> Words;
    #[link_name = "siding_0_1_hand_over"]
    fn stub_hand_over(word: Word, tag: usize, from: *mut Link, to: *mut Link) -> Words;
} }

asm_abi! {
/// What the stub's `resume` goes on in.
unsafe fn note(word: Word, tag: usize, link: *mut Link, came_back: *mut *mut Link) -> Words {
    // SAFETY: passed through from the call of the stub.
    unsafe { came_back.write(link) };
    Words { word, tag }
}
}

impl Switch for Stub {
    fn resume(side: &mut Side, crossing: &mut Crossing) -> Result<(), String> {
        let Crossing { link, word, tag } = *crossing;
        let came_back = (&raw mut crossing.link).expose_provenance();
        let then = (note as *const ()).expose_provenance();
        let arguments = [word, tag, link.expose_provenance(), came_back, 0, then];
        // SAFETY: the tests resume fresh and paused links only.
        let words = unsafe { side.call_stub(stub_resume as *const (), arguments)? };
        (crossing.word, crossing.tag) = (from_word(words.word), words.tag);
        // SAFETY: the link is valid.
        side.compare(unsafe { &raw const (*link).outer })
    }

    fn pause(side: &mut Side, crossing: &mut Crossing) -> Result<(), String> {
        let Crossing { link, word, tag } = *crossing;
        let arguments = [word, tag, link.expose_provenance(), 0, 0, 0];
        // SAFETY: called by the job of this link.
        let words = unsafe { side.call_stub(stub_pause as *const (), arguments)? };
        crossing.word = from_word(words.word);
        // SAFETY: the link is valid.
        side.compare(unsafe { &raw const (*link).inner })
    }

    fn hand_over(side: &mut Side, crossing: &mut Crossing, to: *mut Link) -> Result<(), String> {
        let Crossing { link, word, tag } = *crossing;
        let arguments = [word, tag, link.expose_provenance(), to.expose_provenance(), 0, 0];
        // SAFETY: called by the job of this link; the other is fresh or paused.
        let words = unsafe { side.call_stub(stub_hand_over as *const (), arguments)? };
        crossing.word = from_word(words.word);
        // SAFETY: the link is valid.
        side.compare(unsafe { &raw const (*link).inner })
    }
}

/// The switch inlined into functions that find their own frame through the frame pointer.
struct Inline;

#[repr(align(64))]
struct Aligned<const SIZE: usize>(#[allow(dead_code, reason = "its size counts")] [u8; SIZE]);

/// Runs `switch` in a frame that had to be aligned by hand: a frame pointer that does not
/// come back is noticed at the latest when the function returns.
#[inline(always)]
fn in_an_aligned_frame<T>(switch: impl FnOnce() -> T) -> T {
    let mut frame = Aligned([0; 64]);
    black_box(&mut frame);
    let result = switch();
    black_box(&mut frame);
    result
}

unsafe extern "C" fn inline_resume(crossing: *mut Crossing) -> Words {
    in_an_aligned_frame(|| {
        // SAFETY: the caller passes a valid crossing.
        let crossing = unsafe { &mut *crossing };
        let Crossing { link, word, tag } = *crossing;
        // SAFETY: the tests resume fresh and paused links only.
        let Landed { link, word, tag } = unsafe { arch::imp::resume(link, to_word(word), tag) };
        *crossing = Crossing { link, word: from_word(word), tag };
        Words { word, tag }
    })
}

unsafe extern "C" fn inline_pause(crossing: *mut Crossing) -> Words {
    in_an_aligned_frame(|| {
        // SAFETY: the caller passes a valid crossing.
        let crossing = unsafe { &mut *crossing };
        let Crossing { link, word, tag } = *crossing;
        // SAFETY: called by the job of this link.
        let words = unsafe { arch::imp::pause(link, to_word(word), tag) };
        crossing.word = from_word(words.word);
        words
    })
}

unsafe extern "C" fn inline_hand_over(crossing: *mut Crossing, to: *mut Link) -> Words {
    in_an_aligned_frame(|| {
        // SAFETY: the caller passes a valid crossing.
        let crossing = unsafe { &mut *crossing };
        let Crossing { link, word, tag } = *crossing;
        // SAFETY: called by the job of this link; the other is fresh or paused.
        let words = unsafe { arch::imp::hand_over(link, to, to_word(word), tag) };
        crossing.word = from_word(words.word);
        words
    })
}

impl Switch for Inline {
    fn resume(side: &mut Side, crossing: &mut Crossing) -> Result<(), String> {
        let arguments = [ptr::from_mut(crossing).expose_provenance(), 0, 0, 0, 0, 0];
        // SAFETY: the body takes a crossing.
        unsafe { side.call(inline_resume as *const (), arguments) }.map(drop)
    }

    fn pause(side: &mut Side, crossing: &mut Crossing) -> Result<(), String> {
        let arguments = [ptr::from_mut(crossing).expose_provenance(), 0, 0, 0, 0, 0];
        // SAFETY: the body takes a crossing.
        unsafe { side.call(inline_pause as *const (), arguments) }.map(drop)
    }

    fn hand_over(side: &mut Side, crossing: &mut Crossing, to: *mut Link) -> Result<(), String> {
        let arguments =
            [ptr::from_mut(crossing).expose_provenance(), to.expose_provenance(), 0, 0, 0, 0];
        // SAFETY: the body takes a crossing and a link.
        unsafe { side.call(inline_hand_over as *const (), arguments) }.map(drop)
    }
}

fn to_word(value: usize) -> Word {
    Word::new(ptr::with_exposed_provenance_mut(value))
}

fn from_word(word: Word) -> usize {
    // SAFETY: every word here is a number or an exposed address.
    unsafe { word.assume_init() }.expose_provenance()
}

fn give_up(lost: String) -> Words {
    Words { word: Word::new(Box::into_raw(Box::new(lost)).cast()), tag: LOST }
}

fn fail_if_lost(crossing: &Crossing) {
    if crossing.tag == LOST {
        let lost = ptr::with_exposed_provenance_mut::<String>(crossing.word);
        // SAFETY: `give_up` made it of a Box, and this is the only taker.
        panic!("registers changed inside: {}", unsafe { Box::from_raw(lost) });
    }
}

asm_abi! {
/// A job that answers every word with its complement.
unsafe fn answer<S: Switch>(word: Word, _: usize, link: *mut Link) -> Words {
    let mut crossing = Crossing { link, word: from_word(word), tag: PAUSED };
    let mut side = Side::new(!crossing.word);
    for _ in 1..TRIPS_PER_JOB {
        crossing.word = !crossing.word;
        if let Err(lost) = S::pause(&mut side, &mut crossing) {
            return give_up(lost);
        }
    }
    Words { word: to_word(!crossing.word), tag: FINISHED }
}
}

fn answers<Outside: Switch, Inside: Switch>() {
    let storm = Storm::start();
    let stack = new_stack();
    let link = new_link(&stack);
    let mut crossing = Crossing { link, word: 0, tag: FINISHED };
    let mut side = Side::new(1);
    for trip in storm.count(TRIPS) {
        if crossing.tag == FINISHED {
            start(link, answer::<Inside>, link.addr());
        }
        crossing.word = trip;
        Outside::resume(&mut side, &mut crossing).expect("registers changed outside");
        fail_if_lost(&crossing);
        assert_eq!((crossing.link, crossing.word), (link, !trip));
    }
}

#[test]
fn registers_survive_inlined_resume_and_inlined_pause() {
    answers::<Inline, Inline>();
}

#[test]
fn registers_survive_inlined_resume_and_pause_by_the_stub() {
    answers::<Inline, Stub>();
}

#[test]
fn registers_survive_resume_by_the_stub_and_inlined_pause() {
    answers::<Stub, Inline>();
}

#[test]
fn registers_survive_resume_and_pause_by_the_stub() {
    answers::<Stub, Stub>();
}

/// Two jobs of one resumer, each of which hands over to the other and pauses, in turn.
struct Relay {
    links: [*mut Link; 2],
}

asm_abi! {
/// One of them.
unsafe fn runner<S: Switch>(word: Word, _: usize, link: *mut Link) -> Words {
    let relay = ptr::with_exposed_provenance_mut::<Relay>(from_word(word));
    // SAFETY: the relay outlives its jobs.
    let [first, second] = unsafe { (*relay).links };
    let to = if link == first { second } else { first };
    let mut crossing = Crossing { link, word: from_word(word), tag: PAUSED };
    let mut side = Side::new(link.addr());
    loop {
        // SAFETY: the link is valid, and no switch is under way.
        let resumer = unsafe { (*link).outer };
        // SAFETY: as is the other, which is not running.
        unsafe { (*to).outer = resumer };
        let handed = S::hand_over(&mut side, &mut crossing, to);
        if let Err(lost) = handed.and_then(|()| S::pause(&mut side, &mut crossing)) {
            return give_up(lost);
        }
    }
}
}

fn relays<First: Switch, Second: Switch>() {
    let storm = Storm::start();
    let stacks = [new_stack(), new_stack()];
    let links = stacks.each_ref().map(new_link);
    let relay = Box::into_raw(Box::new(Relay { links }));
    start(links[0], runner::<First>, links[0].addr());
    start(links[1], runner::<Second>, links[1].addr());
    let word = relay.expose_provenance();
    let mut crossing = Crossing { link: links[0], word, tag: PAUSED };
    let mut side = Side::new(1);
    for trip in storm.count(TRIPS) {
        First::resume(&mut side, &mut crossing).expect("registers changed outside");
        fail_if_lost(&crossing);
        assert_eq!((crossing.link, crossing.word), (links[trip % 2], word));
    }
    // SAFETY: the jobs are never resumed again, and own nothing.
    drop(unsafe { Box::from_raw(relay) });
}

#[test]
fn registers_survive_handing_over_inlined() {
    relays::<Inline, Inline>();
}

#[test]
fn registers_survive_handing_over_by_the_stub() {
    relays::<Stub, Stub>();
}

#[test]
fn registers_survive_handing_over_to_and_from_the_stub() {
    relays::<Inline, Stub>();
    relays::<Stub, Inline>();
}

struct Turn<'a, T> {
    way: &'a mut T,
    value: usize,
}

impl<T> Turn<'_, T> {
    fn take(mut self, side: &mut Side, body: unsafe extern "C" fn(&mut Self) -> Words) -> usize {
        let arguments = [(&raw mut self).expose_provenance(), 0, 0, 0, 0, 0];
        // SAFETY: the body takes this turn.
        let done = unsafe { side.call(body as *const (), arguments) };
        done.expect("registers changed");
        self.value
    }
}

unsafe extern "C" fn resume(turn: &mut Turn<'_, Coroutine<usize, usize, usize>>) -> Words {
    turn.value = match turn.way.resume(turn.value) {
        CoroutineState::Yielded(value) | CoroutineState::Complete(value) => value,
    };
    Words { word: to_word(turn.value), tag: 0 }
}

unsafe extern "C" fn suspend(turn: &mut Turn<'_, &Yielder<usize, usize>>) -> Words {
    turn.value = turn.way.suspend(turn.value);
    Words { word: to_word(turn.value), tag: 0 }
}

#[test]
fn registers_survive_a_coroutine() {
    let storm = Storm::start();
    let mut side = Side::new(1);
    let mut trips = storm.count(TRIPS).peekable();
    while trips.peek().is_some() {
        let mut coroutine = Coroutine::new(|mut yielder: &Yielder<usize, usize>, mut value| {
            let mut side = Side::new(!value);
            for _ in 1..TRIPS_PER_JOB {
                value = Turn { way: &mut yielder, value: !value }.take(&mut side, suspend);
            }
            !value
        });
        while !coroutine.is_done() {
            let value = trips.next().unwrap_or(0);
            let answer = Turn { way: &mut coroutine, value }.take(&mut side, resume);
            assert_eq!(answer, !value);
        }
    }
}

#[test]
fn the_entry_starts_where_it_was_told_and_continues_the_frame_pointer_chain() {
    let stack = new_stack();
    let link = new_link(&stack);
    // SAFETY: no reference to the link exists.
    let pair = unsafe { &raw const (*link).outer.fp }.addr();
    for sp in (0..32).map(|n| link.addr() - n * STACK_ALIGN) {
        start(link, sp_and_fp, sp);
        // SAFETY: the link is fresh.
        let landed = unsafe { arch::resume(link, to_word(0), 0) };
        assert_eq!(from_word(landed.word), sp);
        assert_eq!(landed.tag, pair + FP_ABOVE_PAIR);
    }
}

/// A coroutine that captures `SIZE` bytes calls functions on an aligned stack.
fn aligned_with_captures<const SIZE: usize>() {
    let (line, bytes) = (Aligned([0; SIZE]), [0_u8; SIZE]);
    let mut coroutine = Coroutine::new(move |yielder: &Yielder<(), usize>, ()| {
        for _ in 0..3 {
            black_box(&bytes);
            let line: *const Aligned<SIZE> = black_box(&line);
            assert!(line.is_aligned());
            // SAFETY: it ignores its arguments.
            let callee = unsafe { sp_and_fp(to_word(0), 0, ptr::null_mut()) };
            yielder.suspend(from_word(callee.word));
        }
    });
    while let CoroutineState::Yielded(sp) = coroutine.resume(()) {
        assert_eq!(sp % STACK_ALIGN, 0, "with {SIZE} bytes captured");
    }
}

#[test]
fn callees_in_a_coroutine_find_an_aligned_stack() {
    aligned_with_captures::<0>();
    aligned_with_captures::<1>();
    aligned_with_captures::<24>();
    aligned_with_captures::<63>();
    aligned_with_captures::<1000>();
}

fn new_stack() -> GuardedStack {
    GuardedStack::new(StackConfig::DEFAULT).expect("a stack")
}

/// A link at the top of a stack: where the thread's block on Windows says that it ends.
fn new_link(stack: &GuardedStack) -> *mut Link {
    let link = stack.top().cast::<Link>().wrapping_sub(1);
    // SAFETY: the tests own the stack, which ends with a page.
    unsafe { link.write(Link::new()) };
    link
}

fn start(link: *mut Link, entry: Entry, sp: usize) {
    let bottom = link.wrapping_add(1).addr() - StackConfig::DEFAULT.size;
    // SAFETY: the tests own the stack, and no job that is still needed runs on it.
    unsafe { arch::arm(link, arch::prepare(), entry, bottom..sp) };
}
