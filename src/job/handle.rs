//! Jobs by handle, for C: started with a function pointer, resumed by a number that may be
//! stale, foreign or garbage, and never unwound.
//!
//! Every job that C starts has an entry in a table that is never freed, and its handle is
//! the entry's index with the number of the run. So any handle can be checked, from any
//! thread, without touching the job.
//!
//! # Safety
//!
//! An entry names a job's control block from its first start until its memory is given
//! back; only the owning thread follows that pointer.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::at_end::AtEnd;
use super::core::{Back, Core, Raw};
use super::free::Free;
use super::wait_ctx::WaitCtx;
use super::{CancelMode, StartError, current, pool, trace};
use crate::context::{self, Control, Landed, Then, Words, tag};
pub(crate) use crate::context::{Link, Word};
use crate::stack::StackError;

/// What C calls a job: never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle(usize);

/// What a C job runs.
pub(crate) type Function = unsafe extern "C-unwind" fn(*mut c_void) -> c_int;

/// How far a C job got.
pub(crate) enum Answer {
    Paused(Handle),
    Finished(c_int),
}

/// What the C ABI keeps with a job: two words of its own.
#[derive(Default)]
pub(crate) struct Luggage {
    /// For as long as the job is paused.
    pub(crate) inside: AtomicPtr<c_void>,
    /// For as long as it runs.
    pub(crate) outside: AtomicPtr<c_void>,
}

/// Why a handle cannot be resumed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// No such job, or it has ended.
    Stale,
    /// It runs, or belongs to another thread.
    Busy,
}

/// One job that C has started.
#[repr(C, align(64))] // tools/gdb/siding.py knows it
pub(super) struct Entry {
    index: usize,
    /// The number of the run. Odd while a job is live.
    pub(super) run: AtomicU64,
    pub(super) job: AtomicPtr<Control<Core>>,
    pub(super) owner: AtomicUsize,
    /// What `get_wait_ctx` answers.
    pub(super) ctx: AtomicPtr<c_void>,
    luggage: Luggage,
}

/// Low bits of a handle that are an index, plus one; the rest is the run. With 32 bits, as many
/// jobs as there are addresses for.
const INDEX_BITS: u32 = if usize::BITS == 64 { 28 } else { 18 };
const CHUNK: usize = 1 << 10;

/// Chunks of entries, made as needed.
static TABLE: [AtomicPtr<Entry>; (1 << INDEX_BITS) / CHUNK] =
    [const { AtomicPtr::new(ptr::null_mut()) }; (1 << INDEX_BITS) / CHUNK];
static FREE: Mutex<Free<Entry>> = Mutex::new(Free::new());

pub(super) fn hold() -> MutexGuard<'static, Free<Entry>> {
    FREE.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// The body of a C job, in the slot below its control block.
struct Body {
    function: Function,
    args: Args,
}

/// A copy of the caller's arguments, or what is yet to be copied.
enum Args {
    None,
    /// To the job's own stack, when it first runs.
    Small(*const c_void, usize),
    Large(Vec<u128>),
}

impl Args {
    /// # Safety
    /// `args` is null or has `size` readable bytes.
    unsafe fn new(args: *const c_void, size: usize) -> Option<Self> {
        if args.is_null() || size == 0 {
            return Some(Args::None);
        } else if size <= SMALL_ARGS {
            return Some(Args::Small(args, size));
        }
        let mut copy = Vec::<u128>::new();
        copy.try_reserve_exact(size.div_ceil(16)).ok()?;
        // SAFETY: readable by this function's contract, and room has been made.
        unsafe { ptr::copy_nonoverlapping(args.cast::<u8>(), copy.as_mut_ptr().cast(), size) };
        Some(Args::Large(copy))
    }
}

/// Arguments up to this many bytes are copied to the job's own stack.
const SMALL_ARGS: usize = 128;

