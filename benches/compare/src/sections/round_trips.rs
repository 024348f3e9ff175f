//! Round trips, a resume and a pause: pausing inside 0 to 8 functions that all return to the
//! job's loop between two pauses, resumed by a flat loop, inside one function, inside four.
//! `two paths`: two jobs, inside four different functions each, in turn.

use std::hint::black_box;
use std::io;

use super::tasks;
use crate::harness::{Bench, Effort};
use crate::peer::{self, Body, Peer, Visitor};
use crate::peers;
use crate::row::Row;

pub fn run(effort: Effort) -> io::Result<Vec<Row>> {
    let mut cases = Cases { bench: Bench::new("round trip", effort), result: Ok(()) };
    let absent = peers::each(&mut cases);
    cases.result?;
    plain(&mut cases.bench);
    tokio(&mut cases.bench);
    let mut rows = cases.bench.run();
    rows.extend(absent.into_iter().map(|(who, why)| {
        let mut row = Row::new("round trip", "absent", who);
        row.note = why;
        row
    }));
    Ok(rows)
}

struct Cases {
    bench: Bench,
    result: io::Result<()>,
}

impl Visitor for Cases {
    fn visit<P: Peer>(&mut self) {
        if self.result.is_ok() {
            self.result = add::<P>(&mut self.bench);
        }
    }
}

fn add<P: Peer>(bench: &mut Bench) -> io::Result<()> {
    let depths: [(&str, Body<P>); 4] = [
        ("inside 0", peer::depth0::<P>),
        ("inside 1", peer::depth1::<P>),
        ("inside 4", peer::depth4::<P>),
        ("inside 8", peer::depth8::<P>),
    ];
    let resumes: [(&str, Loop<P>); 3] = [
        ("", resumes::<P, 0>),
        (", resume inside 1", resumes::<P, 1>),
        (", resume inside 4", resumes::<P, 4>),
    ];
    for (resume, resumes) in resumes {
        for (depth, body) in depths {
            let mut job = P::start(body, 0)?;
            let name = format!("{depth}{resume}");
            bench.case(&name, P::NAME, move |n| resumes(&mut job, n));
        }
    }
    let mut jobs = (P::start(peer::depth4::<P>, 0)?, P::start(peer::other_depth4::<P>, 0)?);
    bench.case("two paths, inside 4", P::NAME, move |n| {
        for i in 0..n / 2 {
            black_box(jobs.0.resume(i));
            black_box(jobs.1.resume(i));
        }
    });
    Ok(())
}

type Loop<P> = fn(&mut P, usize);

/// Resumes inside that many functions.
#[inline(never)]
fn resumes<P: Peer, const INSIDE: usize>(job: &mut P, n: usize) {
    for i in 0..n {
        black_box(match INSIDE {
            0 => peer::resume0(job, i),
            1 => peer::resume1(job, i),
            _ => peer::resume4(job, i),
        });
    }
}

/// The floor: the same chains of calls, without a switch.
fn plain(bench: &mut Bench) {
    struct Plain;

    impl Peer for Plain {
        const NAME: &'static str = "plain calls";
        type Inside = ();

        fn start(_: Body<Self>, _: usize) -> io::Result<Self> {
            Ok(Plain)
        }

        fn resume(&mut self, value: usize) -> usize {
            value
        }

        #[inline(always)]
        fn pause((): &(), value: usize) -> usize {
            black_box(value)
        }
    }

    let chains: [(&str, Body<Plain>); 4] = [
        ("inside 0", peer::d0::<Plain>),
        ("inside 1", peer::d1::<Plain>),
        ("inside 4", peer::d4::<Plain>),
        ("inside 8", peer::d8::<Plain>),
    ];
    for (name, chain) in chains {
        bench.case(name, Plain::NAME, move |n| (0..n).for_each(|i| _ = black_box(chain(&(), i))));
    }
}

/// One of many tasks that yield: the run queue is part of the price, and a task that is
/// alone would look for events at each turn.
fn tokio(bench: &mut Bench) {
    tasks::case(bench, "inside 0", 100, tasks::d0);
    tasks::case(bench, "inside 1", 100, tasks::d1);
    tasks::case(bench, "inside 4", 100, tasks::d4);
    tasks::case(bench, "inside 8", 100, tasks::d8);
}
