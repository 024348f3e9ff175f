//! Does tools/gdb/siding.py know the layout?

#[cfg(feature = "capi")]
use std::mem::offset_of;

use super::core::Core;
use crate::context::{self, Control};

/// The debugger's constant of this name, the first of two with 64 bits.
fn known(name: &str) -> usize {
    let script = include_str!("../../tools/gdb/siding.py");
    let mut lines = script.lines().filter_map(|line| line.split_once(" = "));
    let (_, value) = lines.find(|(known, _)| *known == name).expect(name);
    let (wide, narrow) = value.split_once(", ").unwrap_or((value, value));
    if usize::BITS == 64 { wide } else { narrow }.parse().expect(name)
}

#[test]
fn the_debugger_knows_the_layout() {
    let (trampoline, bottom) = Control::<Core>::debugger_words();
    assert_eq!((known("TRAMPOLINE"), known("BOTTOM")), (trampoline, bottom));
    assert!(context::pooled_size::<()>() <= known("COROUTINE_SIZE"));
    let job = context::pooled_size::<Core>();
    assert!(job > known("COROUTINE_SIZE") && job <= known("LARGEST_SIZE"), "{job}");
    #[cfg(feature = "capi")]
    {
        use super::handle::Entry;
        let function = offset_of!(Control<Core>, extra) + offset_of!(Core, function);
        assert_eq!(known("FUNCTION"), function);
        assert_eq!(known("ENTRY_SIZE"), size_of::<Entry>());
        let run = known("ENTRY_RUN");
        assert_eq!((offset_of!(Entry, run), offset_of!(Entry, job)), (run, run + 8));
        assert_eq!(offset_of!(Entry, owner), run + 8 + size_of::<usize>());
    }
    let script = include_str!("../../tools/gdb/siding.py");
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    assert!(script.contains(&format!("VERSION = \"{major}_{minor}\"")));
}
