//! The budget of mappings: the kernel allows a process a limited number, and one that has
//! used them all cannot even allocate memory.
#![allow(
    deprecated,
    reason = "try_update, as fetch_update is called from Rust 1.99 on, is too young"
)]

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::StackError;
use crate::sys;

static USED: AtomicUsize = AtomicUsize::new(0);
/// Zero until it is set or asked for.
static LIMIT: AtomicUsize = AtomicUsize::new(0);

/// Sets how many mappings the stacks of this process may use. Unless told, that is three
/// quarters of `vm.max_map_count`. What is in use already stays.
pub fn set_mapping_limit(mappings: usize) {
    LIMIT.store(mappings.max(1), Relaxed);
}

pub(super) fn used() -> usize {
    USED.load(Relaxed)
}

fn limit() -> usize {
    /// The kernel's own default.
    const USUAL: usize = 65_530;
    match LIMIT.load(Relaxed) {
        0 => {
            let limit = sys::max_map_count().unwrap_or(USUAL) / 4 * 3;
            // Whoever set a limit meanwhile has precedence.
            match LIMIT.compare_exchange(0, limit.max(1), Relaxed, Relaxed) {
                Ok(_) => limit,
                Err(set) => set,
            }
        }
        limit => limit,
    }
}

/// A number of mappings taken from the budget until dropped.
#[derive(Debug)]
pub(super) struct Charge(AtomicUsize);

impl Charge {
    pub(super) fn new(mappings: usize) -> Result<Self, StackError> {
        let charge = Charge(AtomicUsize::new(0));
        charge.raise_to(mappings)?;
        Ok(charge)
    }

    /// Takes as many more as are needed to have `mappings`. Called by one thread at a time.
    pub(super) fn raise_to(&self, mappings: usize) -> Result<(), StackError> {
        let more = mappings.saturating_sub(self.0.load(Relaxed));
        if more == 0 {
            return Ok(());
        }
        let limit = limit();
        let fits = |used: usize| used.checked_add(more).filter(|&sum| sum <= limit);
        USED.fetch_update(Relaxed, Relaxed, fits)
            .map_err(|used| StackError::TooManyMappings { used, limit })?;
        self.0.fetch_add(more, Relaxed);
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        USED.fetch_sub(*self.0.get_mut(), Relaxed);
    }
}
