//! Every register a callee must preserve survives every kind of switch, in both
//! directions, under a storm of signals; stacks are aligned where code starts.
//!
//! The switches are reached directly (`src/arch` is included as a module, and names the
//! stubs by their link names) and through the public API.
#![allow(unsafe_code)]

use std::array;
use std::hint::black_box;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use siding::coroutine::{Coroutine, CoroutineState, Yielder};
use siding::stack::{GuardedStack, Stack, StackConfig};

use arch::{Entry, Landed, Link, STACK_ALIGN, Word, Words};
use machine::{FP_ABOVE_PAIR, NAMES, Values, fill_call_store, sp_and_fp};

#[path = "expect_arch.rs"]
mod a_machine;
#[allow(dead_code, unused_imports, reason = "a part of it is needed here")]
#[path = "../src/arch/mod.rs"]
mod arch;
#[path = "registers/mod.rs"]
mod machine;

/// How often each test crosses to the other side and back.
const TRIPS: usize = if cfg!(debug_assertions) { 10_000 } else { 200_000 };
/// After so many trips the job ends and a new one starts on the same stack.
const TRIPS_PER_JOB: usize = 100;

/// Tags that go outside.
const PAUSED: usize = 1;
const FINISHED: usize = 2;
/// The word is a `Box<String>`: which registers the job found changed.
const LOST: usize = 3;

/// A way to switch.
trait Switch {
    unsafe fn resume(link: *mut Link, word: Word, tag: usize) -> Landed;
    unsafe fn pause(link: *mut Link, word: Word, tag: usize) -> Words;
    unsafe fn hand_over(from: *mut Link, to: *mut Link, word: Word, tag: usize) -> Words;
}

macro_rules! switch {
    ($name:ident, $($module:tt)+) => {
        struct $name;
        impl Switch for $name {
            #[inline(always)]
            unsafe fn resume(link: *mut Link, word: Word, tag: usize) -> Landed {
                // SAFETY: the caller's promise is the same.
                unsafe { $($module)+::resume(link, word, tag) }
            }
            #[inline(always)]
            unsafe fn pause(link: *mut Link, word: Word, tag: usize) -> Words {
                // SAFETY: the caller's promise is the same.
                unsafe { $($module)+::pause(link, word, tag) }
            }
            #[inline(always)]
            unsafe fn hand_over(from: *mut Link, to: *mut Link, word: Word, tag: usize) -> Words {
                // SAFETY: the caller's promise is the same.
                unsafe { $($module)+::hand_over(from, to, word, tag) }
            }
        }
    };
}
switch!(Inline, arch::imp);
switch!(Stub, arch::stub);

/// One side of a switch: fresh values for its registers at every crossing.
struct Side(u64);

