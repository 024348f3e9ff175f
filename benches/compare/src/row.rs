//! A line of the table, and of the files in `benches/record/`.

use std::fmt;
use std::str::FromStr;

pub const HEAD: &str = "section,case,who,min,median,bytes,cycles,instructions,misses,note";

/// Figures are NaN where they were not taken.
#[derive(Clone, Debug)]
pub struct Row {
    pub section: String,
    pub case: String,
    pub who: String,
    /// Nanoseconds an operation.
    pub min: f64,
    pub median: f64,
    /// Memory of each job.
    pub bytes: f64,
    /// By the processor's counters, an operation: cycles, instructions, mispredicted branches.
    pub counted: [f64; 3],
    /// Why there are no figures.
    pub note: String,
}

impl Row {
    pub fn new(section: &str, case: &str, who: &str) -> Self {
        let (section, case, who) = (section.into(), case.into(), who.into());
        let (min, median, bytes, counted) = (f64::NAN, f64::NAN, f64::NAN, [f64::NAN; 3]);
        Row { section, case, who, min, median, bytes, counted, note: String::new() }
    }
}

/// A figure with that many decimals, or nothing.
pub fn figure(value: f64, decimals: usize) -> String {
    if value.is_nan() { String::new() } else { format!("{value:.decimals$}") }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { section, case, who, min, median, bytes, counted, note } = self;
        let [case, who, note] = [case, who, note].map(|text| text.replace(',', ";"));
        write!(f, "{section},{case},{who},{},{}", figure(*min, 2), figure(*median, 2))?;
        write!(f, ",{}", figure(*bytes, 0))?;
        counted.iter().try_for_each(|count| write!(f, ",{}", figure(*count, 2)))?;
        write!(f, ",{note}")
    }
}

impl FromStr for Row {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let fields: Vec<&str> = line.split(',').collect();
        let &[section, case, who, min, median, bytes, cycles, instructions, misses, note] =
            &fields[..]
        else {
            return Err(format!("not a row: {line}"));
        };
        let figure = |text: &str| {
            if text.is_empty() { Ok(f64::NAN) } else { text.parse() }
        };
        let figures: Result<Vec<f64>, _> =
            [min, median, bytes, cycles, instructions, misses].map(figure).into_iter().collect();
        let figures = figures.map_err(|e| format!("{e} in {line}"))?;
        let mut row = Row::new(section, &case.replace(';', ","), &who.replace(';', ","));
        [row.min, row.median, row.bytes] = [figures[0], figures[1], figures[2]];
        row.counted = [figures[3], figures[4], figures[5]];
        row.note = note.into();
        Ok(row)
    }
}
