//! A job's life: made, resumed once, finished. On a stack that is kept, and on one that is
//! mapped for it and unmapped after.

use std::io;

use crate::harness::{Bench, Effort};
use crate::peer::{Peer, Visitor, ends};
use crate::peers;
use crate::row::Row;

pub fn run(effort: Effort) -> io::Result<Vec<Row>> {
    let mut cases = Cases(Bench::new("start + finish", effort));
    peers::each(&mut cases);
    cases.0.case("stack kept", super::tasks::NAME, spawn_and_await());
    Ok(cases.0.run())
}

struct Cases(Bench);

impl Visitor for Cases {
    fn visit<P: Peer>(&mut self) {
        let start = || P::start(ends::<P>, 0).expect("a stack");
        let mut kept = Some(start());
        self.0.case("stack kept", P::NAME, move |n| {
            for i in 0..n {
                let last = kept.take().expect("put back below");
                kept = Some(last.recycle(ends::<P>, i).expect("the same stack"));
            }
        });
        if P::start_unpooled(ends::<P>, 0).is_none() {
            return;
        }
        self.0.case("stack mapped for it", P::NAME, |n| {
            for i in 0..n {
                drop(P::start_unpooled(ends::<P>, i).expect("as before").expect("a stack"));
            }
        });
    }
}

fn spawn_and_await() -> impl FnMut(usize) {
    let runtime = super::tasks::runtime();
    move |n| {
        runtime.block_on(async {
            for i in 0..n {
                tokio::spawn(async move { std::hint::black_box(i) }).await.expect("no panic");
            }
        });
    }
}