/// Why a C job was not started.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// None is free, or there is no memory for one.
    NoJobs,
    /// There is no memory for the arguments.
    Args,
    /// Nor will one ever be: no switch is safe on this thread.
    ShadowStack,
}

/// A job that is about to be entered: armed or paused, and this thread's.
pub(crate) struct Ready(pub(super) Raw);

/// Readies a job that calls `function` with a copy of `size` bytes at `args`, which stay
/// until it has been entered.
///
/// # Safety
/// `args` is null or has `size` readable bytes; `function` may be called with a copy.
pub(crate) unsafe fn start(
    function: Function,
    args: *const c_void,
    size: usize,
    ctx: Option<&WaitCtx>,
) -> Result<Ready, NotStarted> {
    let (raw, extras) = pool::take_for_c().map_err(refused)?;
    // SAFETY: by this function's contract.
    let Some(args) = (unsafe { Args::new(args, size) }) else {
        pool::put(raw);
        return Err(NotStarted::Args);
    };
    let core = raw.core();
    let Some(entry) = core.entry.get().or_else(|| Entry::for_job(raw)) else {
        pool::put(raw);
        REFUSED_STACK.fetch_add(1, Ordering::Relaxed);
        return Err(NotStarted::NoJobs);
    };
    entry.owner.store(this_thread(), Ordering::Relaxed);
    entry.next_run();
    core.mode.set(CancelMode::Return);
    core.function.set(function as usize);
    if extras == 0 {
        core.kept.start(false);
        core.at_end.set(AtEnd::Nothing);
    } else {
        // SAFETY: from the pool, and not armed yet.
        unsafe { raw.equip(extras) };
    }
    if let Some(ctx) = ctx {
        entry.ctx.store(ctx.as_ptr(), Ordering::Release);
        *core.wait_ctx.borrow_mut() = Some(ctx.clone());
    }
    // SAFETY: the job comes from the pool, and a `Body` is small.
    unsafe { context::arm_with::<_, _, ()>(raw.0, Body { function, args }, c_entry) };
    Ok(Ready(raw))
}

/// What a C job can be given beyond a stack: `SIDING_*` of `siding.h`.
pub(crate) mod extra {
    pub(crate) const WIPE: u32 = 1;
    pub(crate) const HIGH_WATER_MARK: u32 = 2;
    pub(crate) const CXX_EXCEPTIONS: u32 = 4;
    pub(crate) const FP_CONTROL: u32 = 8;
    pub(crate) const ERRNO: u32 = 16;
    pub(crate) const ALL: u32 = 31;
}

impl Raw {
    /// # Safety
    /// It is neither armed nor paused.
    #[cold]
    unsafe fn equip(self, extras: u32) {
        let core = self.core();
        let has = |extra| extras & extra != 0;
        core.kept.start_c(has(extra::FP_CONTROL), has(extra::CXX_EXCEPTIONS), has(extra::ERRNO));
        core.at_end.set(AtEnd::Nothing);
        if has(extra::HIGH_WATER_MARK) {
            core.at_end.set(AtEnd::Measure);
            // SAFETY: by this function's contract.
            unsafe { self.clean() };
        } else if has(extra::WIPE) {
            core.at_end.set(AtEnd::Wipe);
        }
    }
}

/// Starts that came to nothing, by their causes.
pub(crate) static REFUSED_LIMIT: AtomicU64 = AtomicU64::new(0);
pub(crate) static REFUSED_STACK: AtomicU64 = AtomicU64::new(0);

#[cold]
fn refused(error: StartError) -> NotStarted {
    let (cause, answer) = match error {
        StartError::NoJobs => (&REFUSED_LIMIT, NotStarted::NoJobs),
        StartError::Stack(StackError::ShadowStack) => (&REFUSED_STACK, NotStarted::ShadowStack),
        _ => (&REFUSED_STACK, NotStarted::NoJobs),
    };
    cause.fetch_add(1, Ordering::Relaxed);
    answer
}

