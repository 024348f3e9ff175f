//! A panic in a coroutine is the program's panic handler's business. Without std nothing
//! catches it.
#![cfg_attr(target_os = "none", no_std, no_main)]

mod machine;

use core::mem::MaybeUninit;

use machine::say;
use siding::coroutine::Coroutine;
use siding::stack::UnguardedStack;

const SIZE: usize = 64 << 10;
static mut MEMORY: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];

fn main() {
    let memory = &raw mut MEMORY;
    // SAFETY: this line runs once, and what runs there is not deep.
    let stack = unsafe { UnguardedStack::from_raw(memory) };
    let panics = |_: &_, ()| panic!("inside");
    let mut coroutine = Coroutine::<(), (), ()>::with_stack(stack, panics).expect("large enough");
    coroutine.resume(());
    say!("it came back");
}
