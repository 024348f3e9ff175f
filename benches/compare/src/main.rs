//! siding beside its peers. `ci/bench` runs this; `../README.md` says what each case means.
//!
//!   siding-compare <section> [--quick]    measures, prints rows
//!   siding-compare table <file>           prints rows for people
//!   siding-compare draw <directory>       draws what is recorded there

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

mod child;
mod draw;
mod harness;
mod peer;
mod peers;
mod row;
mod sections;
mod table;

use harness::Effort;
use row::Row;
use sections::{lives, many, offload, round_trips, yields};

const USAGE: &str = "usage: siding-compare \
    (round-trips | many | lives | yields | offload) [--quick] | table <file> | draw <directory>";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["table", file] => table::print(&read(Path::new(file))?),
        ["draw", directory] => draw::all(Path::new(directory))?,
        [section] => measure(section, false)?,
        [section, "--quick"] => measure(section, true)?,
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

fn measure(section: &str, quick: bool) -> Result<(), Box<dyn Error>> {
    let effort = if quick { Effort::QUICK } else { Effort::FULL };
    if section != "offload" {
        harness::pin_to_one_core();
    }
    let rows = match section {
        "round-trips" => round_trips::run(effort)?,
        "many" => many::run(quick)?,
        "lives" => lives::run(effort)?,
        "yields" => yields::run(effort)?,
        "offload" => offload::run(effort)?,
        _ => return Err(USAGE.into()),
    };
    println!("{}", row::HEAD);
    rows.iter().for_each(|row| println!("{row}"));
    Ok(())
}

/// The rows of a file, without heads.
fn read(file: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    let text = fs::read_to_string(file)?;
    let rows: Result<Vec<Row>, String> =
        text.lines().filter(|line| *line != row::HEAD).map(str::parse).collect();
    Ok(rows?)
}
