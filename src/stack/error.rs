//! Why there is no stack.

use core::fmt;
#[cfg(feature = "std")]
use std::io;

/// Why there is no stack.
#[derive(Debug)]
#[non_exhaustive]
pub enum StackError {
    /// Smaller than [`StackConfig::min_size`](super::StackConfig::min_size), or than what
    /// the closure's captures need.
    TooSmall {
        /// Usable bytes asked for.
        size: usize,
        /// Usable bytes needed.
        min: usize,
    },
    /// Larger than the address space.
    TooLarge {
        /// Usable bytes asked for.
        size: usize,
        /// Guard bytes asked for.
        guard: usize,
    },
    /// A guard of no bytes was asked for.
    NoGuard,
    /// The kernel gave no memory: out of address space, or of mappings.
    #[cfg(feature = "std")]
    Map(io::Error),
    /// The kernel could not guard it; a stack is never handed out unguarded.
    #[cfg(feature = "std")]
    Guard(io::Error),
    /// The stacks of this process use as many mappings as they may
    /// ([`set_mapping_limit`](super::set_mapping_limit)); unless told otherwise they leave
    /// a quarter of `vm.max_map_count` to everybody else. Each stack costs two where
    /// [`guard_mode`](super::guard_mode) is `Mprotect`, it is wiped on fork, or the program has
    /// called `mlockall`.
    TooManyMappings {
        /// Mappings in use by stacks.
        used: usize,
        /// How many they may use.
        limit: usize,
    },
    /// Its pages could not be locked into memory: see `RLIMIT_MEMLOCK`.
    #[cfg(feature = "std")]
    Lock(io::Error),
    /// The kernel cannot wipe it on fork, or cannot be believed when it says so.
    #[cfg(feature = "std")]
    WipeOnFork(io::Error),
    /// This thread runs with a hardware shadow stack (Intel CET, Arm GCS, RISC-V
    /// Zicfiss), which would kill the process at the first switch. Start the program
    /// without it, for example with `GLIBC_TUNABLES=glibc.cpu.x86_shstk=off`, or
    /// `glibc.cpu.aarch64_gcs=0`.
    ShadowStack,
}

#[cfg(feature = "std")]
impl StackError {
    /// What an allocation that failed comes to.
    pub(crate) fn no_memory<E>(_: E) -> Self {
        StackError::Map(io::ErrorKind::OutOfMemory.into())
    }
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { size, min } => {
                write!(f, "a stack of {size} bytes is too small; at least {min} are needed")
            }
            Self::TooLarge { size, guard } => {
                write!(f, "a stack of {size} bytes with a guard of {guard} is too large")
            }
            Self::NoGuard => write!(f, "a stack needs a guard of at least one byte"),
            #[cfg(feature = "std")]
            Self::Map(e) => write!(f, "cannot map a stack: {e}"),
            #[cfg(feature = "std")]
            Self::Guard(e) => write!(f, "cannot guard a stack: {e}"),
            Self::TooManyMappings { used, limit } => {
                write!(f, "stacks use {used} mappings and may use {limit} (vm.max_map_count)")
            }
            #[cfg(feature = "std")]
            Self::Lock(e) => write!(f, "cannot lock a stack into memory: {e}"),
            #[cfg(feature = "std")]
            Self::WipeOnFork(e) => write!(f, "cannot have a stack wiped on fork: {e}"),
            Self::ShadowStack => write!(f, "this thread uses a hardware shadow stack"),
        }
    }
}

impl core::error::Error for StackError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            #[cfg(feature = "std")]
            Self::Map(e) | Self::Guard(e) | Self::Lock(e) | Self::WipeOnFork(e) => Some(e),
            _ => None,
        }
    }
}
