//! Many jobs, each of which pauses in a loop, resumed in turn: in the order in which they
//! were made, and in random order, as if woken by events. What a turn costs, and how much
//! memory each takes, page tables included.
//!
//! Each cell (a number of jobs of one library in one order) runs in a child of its own, all
//! cells in turn and that several times. A library that cannot make so many ends with what
//! it had by then; larger numbers are not tried.

use std::io;
use std::panic;

use super::cells;
use crate::child::{self, Outcome};
use crate::peer::{Peer, Visitor};
use crate::peers;
use crate::row::Row;

const COUNTS: [usize; 7] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];

struct Cell {
    who: &'static str,
    run: fn(usize, bool, &mut Outcome) -> io::Result<()>,
}

/// Every cell that often; quick: only small ones, once.
pub fn run(quick: bool) -> io::Result<Vec<Row>> {
    // The message of a peer that panics is not of interest, that it does is.
    panic::set_hook(Box::new(|_| ()));
    let mut cells = Cells(Vec::new());
    peers::each(&mut cells);
    cells.0.retain(|cell| cell.who != "siding job");
    cells.0.insert(1, Cell { who: "siding jobs", run: cells::jobs });
    cells.0.push(Cell { who: "tokio tasks", run: cells::tokio });
    let (counts, rounds) = if quick { (&COUNTS[..5], 1) } else { (&COUNTS[..], 3) };
    let mut rows: Vec<Row> = Vec::new();
    for round in 0..rounds {
        for &count in counts {
            // The largest take memory by gigabytes, and time to match.
            if count == 1_000_000 && round == 2 {
                continue;
            }
            for order in ["in order", "random order"] {
                for cell in &cells.0 {
                    add(&mut rows, cell, count, order)?;
                }
            }
        }
    }
    Ok(rows)
}

fn add(rows: &mut Vec<Row>, cell: &Cell, count: usize, order: &str) -> io::Result<()> {
    let case = format!("{count} jobs, {order}");
    let ended = rows.iter().any(|row| row.who == cell.who && !row.note.is_empty());
    let known = rows.iter().position(|row| row.who == cell.who && row.case == case);
    // Made by now, and failed: at this number, or at a smaller one.
    if ended && known.is_none_or(|row| !rows[row].note.is_empty()) {
        return Ok(());
    }
    let at = known.unwrap_or_else(|| {
        rows.push(Row::new("many", &case, cell.who));
        rows.len() - 1
    });
    let row = &mut rows[at];
    match child::run(|out| (cell.run)(count, order == "random order", out))? {
        Ok(Outcome { min, median, bytes, .. }) => {
            row.min = row.min.min(min);
            row.median = row.median.min(median);
            // The first few are charged with all that is mapped for many.
            if count >= 1000 {
                row.bytes = row.bytes.min(bytes);
            }
        }
        Err(why) => row.note = why,
    }
    Ok(())
}

struct Cells(Vec<Cell>);

impl Visitor for Cells {
    fn visit<P: Peer>(&mut self) {
        self.0.push(Cell { who: P::NAME, run: cells::resumed::<P> });
    }
}