/// A paused job of this thread, to go on with.
#[inline(always)]
pub(crate) fn paused(handle: Handle) -> Result<Ready, Unusable> {
    let entry = handle.entry().ok_or(Unusable::Stale)?;
    if entry.owner.load(Ordering::Relaxed) != this_thread() {
        return Err(Unusable::Busy);
    }
    let raw = Raw(NonNull::new(entry.job.load(Ordering::Relaxed)).ok_or(Unusable::Stale)?);
    if raw.is_running() { Err(Unusable::Busy) } else { Ok(Ready(raw)) }
}

/// A live job of this thread: paused, running, or waiting for one that is nested in it.
pub(super) fn own(handle: Handle) -> Option<Raw> {
    let entry = handle.entry()?;
    let job = NonNull::new(entry.job.load(Ordering::Relaxed))?;
    (entry.owner.load(Ordering::Relaxed) == this_thread()).then_some(Raw(job))
}

/// Shows each live job that C has started on this thread and has not given up.
pub(super) fn each_own(mut see: impl FnMut(Handle, Raw)) {
    let me = this_thread();
    each_of(|owner| owner == me, |entry, job| see(entry.handle(), job));
}

/// Shows each live job that has such an owner: this thread in one way or another.
pub(super) fn each_of(is_it: impl Fn(usize) -> bool, mut see: impl FnMut(&'static Entry, Raw)) {
    each(|entry| {
        if entry.is_live()
            && is_it(entry.owner.load(Ordering::Relaxed))
            && let Some(job) = NonNull::new(entry.job.load(Ordering::Relaxed))
        {
            see(entry, Raw(job));
        }
    });
}

impl Ready {
    /// The two words that the caller of `start` and `paused` keeps with a job.
    #[inline(always)]
    pub(crate) fn luggage(&self) -> Option<&'static Luggage> {
        self.0.core().entry.get().map(|entry| &entry.luggage)
    }

    /// Makes it the current job; [`enter_then`](Self::enter_then) must follow.
    #[inline(always)]
    pub(crate) fn begin(&self) {
        self.0.begin();
    }

    /// Enters it, as the last act of the caller, who goes on in
    /// `then(word, tag, link, a, b)`; a foreign unwind (`pthread_exit`) may pass.
    ///
    /// # Safety
    /// It has begun; `then` begins with [`came_back`], and may be called with `a` and `b`.
    #[inline(always)]
    pub(crate) unsafe fn enter_then(self, a: *mut (), b: *mut (), then: Then) -> c_int {
        // SAFETY: armed or paused; see this function's contract.
        unsafe { self.0.enter_then(tag::GO, a, b, then) }
    }
}

impl Ready {
    /// Enters it and returns what came back.
    ///
    /// # Safety
    /// It has begun. No foreign unwind may leave it.
    #[inline(always)]
    pub(crate) unsafe fn enter(self, unpack: impl FnOnce(&Luggage, bool)) -> Answer {
        // SAFETY: armed or paused.
        let landed = unsafe { context::resume(self.0.0, Word::uninit(), tag::GO) };
        // SAFETY: fresh from the switch.
        unsafe { came_back(landed.word, landed.tag, landed.link, unpack) }
    }
}

/// What came back from [`Ready::enter_then`]; `unpack` sees the luggage, and whether the job
/// keeps it.
///
/// # Safety
/// The arguments are those of the `then`, and this is the first that is done with them.
#[inline(always)]
pub(crate) unsafe fn came_back(
    word: Word,
    tag: usize,
    link: *mut Link,
    unpack: impl FnOnce(&Luggage, bool),
) -> Answer {
    let back = Back::from(Landed { link, word, tag });
    // SAFETY: only jobs that `start` has readied are entered by a `Ready`, and a driver that
    // lets jobs hand over to each other has none of them.
    let entry = unsafe { back.job.core().entry.get().unwrap_unchecked() };
    unpack(&entry.luggage, back.is_paused());
    if back.is_paused() {
        Answer::Paused(entry.handle())
    } else {
        Answer::Finished(finished(back.job, back.word, entry))
    }
}

