//! One side of a switch, and what it finds again.

use std::array;

use super::machine::{
    FP, FillCallStore, NAMES, RESERVED, Values, fill_call_store, fill_call_store_stub,
};
use crate::arch::{Record, Words};

/// One side of a switch: fresh values for its registers at every crossing.
pub(super) struct Side {
    state: u64,
    /// What its registers were filled with last.
    pub(super) values: Values,
}

impl Side {
    pub(super) fn new(seed: usize) -> Self {
        Side { state: seed as u64 | 1, values: [0; NAMES.len()] }
    }

    /// xorshift64.
    pub(super) fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// Calls `body(arguments...)` with every register of [`NAMES`] filled. An error names
    /// those that came back with another value.
    ///
    /// # Safety
    /// `body` is a function with the C ABI that may be called with these arguments, and
    /// returns `Words`.
    pub(super) unsafe fn call(
        &mut self,
        body: *const (),
        arguments: [usize; 6],
    ) -> Result<Words, String> {
        // SAFETY: forwarded.
        unsafe { self.call_by(fill_call_store, body, arguments) }
    }

    /// As [`call`](Self::call), what has the ABI of the assembly: `arch::asm_abi`.
    ///
    /// # Safety
    /// The same.
    pub(super) unsafe fn call_stub(
        &mut self,
        body: *const (),
        arguments: [usize; 6],
    ) -> Result<Words, String> {
        // SAFETY: forwarded.
        unsafe { self.call_by(fill_call_store_stub, body, arguments) }
    }

    /// # Safety
    /// `fill_call_store` can call `body` with these arguments.
    unsafe fn call_by(
        &mut self,
        fill_call_store: FillCallStore,
        body: *const (),
        arguments: [usize; 6],
    ) -> Result<Words, String> {
        self.values = array::from_fn(|_| self.random());
        let mut found = self.values;
        #[cfg(windows)]
        let block = super::thread_block::Varied::new(self.random())?;
        // SAFETY: forwarded.
        let words = unsafe { fill_call_store(&mut found, body, &arguments) };
        #[cfg(windows)]
        block.put_back()?;
        if found == self.values {
            return Ok(words);
        }
        let lost = |i: &usize| found[*i] != self.values[*i];
        let report = |i| format!("{}: {:#x} became {:#x}; ", NAMES[i], self.values[i], found[i]);
        Err((0..NAMES.len()).filter(lost).map(report).collect())
    }

    /// Whether the record filled during the last call holds the registers of the caller.
    pub(super) fn compare(&self, record: *const Record) -> Result<(), String> {
        if cfg!(siding_ucontext) {
            return Ok(()); // They are elsewhere.
        }
        // SAFETY: the record is part of a valid link, and no switch is under way.
        let Record { reserved, fp, .. } = unsafe { &*record };
        let expected = [self.values[RESERVED] as usize, self.values[FP] as usize];
        let found = [*reserved, *fp];
        if found == expected {
            Ok(())
        } else {
            Err(format!("record: {found:x?} instead of {expected:x?}"))
        }
    }
}
