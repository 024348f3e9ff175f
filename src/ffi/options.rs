//! `siding_set_job_options` and `siding_stats`: what jobs are made of, and what there is.

use std::ffi::{c_int, c_uint, c_void};
use std::io;
use std::sync::atomic::Ordering::Relaxed;

use super::cancel::DRAINED;
use super::libcrypto::{self, Reason};
use super::start::fail;
use super::{FAILED, OK, guarded};
use crate::job::handle::{self, extra};
use crate::job::{self, orphans};
use crate::stack::{self, StackConfig, StackError};
use crate::sys;

/// `siding_set_job_options`.
#[unsafe(no_mangle)]
pub extern "C" fn siding_set_job_options(
    stack_size: usize,
    guard_size: usize,
    flags: c_uint,
) -> c_int {
    if flags & !extra::ALL != 0 {
        return fail(Reason::InvalidArgument);
    }
    if flags & extra::CXX_EXCEPTIONS != 0 && !sys::has_cxx_globals() {
        return fail(Reason::Unsupported);
    }
    let or = |size, default| if size == 0 { default } else { size };
    let default = StackConfig::DEFAULT;
    let config =
        StackConfig::with_size(or(stack_size, default.size)).guard(or(guard_size, default.guard));
    guarded(FAILED, || match job::set_options(config, flags) {
        Ok(()) => OK,
        Err(StackError::TooSmall { .. } | StackError::TooLarge { .. }) => {
            fail(Reason::InvalidArgument)
        }
        Err(StackError::ShadowStack) => fail(Reason::Unsupported),
        Err(_) => fail(Reason::MallocFailure),
    })
}

/// `siding_stats_t`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SidingStats {
    started: u64,
    live: u64,
    orphaned: u64,
    adopted: u64,
    drained: u64,
    refused_limit: u64,
    refused_stack: u64,
    pool: u64,
    pool_free: u64,
    stacks: u64,
    stack_bytes: u64,
    paused: u64,
}

/// `siding_stats`.
///
/// # Safety
/// As declared in `siding.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn siding_stats(stats: *mut SidingStats, size: usize) -> c_int {
    if stats.is_null() {
        return fail(Reason::PassedNull);
    }
    guarded(FAILED, || {
        let now = now();
        let known = size.min(size_of::<SidingStats>());
        // SAFETY: by this function's contract `size` bytes are writable.
        unsafe { stats.cast::<u8>().copy_from((&raw const now).cast(), known) };
        // SAFETY: as above; what we do not know is zero.
        unsafe { stats.cast::<u8>().wrapping_add(known).write_bytes(0, size - known) };
        OK
    })
}

fn now() -> SidingStats {
    let (started, live, orphaned) = orphans::census();
    let (pool, pool_free) = job::census();
    let stacks = stack::stats();
    SidingStats {
        started,
        live,
        orphaned,
        adopted: orphans::ADOPTED.load(Relaxed),
        drained: DRAINED.load(Relaxed),
        refused_limit: handle::REFUSED_LIMIT.load(Relaxed),
        refused_stack: handle::REFUSED_STACK.load(Relaxed),
        pool: pool as u64,
        pool_free: pool_free as u64,
        stacks: stacks.live as u64,
        stack_bytes: stacks.reserved as u64,
        paused: orphans::paused(),
    }
}

/// `siding_high_water_mark`.
#[unsafe(no_mangle)]
pub extern "C" fn siding_high_water_mark(
    func: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
) -> usize {
    func.map_or(0, |func| job::deepest(func as usize))
}

/// `siding_report_overflows`.
#[unsafe(no_mangle)]
pub extern "C" fn siding_report_overflows() -> c_int {
    guarded(FAILED, || match job::report_overflows() {
        Ok(()) => OK,
        Err(error) if error.kind() == io::ErrorKind::Unsupported => fail(Reason::Unsupported),
        Err(_) => fail(Reason::MallocFailure),
    })
}

/// `siding_last_error`.
#[unsafe(no_mangle)]
pub extern "C" fn siding_last_error() -> u32 {
    libcrypto::take_last_error()
}

/// `siding_version`.
#[unsafe(no_mangle)]
pub extern "C" fn siding_version() -> c_uint {
    const fn number(digits: &str) -> c_uint {
        let (mut number, mut rest) = (0, digits.as_bytes());
        while let [digit, more @ ..] = rest {
            number = number * 10 + (*digit - b'0') as c_uint;
            rest = more;
        }
        number
    }
    const VERSION: c_uint = number(env!("CARGO_PKG_VERSION_MAJOR")) << 16
        | number(env!("CARGO_PKG_VERSION_MINOR")) << 8
        | number(env!("CARGO_PKG_VERSION_PATCH"));
    VERSION
}

/// At the end of the process, says that it was siding that did the work, if asked to by
/// `SIDING_STATS=1`: a library that could not be preloaded is only a warning of the loader's.
/// On Windows, where nothing is preloaded, nothing is said.
#[cfg(not(windows))]
extern "C" fn report() {
    if std::env::var_os("SIDING_STATS").is_some_and(|value| value == "1") {
        let now = now();
        eprintln!(
            "siding: {} jobs started, {} live, {} orphaned",
            now.started, now.live, now.orphaned
        );
    }
}

// A destructor of the library, so that no exit handler is needed.
#[cfg(not(windows))]
#[used]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".fini_array"))]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_term_func"))]
static REPORT: extern "C" fn() = report;

/// When the library is loaded: in a program that has a libcrypto, that is there by now.
extern "C" fn look() {
    libcrypto::look();
}

#[used]
#[cfg_attr(not(any(windows, target_vendor = "apple")), unsafe(link_section = ".init_array"))]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(windows, unsafe(link_section = ".CRT$XCU"))]
static LOOK: extern "C" fn() = look;
