//! Curves over the number of jobs: what a turn costs, and how much memory each takes.
//!
//! `cargo bench --bench curves -- --record` measures all, writes
//! `benches/record/<target>/curves.csv`, and draws that; `-- --draw` draws it again. Without
//! either, some small cells run and nothing is written.
//!
//! A cell is a number of jobs of one library, each in a function that pauses in a loop, on
//! stacks of 16 KiB (OpenSSL: its own 32 KiB, not guarded). They take turns in an order that
//! is not that of their stacks, as if woken by events. Each cell runs in a process of its
//! own, all of them in turn and that several times. Time is CPU time of the thread, the
//! least and the median; memory is what the process gained, page tables included, each.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod cells;
mod draw;
#[path = "../../../examples/million/src/measure.rs"]
#[allow(dead_code)]
mod measure;

/// A point of a curve.
#[derive(Clone)]
struct Point {
    case: String,
    jobs: usize,
    min: f64,
    median: f64,
    bytes: i64,
}

const COUNTS: [usize; 7] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["cell", case, jobs] => cells::run(case, jobs.parse()?),
        ["--record"] => {
            write(&measured(&COUNTS, ROUNDS)?)?;
            draw::all(&read()?, &directory())
        }
        ["--draw"] => draw::all(&read()?, &directory()),
        _ => {
            for point in measured(&COUNTS[..4], 1)? {
                let Point { case, jobs, min, bytes, .. } = point;
                println!("{case:<24}{jobs:>6} jobs: {min:>7.1} ns a turn, {bytes:>6} bytes each");
            }
            Ok(())
        }
    }
}

/// Every cell in turn; one that cannot be had is left out.
fn measured(counts: &[usize], rounds: usize) -> Result<Vec<Point>, Box<dyn Error>> {
    let mut points: Vec<Point> = Vec::new();
    for _ in 0..rounds {
        for (case, _) in cells::CASES {
            for &jobs in counts {
                let run = Command::new(env::current_exe()?)
                    .args(["cell", case, &jobs.to_string()])
                    .output()?;
                let text = String::from_utf8(run.stdout)?;
                let figures: Vec<f64> =
                    text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
                let [min, median, bytes] = figures[..] else {
                    eprintln!("{case}, {jobs}: {}", String::from_utf8_lossy(&run.stderr).trim());
                    break;
                };
                match points.iter_mut().find(|point| point.case == case && point.jobs == jobs) {
                    Some(point) => {
                        point.min = point.min.min(min);
                        point.median = point.median.min(median);
                    }
                    None => {
                        let (case, bytes) = (case.to_string(), bytes as i64);
                        points.push(Point { case, jobs, min, median, bytes });
                    }
                }
            }
        }
    }
    Ok(points)
}

fn directory() -> PathBuf {
    let target = format!("../record/{}-unknown-linux-gnu", env::consts::ARCH);
    Path::new(env!("CARGO_MANIFEST_DIR")).join(target)
}

fn write(points: &[Point]) -> Result<(), Box<dyn Error>> {
    let mut text = String::from("case,jobs,ns_min,ns_median,bytes\n");
    for Point { case, jobs, min, median, bytes } in points {
        text += &format!("{case},{jobs},{min:.1},{median:.1},{bytes}\n");
    }
    Ok(fs::write(directory().join("curves.csv"), text)?)
}

fn read() -> Result<Vec<Point>, Box<dyn Error>> {
    let text = fs::read_to_string(directory().join("curves.csv"))?;
    let point = |line: &str| {
        let [case, jobs, min, median, bytes] = line.split(',').collect::<Vec<_>>()[..] else {
            return Err(format!("not a point: {line}").into());
        };
        let case = case.to_string();
        let (jobs, bytes) = (jobs.parse()?, bytes.parse()?);
        Ok(Point { case, jobs, min: min.parse()?, median: median.parse()?, bytes })
    };
    text.lines().skip(1).map(point).collect()
}
