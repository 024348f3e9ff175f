//! How guards are made, found out by trying.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::sys::{self, Advice, Mapping};

/// How guards are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GuardMode {
    /// By `MADV_GUARD_INSTALL` (Linux 6.13 and later): guards cost no mappings, so
    /// millions of stacks are possible. A hit is a SIGSEGV with code `SEGV_MAPERR`.
    /// In locked memory the kernel installs none: those that a program makes after `mlockall`
    /// are made by `mprotect`.
    Madvise,
    /// By `mprotect`: two mappings a stack, so their number is limited (see
    /// [`StackError::TooManyMappings`](super::StackError::TooManyMappings)). A hit is a
    /// SIGSEGV with code `SEGV_ACCERR`.
    Mprotect,
}

/// How this process makes guards; found out at the first call, or the first stack.
pub fn guard_mode() -> GuardMode {
    if !cfg!(siding_mprotect_guards) && kernel() & GUARDS != 0 {
        GuardMode::Madvise
    } else {
        GuardMode::Mprotect
    }
}

/// Whether advice that is accepted is also followed: some emulators accept anything.
pub(super) fn advice_is_heeded() -> bool {
    kernel() & HEEDS != 0
}

const ASKED: u8 = 1;
const HEEDS: u8 = 2;
const GUARDS: u8 = 4;

/// What the kernel can do. Threads may find it out at the same time, and a fork may
/// happen meanwhile: there is no lock that a child could find taken.
fn kernel() -> u8 {
    static KNOWN: AtomicU8 = AtomicU8::new(0);
    match KNOWN.load(Relaxed) {
        0 => match probe() {
            Ok(answer) => {
                KNOWN.store(answer | ASKED, Relaxed);
                answer
            }
            // Perhaps out of descriptors: the cautious answer, and ask again next time.
            Err(_) => 0,
        },
        known => known,
    }
}

/// Installs guards as a slab does and has the kernel touch them: neither its version
/// nor what it returns proves that they are there.
fn probe() -> io::Result<u8> {
    /// Enough for one batched call.
    const PAIRS: usize = 8;
    let page = sys::page_size();
    let map = Mapping::reserve(2 * PAIRS * page)?;
    let refused = map.advise(Advice::Nonsense, 0..page);
    if !refused.is_err_and(|e| e.kind() == io::ErrorKind::InvalidInput) {
        return Ok(0);
    }
    let guards = (0..PAIRS).map(|i| 2 * i * page..(2 * i + 1) * page);
    if map.advise_all(Advice::InstallGuard, guards).is_err() {
        return Ok(HEEDS);
    }
    for i in 0..PAIRS {
        if map.is_accessible(2 * i * page)? || !map.is_accessible((2 * i + 1) * page)? {
            return Ok(HEEDS);
        }
    }
    Ok(HEEDS | GUARDS)
}
