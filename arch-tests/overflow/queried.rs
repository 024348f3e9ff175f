//! Windows says of every page who may do what there.

use std::mem::MaybeUninit;

use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEMORY_BASIC_INFORMATION, PAGE_NOACCESS, PAGE_READWRITE, VirtualQuery,
};

use super::*;

/// The range of pages from `address` on that are like the one there, and their protection.
fn query(address: usize) -> (Range<usize>, u32) {
    let mut info = MaybeUninit::<MEMORY_BASIC_INFORMATION>::zeroed();
    let address = std::ptr::without_provenance(address);
    // SAFETY: room for the answer; any address can be asked for.
    let filled = unsafe { VirtualQuery(address, info.as_mut_ptr(), size_of_val(&info)) };
    assert_eq!(filled, size_of_val(&info));
    // SAFETY: filled.
    let info = unsafe { info.assume_init() };
    assert_eq!(info.State, MEM_COMMIT);
    let start = info.BaseAddress.addr();
    (start..start + info.RegionSize, info.Protect)
}

/// All of the stack can be used, and nothing of the guard below it.
#[track_caller]
fn is_guarded(stack: &impl Stack) {
    let guard = stack.bottom().addr() - StackConfig::DEFAULT.guard;
    let (pages, protection) = query(guard);
    assert_eq!((pages, protection), (guard..stack.bottom().addr(), PAGE_NOACCESS));
    let (pages, protection) = query(stack.bottom().addr());
    assert_eq!(protection, PAGE_READWRITE);
    assert!(pages.end >= stack.top().addr(), "{pages:x?}");
}

fn many() -> Vec<PooledStack> {
    (0..100).map(|_| pooled()).collect()
}

#[test]
fn below_a_stack_is_its_guard() {
    is_guarded(&guarded());
}

#[test]
fn below_each_pooled_stack_is_its_guard() {
    many().iter().for_each(is_guarded);
}

/// Their memory has been given back meanwhile.
#[test]
fn and_still_when_it_is_taken_again() {
    let stacks = many();
    let addresses: Vec<usize> = stacks.iter().map(|stack| stack.bottom().addr()).collect();
    drop(stacks);
    let again = many();
    assert!(again.iter().any(|stack| addresses.contains(&stack.bottom().addr())));
    again.iter().for_each(is_guarded);
}
