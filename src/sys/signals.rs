//! SIGSEGV, seen on the way to whoever else handles it.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::fault::{self, Kind};
use super::os::check;
use super::{Mapping, signal_frame_size, try_box};

/// Called with the address of the fault: async-signal-safe, and returns.
type Look = fn(usize);

struct Handlers {
    look: Look,
    before: libc::sigaction,
}

/// Never freed. Not under a lock, which the child of a fork might find taken.
static HANDLERS: AtomicPtr<Handlers> = AtomicPtr::new(ptr::null_mut());

/// Has `look` called at each SIGSEGV of this process, before what would have happened
/// without it does. The first caller's stays.
pub(crate) fn look_at_faults(look: Look) -> io::Result<()> {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if INSTALLED.load(Ordering::Acquire) {
        return Ok(());
    }
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    fault::check(Kind::SigAction)?;
    // SAFETY: asks for the present handler.
    check(unsafe { libc::sigaction(libc::SIGSEGV, ptr::null(), before.as_mut_ptr()) })?;
    // SAFETY: filled.
    let before = unsafe { before.assume_init() };
    // Known before ours can be called. Another thread's, or that of an attempt that failed,
    // is as good.
    if HANDLERS.load(Ordering::Acquire).is_null() {
        let ours = try_box(Handlers { look, before });
        let ours = Box::into_raw(ours.map_err(|_| io::ErrorKind::OutOfMemory)?);
        HANDLERS.store(ours, Ordering::Release);
    }
    // SAFETY: all zero is a valid value.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = on_fault as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    fault::check(Kind::SigAction)?;
    // SAFETY: the handler is async-signal-safe and lives as long as the process.
    check(unsafe { libc::sigaction(libc::SIGSEGV, &action, ptr::null_mut()) })?;
    INSTALLED.store(true, Ordering::Release);
    Ok(())
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: null, or never freed.
    let handlers = unsafe { HANDLERS.load(Ordering::Acquire).as_ref() };
    let Some(Handlers { look, before }) = handlers else { return };
    // SAFETY: the kernel's, for this call.
    let info_now = unsafe { &*info };
    // SAFETY: a SIGSEGV has an address.
    let address = unsafe { info_now.si_addr() }.addr();
    look(address);
    match before.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {
            // The instruction faults again when we return.
            // SAFETY: what was there before; async-signal-safe.
            unsafe { libc::sigaction(signal, before, ptr::null_mut()) };
        }
        handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
            type Action = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: with this flag it is such a function.
            let handler = unsafe { std::mem::transmute::<libc::sighandler_t, Action>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: without the flag it is such a function.
            let handler = unsafe {
                std::mem::transmute::<libc::sighandler_t, extern "C" fn(libc::c_int)>(handler)
            };
            handler(signal);
        }
    }
}

/// An alternate signal stack of this thread's.
struct AltStack(#[allow(dead_code, reason = "unmapped when the thread ends")] Mapping);

impl Drop for AltStack {
    fn drop(&mut self) {
        // SAFETY: all zero is a valid value.
        let mut off: libc::stack_t = unsafe { MaybeUninit::zeroed().assume_init() };
        off.ss_flags = libc::SS_DISABLE;
        // SAFETY: the thread is not running on it: a destructor of its own runs.
        unsafe { libc::sigaltstack(&off, ptr::null_mut()) };
    }
}

/// Gives this thread an alternate signal stack, unless it has one.
pub(crate) fn ensure_alt_stack() -> io::Result<()> {
    thread_local! {
        static OURS: RefCell<Option<AltStack>> = const { RefCell::new(None) };
    }
    let mut present = MaybeUninit::<libc::stack_t>::zeroed();
    fault::check(Kind::SigStack)?;
    // SAFETY: asks for the present one.
    check(unsafe { libc::sigaltstack(ptr::null(), present.as_mut_ptr()) })?;
    // SAFETY: filled.
    if unsafe { present.assume_init() }.ss_flags & libc::SS_DISABLE == 0 {
        return Ok(());
    }
    let memory = Mapping::reserve(signal_frame_size() + (32 << 10))?;
    let stack = libc::stack_t { ss_sp: memory.start().cast(), ss_flags: 0, ss_size: memory.len() };
    fault::check(Kind::SigStack)?;
    // SAFETY: fresh memory, which stays until it is no longer the signal stack.
    check(unsafe { libc::sigaltstack(&stack, ptr::null_mut()) })?;
    // A thread that is ending goes without one again.
    OURS.try_with(|ours| ours.replace(Some(AltStack(memory))))
        .map(drop)
        .map_err(|_| io::Error::other("the thread is ending"))
}

/// Writes to standard error; async-signal-safe.
pub(crate) fn write_error(text: &[u8]) {
    // SAFETY: readable bytes.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}
