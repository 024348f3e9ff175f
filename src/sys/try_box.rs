//! A box, or an error where there is no memory for it: `Box::try_new`, which only nightly has.

use std::collections::TryReserveError;

pub(crate) fn try_box<T>(value: T) -> Result<Box<T>, TryReserveError> {
    let mut one = Vec::new();
    one.try_reserve_exact(1)?;
    one.push(value);
    let one = Box::into_raw(one.into_boxed_slice());
    // SAFETY: a slice of one has the layout of its element.
    Ok(unsafe { Box::from_raw(one.cast()) })
}