/// As [`came_back`] where that is little: the job has paused and keeps nothing of the
/// thread's for itself. Otherwise nothing is done.
///
/// # Safety
/// As [`came_back`].
#[inline(always)]
pub(crate) unsafe fn came_back_plainly(tag: usize, link: *mut Link) -> Option<Handle> {
    // SAFETY: only jobs come back, and never a null link.
    let job = Raw(unsafe { NonNull::new_unchecked(link.cast()) });
    if tag != tag::PAUSED || job.core().kept.is_anything() {
        return None;
    }
    trace::left(job, true);
    current::set(job.core().parent.get());
    job.core().entry.get().map(Entry::handle)
}

#[inline(never)]
pub(super) fn finished(job: Raw, word: Word, entry: &Entry) -> c_int {
    entry.ctx.store(ptr::null_mut(), Ordering::Release);
    entry.next_run();
    pool::put_for_c(job);
    // SAFETY: `c_entry` returns an int in the word.
    unsafe { word.assume_init() }.addr() as c_int
}

context::asm_abi! {
/// The root of a C job: no catch. What unwinds is stopped by the trampoline's personality,
/// whatever language or library it is from; but not the end of the thread.
///
/// # Safety
/// Called by the trampoline of a context armed with a `Body`.
unsafe fn c_entry(_: Word, entered: usize, link: *mut Link) -> Words {
    // SAFETY: armed with a `Body`, which is taken once.
    let Body { function, args } = unsafe { context::take_body::<Core, Body>(link) };
    let mut small = MaybeUninit::<[u128; SMALL_ARGS / 16]>::uninit();
    let mut large = Vec::new();
    let copy: *mut c_void = match args {
        Args::None => ptr::null_mut(),
        Args::Small(from, size) => {
            let to = small.as_mut_ptr().cast::<u8>();
            // SAFETY: readable, since whoever starts the job waits until it pauses.
            unsafe { ptr::copy_nonoverlapping(from.cast::<u8>(), to, size) };
            to.cast()
        }
        Args::Large(copy) => {
            large = copy;
            large.as_mut_ptr().cast()
        }
    };
    let value = if entered == tag::GO {
        // SAFETY: whoever started the job vouches for the function.
        unsafe { function(copy) }
    } else {
        0
    };
    if current::get().is_some_and(|job| job.core().at_end.get() != AtEnd::Nothing) {
        // `Args` has made room, and elements of none of it.
        large.spare_capacity_mut().fill(MaybeUninit::zeroed());
        black_box(&large);
    }
    let word = ptr::without_provenance_mut(value as usize);
    Words { word: Word::new(word), tag: tag::FINISHED }
}
}

/// The innermost running job, if C started it.
#[inline(always)]
pub(crate) fn running() -> Option<Handle> {
    let entry = current::get()?.core().entry.get()?;
    // One that C has started before may be Rust's now.
    entry.is_live().then(|| entry.handle())
}

/// The wait context of a live job; null for any other handle. From any thread.
pub(crate) fn wait_ctx(handle: Handle) -> *mut c_void {
    handle.entry().map_or(ptr::null_mut(), |entry| entry.ctx.load(Ordering::Acquire))
}

/// No job shows this wait context any more: it has been freed while jobs hold it.
pub(crate) fn forget_wait_ctx(ctx: *mut c_void) {
    each(|entry| {
        let _ =
            entry.ctx.compare_exchange(ctx, ptr::null_mut(), Ordering::AcqRel, Ordering::Relaxed);
    });
}

pub(super) const NOBODY: usize = 0;
/// It was running when its thread ended: nobody's, and not to be had.
pub(super) const LOST: usize = 2;
/// Beside the thread: its job is given up.
pub(super) const GIVEN_UP: usize = 1;

