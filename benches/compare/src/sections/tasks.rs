//! tokio's tasks that yield to each other, on its current-thread runtime.

use std::hint::black_box;

use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

use crate::harness::Bench;

pub const NAME: &str = "tokio task";

/// `async` functions around a yield, as those around a pause.
macro_rules! depths {
    ($($name:ident $inner:ident),*) => {
        $(
            #[inline(never)]
            pub async fn $name() {
                $inner().await;
                black_box(());
            }
        )*
    };
}

pub async fn d0() {
    yield_now().await;
}
depths!(d1 d0, d2 d1, d3 d2, d4 d3, d5 d4, d6 d5, d7 d6, d8 d7);

pub fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime")
}

/// The turns of `count` tasks. They are spawned anew for each batch, a small part of it.
pub fn case<F>(
    bench: &mut Bench,
    name: &str,
    count: usize,
    yields: impl Fn() -> F + Send + Copy + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let runtime = runtime();
    bench.case(name, NAME, move |n| {
        let turns = n / count;
        let spawn = |_| {
            runtime.spawn(async move {
                for _ in 0..turns {
                    yields().await;
                }
            })
        };
        let tasks: Vec<_> = (0..count).map(spawn).collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.expect("no panic");
            }
        });
    });
}
