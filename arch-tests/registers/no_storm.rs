//! Windows has no signals: nothing interrupts a thread on its own stack.

pub(crate) struct Storm;

impl Storm {
    pub(crate) fn start() -> Self {
        Storm
    }

    pub(crate) fn count(&self, least: usize) -> impl Iterator<Item = usize> + use<> {
        0..least
    }
}