impl Side {
    /// xorshift64.
    fn random(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Calls `body(data)` with every register of [`NAMES`] filled. An error names those
    /// that came back with another value.
    fn call<D>(&mut self, body: unsafe extern "C" fn(*mut ()), data: &mut D) -> Result<(), String> {
        let values: Values = array::from_fn(|_| self.random());
        let mut found = values;
        // SAFETY: both pointers are valid, and every body used here takes its own `D`.
        unsafe { fill_call_store(&mut found, body, ptr::from_mut(data).cast()) };
        if found == values {
            return Ok(());
        }
        let lost = |i: &usize| found[*i] != values[*i];
        let report = |i| format!("{}: {:#x} became {:#x}; ", NAMES[i], values[i], found[i]);
        Err((0..NAMES.len()).filter(lost).map(report).collect())
    }
}

/// What one crossing takes along, and what it brings back.
struct Crossing {
    link: *mut Link,
    word: usize,
    tag: usize,
}

unsafe extern "C" fn resume<S: Switch>(crossing: *mut ()) {
    // SAFETY: every caller passes a Crossing.
    let crossing = unsafe { &mut *crossing.cast::<Crossing>() };
    let Crossing { link, word, tag } = *crossing;
    // SAFETY: the tests resume fresh and paused links only.
    let Landed { link, word, tag } = unsafe { S::resume(link, to_word(word), tag) };
    *crossing = Crossing { link, word: from_word(word), tag };
}

unsafe extern "C" fn pause<S: Switch>(crossing: *mut ()) {
    // SAFETY: every caller passes a Crossing.
    let crossing = unsafe { &mut *crossing.cast::<Crossing>() };
    // SAFETY: called by the job of this link.
    let words = unsafe { S::pause(crossing.link, to_word(crossing.word), crossing.tag) };
    crossing.word = from_word(words.word);
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

/// A job that answers every word with its complement.
unsafe extern "C-unwind" fn answer<S: Switch>(word: Word, _: usize, link: *mut Link) -> Words {
    let mut crossing = Crossing { link, word: from_word(word), tag: PAUSED };
    let mut side = Side(!crossing.word as u64);
    for _ in 1..TRIPS_PER_JOB {
        crossing.word = !crossing.word;
        if let Err(lost) = side.call(pause::<S>, &mut crossing) {
            return give_up(lost);
        }
    }
    Words { word: to_word(!crossing.word), tag: FINISHED }
}

fn answers<Outside: Switch, Inside: Switch>() {
    let storm = Storm::start();
    let stack = new_stack();
    let mut link = Link::new();
    let link = &raw mut link;
    let mut crossing = Crossing { link, word: 0, tag: FINISHED };
    let mut side = Side(1);
    for trip in 0..TRIPS {
        if crossing.tag == FINISHED {
            start(link, answer::<Inside>, stack.top().addr());
        }
        crossing.word = trip;
        side.call(resume::<Outside>, &mut crossing).expect("registers changed outside");
        fail_if_lost(&crossing);
        assert_eq!((crossing.link, crossing.word), (link, !trip));
    }
    storm.end();
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
    links: [Link; 2],
}

unsafe extern "C" fn hand_over<S: Switch>(crossing: *mut ()) {
    // SAFETY: every caller passes a Crossing.
    let crossing = unsafe { &mut *crossing.cast::<Crossing>() };
    let relay = ptr::with_exposed_provenance_mut::<Relay>(crossing.word);
    // SAFETY: the relay outlives its jobs, and no reference to it exists.
    let [first, second] = unsafe { [&raw mut (*relay).links[0], &raw mut (*relay).links[1]] };
    let to = if crossing.link == first { second } else { first };
    // SAFETY: both links are valid; this one's resumer becomes that one's.
    unsafe { ptr::copy(&raw const (*crossing.link).outer, &raw mut (*to).outer, 1) };
    // SAFETY: called by the job of this link; the other is fresh or paused.
    let words = unsafe { S::hand_over(crossing.link, to, to_word(crossing.word), PAUSED) };
    crossing.word = from_word(words.word);
}

unsafe extern "C-unwind" fn runner<S: Switch>(word: Word, _: usize, link: *mut Link) -> Words {
    let mut crossing = Crossing { link, word: from_word(word), tag: PAUSED };
    let mut side = Side(link.addr() as u64);
    loop {
        let handed = side.call(hand_over::<S>, &mut crossing);
        if let Err(lost) = handed.and_then(|()| side.call(pause::<S>, &mut crossing)) {
            return give_up(lost);
        }
    }
}

fn relays<First: Switch, Second: Switch>() {
    let storm = Storm::start();
    let stacks = [new_stack(), new_stack()];
    let relay = Box::into_raw(Box::new(Relay { links: [Link::new(), Link::new()] }));
    // SAFETY: just allocated.
    let links = unsafe { [&raw mut (*relay).links[0], &raw mut (*relay).links[1]] };
    start(links[0], runner::<First>, stacks[0].top().addr());
    start(links[1], runner::<Second>, stacks[1].top().addr());
    let word = relay.expose_provenance();
    let mut crossing = Crossing { link: links[0], word, tag: PAUSED };
    let mut side = Side(1);
    for trip in 0..TRIPS {
        side.call(resume::<First>, &mut crossing).expect("registers changed outside");
        fail_if_lost(&crossing);
        assert_eq!((crossing.link, crossing.word), (links[trip % 2], word));
    }
    storm.end();
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

unsafe extern "C" fn resume_coroutine(turn: *mut ()) {
    // SAFETY: the caller passes a turn of this type.
    let turn = unsafe { &mut *turn.cast::<Turn<'_, Coroutine<usize, usize, usize>>>() };
    turn.value = match turn.way.resume(turn.value) {
        CoroutineState::Yielded(value) | CoroutineState::Complete(value) => value,
    };
}

unsafe extern "C" fn suspend(turn: *mut ()) {
    // SAFETY: the caller passes a turn of this type.
    let turn = unsafe { &mut *turn.cast::<Turn<'_, &Yielder<usize, usize>>>() };
    turn.value = turn.way.suspend(turn.value);
}

#[test]
fn registers_survive_a_coroutine() {
    let storm = Storm::start();
    let mut side = Side(1);
    for job in 0..TRIPS / TRIPS_PER_JOB {
        let mut coroutine = Coroutine::new(|mut yielder: &Yielder<usize, usize>, mut value| {
            let mut side = Side(!value as u64);
            for _ in 1..TRIPS_PER_JOB {
                let mut turn = Turn { way: &mut yielder, value: !value };
                side.call(suspend, &mut turn).expect("registers changed inside");
                value = turn.value;
            }
            !value
        });
        for trip in 0..TRIPS_PER_JOB {
            let value = job * TRIPS_PER_JOB + trip;
            let mut turn = Turn { way: &mut coroutine, value };
            side.call(resume_coroutine, &mut turn).expect("registers changed outside");
            assert_eq!(turn.value, !value);
        }
        assert!(coroutine.is_done());
    }
    storm.end();
}

#[test]
fn the_entry_starts_where_it_was_told_and_continues_the_frame_pointer_chain() {
    let stack = new_stack();
    let mut link = Link::new();
    let link = &raw mut link;
    // SAFETY: no reference to the link exists.
    let pair = unsafe { &raw const (*link).outer.fp }.addr();
    for sp in (0..32).map(|n| stack.top().addr() - n * STACK_ALIGN) {
        start(link, sp_and_fp, sp);
        // SAFETY: the link is fresh.
        let landed = unsafe { Stub::resume(link, to_word(0), 0) };
        assert_eq!(from_word(landed.word), sp);
        assert_eq!(landed.tag, pair + FP_ABOVE_PAIR);
    }
}

#[repr(align(64))]
struct Aligned<const SIZE: usize>(
    #[allow(dead_code, unused_imports, reason = "its size counts")] [u8; SIZE],
);

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

fn start(link: *mut Link, entry: Entry, sp: usize) {
    // SAFETY: the tests own the stack, and no job that is still needed runs on it.
    unsafe { arch::arm(link, arch::prepare(), entry, sp) };
}

/// A thread that sends SIGPROF to the one that started it. A timer would do the same, but
/// no oftener than the kernel ticks, and perhaps to another thread of the test harness.
struct Storm {
    over: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
}

/// Signals that were handled.
static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_signal(_: libc::c_int) {
    HANDLED.fetch_add(1, Relaxed);
}

impl Storm {
    fn start() -> Self {
        let handler = on_signal as *const () as libc::sighandler_t;
        // SAFETY: the handler only adds to an atomic.
        assert_ne!(unsafe { libc::signal(libc::SIGPROF, handler) }, libc::SIG_ERR);
        let over = Arc::new(AtomicBool::new(false));
        // SAFETY: no preconditions.
        let target = unsafe { libc::pthread_self() };
        let sender = thread::spawn({
            let over = over.clone();
            move || {
                while !over.load(Relaxed) {
                    // SAFETY: the target waits for this thread when it drops the Storm.
                    unsafe { libc::pthread_kill(target, libc::SIGPROF) };
                    thread::sleep(Duration::from_micros(20));
                }
            }
        });
        Storm { over, sender: Some(sender) }
    }

    fn end(self) {
        drop(self);
        assert_ne!(HANDLED.load(Relaxed), 0, "no signal arrived");
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        let _ = self.sender.take().map(JoinHandle::join);
    }
}
