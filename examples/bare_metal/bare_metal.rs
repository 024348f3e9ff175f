//! Two coroutines in turn, on stacks that are plain memory; and what becomes of those that
//! are dropped before their end.
#![cfg_attr(target_os = "none", no_std, no_main)]

mod machine;

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use machine::say;
use siding::coroutine::{Coroutine, CoroutineState::Complete, CoroutineState::Yielded, Yielder};
use siding::stack::UnguardedStack;

const SIZE: usize = 16 << 10;

/// A stack of its own for each place in the program that says so.
macro_rules! stack {
    () => {{
        static mut MEMORY: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];
        let memory = &raw mut MEMORY;
        // SAFETY: this line runs once, and what runs there is not deep.
        unsafe { UnguardedStack::from_raw(memory) }
    }};
}

fn main() {
    in_turn();
    dropped_early();
    too_small();
    say!("done");
}

fn in_turn() {
    let player = |name| {
        move |yielder: &Yielder<u32, u32>, mut ball: u32| {
            for _ in 0..3 {
                say!("{name} {ball}");
                ball = yielder.suspend(ball + 1);
            }
            name
        }
    };
    let ping = Coroutine::with_stack(stack!(), player("ping")).expect("it is large enough");
    let pong = Coroutine::with_stack(stack!(), player("pong")).expect("it is large enough");
    let mut players = [ping, pong];
    let mut ball = 1;
    while !players.iter().all(Coroutine::is_done) {
        for player in &mut players {
            match player.resume(ball) {
                Yielded(next) => ball = next,
                Complete(name) => say!("{name} is done"),
            }
        }
    }
}

/// Counts how many there are.
struct Held;

static HELD: AtomicU32 = AtomicU32::new(0);

impl Held {
    fn new() -> Self {
        HELD.fetch_add(1, Relaxed);
        Held
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Relaxed);
    }
}

fn dropped_early() {
    let holder = |held: Held| {
        move |yielder: &Yielder<(), ()>, ()| {
            yielder.suspend(());
            drop(held);
        }
    };
    let fresh = Coroutine::with_stack(stack!(), holder(Held::new())).expect("it is large enough");
    drop(fresh);
    say!("dropped before it began, it holds {}", HELD.load(Relaxed));

    let mut begun =
        Coroutine::with_stack(stack!(), holder(Held::new())).expect("it is large enough");
    begun.resume(());
    drop(begun);
    say!("dropped while suspended, it holds {}: nothing can unwind it", HELD.load(Relaxed));
}

fn too_small() {
    static mut SMALL: [MaybeUninit<u8>; 512] = [MaybeUninit::uninit(); 512];
    let memory = &raw mut SMALL;
    // SAFETY: this line runs once, and nothing will run there.
    let stack = unsafe { UnguardedStack::from_raw(memory) };
    let refused = Coroutine::<(), (), ()>::with_stack(stack, |_, ()| ());
    say!("512 bytes are {}", if refused.is_err() { "refused" } else { "accepted" });
}
