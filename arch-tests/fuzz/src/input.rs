//! Bytes as choices. Where they have ended, everything is zero.

pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Input(bytes)
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Once in so many times.
    pub fn one_in(&mut self, times: u8) -> bool {
        self.byte().is_multiple_of(times)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One of the places of a list; `None` if it has none.
    pub fn place(&mut self, len: usize) -> Option<usize> {
        usize::from(self.byte()).checked_rem(len)
    }
}
