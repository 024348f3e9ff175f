//! The rows as a table: each case with everybody's figures below each other.

use crate::row::{Row, figure};

/// Who the ratios are of.
const REFERENCE: &str = "siding";

pub fn print(rows: &[Row]) {
    let counted = rows.iter().any(|row| row.counted.iter().any(|count| !count.is_nan()));
    println!("ns an operation: min, median, and both as ratios to siding's (above 1: slower)");
    let mut rest: Vec<&Row> = rows.iter().collect();
    while let Some(first) = rest.first().copied() {
        let same = |row: &&Row| row.section == first.section && row.case == first.case;
        let (case, others): (Vec<&Row>, Vec<&Row>) = rest.into_iter().partition(same);
        rest = others;
        println!("\n{}: {}", first.section, first.case);
        let reference = case.iter().find(|row| row.who == REFERENCE);
        case.iter().for_each(|row| line(row, reference, counted));
    }
    if !counted {
        println!("\nNo hardware counters here: cycles, instructions and misses were not counted.");
    }
}

fn line(row: &Row, reference: Option<&&Row>, counted: bool) {
    if !row.note.is_empty() {
        return println!("  {:<24}{}", row.who, row.note);
    }
    let ratio = |value: f64, of: fn(&Row) -> f64| {
        figure(reference.map_or(f64::NAN, |reference| value / of(reference)), 2)
    };
    let decimals = if row.min < 1000.0 { 2 } else { 0 };
    print!("  {:<24}{:>12.decimals$}{:>12.decimals$}", row.who, row.min, row.median);
    print!("{:>9}{:>9}", ratio(row.min, |row| row.min), ratio(row.median, |row| row.median));
    if !row.bytes.is_nan() {
        print!("{:>10} bytes each", figure(row.bytes, 0));
    }
    if counted {
        let [cycles, instructions, misses] = row.counted.map(|count| figure(count, 2));
        print!("{cycles:>12} cycles {instructions:>9} instructions {misses:>6} mispredicted");
    }
    println!();
}