#[inline(always)]
pub(super) fn this_thread() -> usize {
    context::thread_words().addr()
}

impl Handle {
    /// What C hands back.
    pub(crate) fn from_ptr(handle: *const c_void) -> Self {
        Handle(handle.addr())
    }

    pub(crate) fn number(self) -> usize {
        self.0
    }

    pub(super) fn from_number(number: usize) -> Self {
        Handle(number)
    }

    pub(crate) fn as_ptr<T>(self) -> *mut T {
        ptr::without_provenance_mut(self.0)
    }

    /// The entry of a live job.
    #[inline(always)]
    pub(super) fn entry(self) -> Option<&'static Entry> {
        let index = (self.0 & ((1 << INDEX_BITS) - 1)).checked_sub(1)?;
        let (chunk, at) = (index / CHUNK, index % CHUNK);
        let first = TABLE[chunk].load(Ordering::Acquire);
        if first.is_null() {
            return None;
        }
        // SAFETY: a chunk has that many entries.
        let entry = unsafe { first.add(at) };
        // SAFETY: it is never freed.
        let entry = unsafe { &*entry };
        // A handle is made while its job is live, so its run is odd.
        let is_odd = self.0 >> INDEX_BITS & 1 == 1;
        (is_odd && entry.handle() == self).then_some(entry)
    }
}

impl Entry {
    #[inline(always)]
    pub(super) fn handle(&self) -> Handle {
        let run = self.run.load(Ordering::Acquire) as usize;
        Handle((run << INDEX_BITS) | (self.index + 1))
    }

    /// The job starts, or has ended. Only its owner says so: a plain store will do.
    #[inline(always)]
    pub(super) fn next_run(&self) {
        let run = self.run.load(Ordering::Relaxed);
        self.run.store(run.wrapping_add(1), Ordering::Release);
    }

    pub(super) fn is_live(&self) -> bool {
        self.run.load(Ordering::Acquire) % 2 == 1
    }

    pub(super) fn is_orphan(&self) -> bool {
        let owner = self.owner.load(Ordering::Acquire);
        self.is_live() && (owner == NOBODY || owner & GIVEN_UP != 0)
    }

    /// An entry for a job that has none.
    #[cold]
    fn for_job(raw: Raw) -> Option<&'static Entry> {
        let entry = Entry::take()?;
        entry.job.store(raw.0.as_ptr(), Ordering::Relaxed);
        raw.core().entry.set(Some(entry));
        Some(entry)
    }

    /// An entry that no job has; `None` when the table is full, or there is no memory for more.
    fn take() -> Option<&'static Entry> {
        let mut free = hold();
        if free.is_empty() {
            let place = TABLE.get(free.made() / CHUNK)?;
            let entries = free.make(CHUNK, Entry::new).ok()?;
            place.store(entries.as_ptr().cast_mut(), Ordering::Release);
        }
        free.pop()
    }

    /// Its job's memory is given back.
    pub(super) fn release(&'static self) {
        self.job.store(ptr::null_mut(), Ordering::Relaxed);
        hold().push(self);
    }

    fn new(index: usize) -> Self {
        Entry {
            index,
            run: AtomicU64::new(0),
            job: AtomicPtr::new(ptr::null_mut()),
            owner: AtomicUsize::new(NOBODY),
            ctx: AtomicPtr::new(ptr::null_mut()),
            luggage: Luggage::default(),
        }
    }
}

/// Looks at every entry there is.
pub(super) fn each(mut look: impl FnMut(&'static Entry)) {
    let chunks = hold().made() / CHUNK;
    for first in &TABLE[..chunks] {
        let first = first.load(Ordering::Acquire);
        for at in 0..CHUNK {
            // SAFETY: a chunk has that many entries.
            let entry = unsafe { first.add(at) };
            // SAFETY: it is never freed.
            look(unsafe { &*entry });
        }
    }
}
