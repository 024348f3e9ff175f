//! Charts of what is recorded: of `times.csv` in a directory, and of `instructions.csv` there
//! and in those of the other targets.

use std::error::Error;
use std::fs;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, Ranged};
use plotters::prelude::*;

use crate::row::Row;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const SIZE: (u32, u32) = (760, 430);
/// What is kept free on the right, for the legend.
const LEGEND: i32 = 150;

/// Everybody's, in every chart; told apart by the colour-blind, too.
const COLOURS: [(&str, RGBColor); 10] = [
    ("siding", RGBColor(0, 114, 178)),
    ("siding job", RGBColor(86, 180, 233)),
    ("corosensei", RGBColor(213, 94, 0)),
    ("generator", RGBColor(0, 158, 115)),
    ("Boost.Context", RGBColor(204, 121, 167)),
    ("wasmtime-fiber", RGBColor(148, 103, 189)),
    ("libcrypto ASYNC", RGBColor(127, 127, 127)),
    ("swapcontext", RGBColor(188, 160, 60)),
    ("tokio task", RGBColor(230, 159, 0)),
    ("plain calls", RGBColor(40, 40, 40)),
];

/// A line of a chart: who, and points.
type Line = (String, Vec<(f64, f64)>);

struct Chart<'a> {
    title: &'a str,
    x: &'a str,
    /// Where on the axis, and what it says there.
    ticks: &'a [(f64, &'a str)],
    logarithmic: bool,
}

pub fn all(directory: &Path) -> Result<()> {
    let rows = crate::read(&directory.join("times.csv"))?;
    let depths = Chart {
        title: "ns for a resume and a pause, resumed by a flat loop",
        x: "functions that return between two pauses",
        ticks: &[(0.0, "0"), (1.0, "1"), (4.0, "4"), (8.0, "8")],
        logarithmic: true,
    };
    let depth = |row: &Row| {
        let depth = row.case.strip_prefix("inside ")?.parse().ok()?;
        (row.section == "round trip").then_some((depth, row.min))
    };
    lines(&depths, &select(&rows, depth), &directory.join("depth.svg"))?;

    let decades = [
        (0.0, "1"),
        (1.0, "10"),
        (2.0, "100"),
        (3.0, "1000"),
        (4.0, "10,000"),
        (5.0, "100,000"),
        (6.0, "1,000,000"),
    ];
    let jobs = |row: &Row| {
        let jobs: f64 = row.case.strip_suffix(" jobs, random order")?.parse().ok()?;
        (row.section == "many" && row.note.is_empty()).then_some(jobs)
    };
    let turns = Chart {
        title: "ns a turn, jobs in random order",
        x: "jobs",
        ticks: &decades,
        logarithmic: true,
    };
    let turn = |row: &Row| Some((jobs(row)?.log10(), row.min));
    lines(&turns, &select(&rows, turn), &directory.join("turns.svg"))?;

    let memory = Chart {
        title: "KiB of memory for each job",
        x: "jobs",
        ticks: &decades[3..],
        logarithmic: false,
    };
    let kib = |row: &Row| {
        let jobs = jobs(row).filter(|_| !row.bytes.is_nan())?;
        Some((jobs.log10(), row.bytes / 1024.0))
    };
    lines(&memory, &select(&rows, kib), &directory.join("memory.svg"))?;
    instructions(directory)
}

fn select(rows: &[Row], point: impl Fn(&Row) -> Option<(f64, f64)>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for row in rows {
        let Some(point) = point(row) else { continue };
        match lines.iter_mut().find(|(who, _)| *who == row.who) {
            Some((_, points)) => points.push(point),
            None => lines.push((row.who.clone(), vec![point])),
        }
    }
    lines
}

fn colour(who: &str) -> RGBColor {
    // `siding jobs` as `siding job`.
    let known = COLOURS.iter().find(|(name, _)| *name == who.trim_end_matches('s'));
    known.or(COLOURS.iter().find(|(name, _)| *name == who)).map_or(BLACK, |(_, colour)| *colour)
}

/// An axis with labels where it is told to have them.
struct Ticks(std::ops::Range<f64>, Vec<f64>);

impl Ranged for Ticks {
    type FormatOption = plotters::coord::ranged1d::NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.0.start) / (self.0.end - self.0.start);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.1.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.0.clone()
    }
}

impl plotters::coord::ranged1d::ValueFormatter<f64> for Ticks {}

fn lines(chart: &Chart, lines: &[Line], file: &Path) -> Result<()> {
    let scale = |value: f64| if chart.logarithmic { value.log10() } else { value };
    let values = lines.iter().flat_map(|(_, points)| points).map(|point| scale(point.1));
    let (least, most) = values.fold((f64::MAX, 0.0_f64), |(a, b), v| (a.min(v), b.max(v)));
    let (from, to) =
        if chart.logarithmic { (least.floor(), most + 0.1) } else { (0.0, most * 1.05) };
    let steps = if chart.logarithmic { 1.0 } else { 2.0 };
    let marks = |from: f64| std::iter::successors(Some(from), move |mark| Some(mark + steps));
    let marks: Vec<f64> = marks(from).take_while(|mark| *mark <= to).collect();
    let ends = (chart.ticks[0].0, chart.ticks[chart.ticks.len() - 1].0);
    let margin = (ends.1 - ends.0) * 0.03;

    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let x =
        Ticks(ends.0 - margin..ends.1 + margin, chart.ticks.iter().map(|(at, _)| *at).collect());
    let mut drawn = ChartBuilder::on(&area)
        .caption(chart.title, ("sans-serif", 17))
        .margin(10)
        .margin_right(LEGEND)
        .x_label_area_size(40)
        .y_label_area_size(52)
        .build_cartesian_2d(x, Ticks(from..to, marks))?;
    let label = |at: &f64| {
        let tick = chart.ticks.iter().find(|(tick, _)| tick == at);
        tick.map_or(String::new(), |(_, label)| label.to_string())
    };
    let value = |at: &f64| {
        let value = if chart.logarithmic { 10_f64.powf(*at) } else { *at };
        format!("{value}")
    };
    drawn
        .configure_mesh()
        .x_desc(chart.x)
        .x_label_formatter(&label)
        .y_label_formatter(&value)
        .draw()?;
    for (who, points) in lines {
        let points: Vec<(f64, f64)> = points.iter().map(|(x, y)| (*x, scale(*y))).collect();
        let style = colour(who).stroke_width(2);
        drawn.draw_series(LineSeries::new(points, style).point_size(3))?;
    }
    let names: Vec<&str> = lines.iter().map(|(who, _)| who.as_str()).collect();
    legend(&area, &names, colour)?;
    Ok(area.present()?)
}

fn legend(area: &Area, names: &[&str], colour: impl Fn(&str) -> RGBColor) -> Result<()> {
    let x = SIZE.0 as i32 - LEGEND + 14;
    for (row, name) in names.iter().enumerate() {
        let y = 50 + 20 * row as i32;
        area.draw(&Rectangle::new([(x, y - 2), (x + 16, y + 2)], colour(name).filled()))?;
        area.draw(&Text::new(name.to_string(), (x + 22, y - 6), ("sans-serif", 13)))?;
    }
    Ok(())
}

/// Bars: for each case one of each architecture.
fn instructions(directory: &Path) -> Result<()> {
    const TARGETS: [(&str, RGBColor); 7] = [
        ("x86_64", RGBColor(0, 114, 178)),
        ("aarch64", RGBColor(213, 94, 0)),
        ("riscv64gc", RGBColor(0, 158, 115)),
        ("i686", RGBColor(86, 180, 233)),
        ("armv7", RGBColor(230, 159, 0)),
        // Last: they lack the last cases.
        ("s390x", RGBColor(204, 121, 167)),
        ("powerpc64le", RGBColor(86, 86, 86)),
    ];
    let mut counts: Vec<(String, Vec<f64>)> = Vec::new();
    for (arch, _) in TARGETS {
        let abi = if arch == "armv7" { "gnueabihf" } else { "gnu" };
        let file = directory.with_file_name(format!("{arch}-unknown-linux-{abi}"));
        let text = fs::read_to_string(file.join("instructions.csv"))?;
        for line in text.lines().skip(1) {
            let (case, count) = line.split_once(',').ok_or("not a count")?;
            match counts.iter_mut().find(|(name, _)| name == case) {
                Some((_, counts)) => counts.push(count.parse()?),
                None => counts.push((case.to_string(), vec![count.parse()?])),
            }
        }
    }
    let most = counts.iter().flat_map(|(_, counts)| counts).fold(0.0_f64, |a, b| a.max(*b));

    let file = directory.join("instructions.svg");
    let area = SVGBackend::new(&file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let title = Text::new("instructions of a round trip", (190, 12), ("sans-serif", 17));
    area.draw(&title)?;
    let room = f64::from(SIZE.0 as i32 - LEGEND - 200);
    let height = (SIZE.1 as i32 - 50) / counts.len() as i32;
    for (row, (case, counts)) in counts.iter().enumerate() {
        let top = 42 + height * row as i32;
        area.draw(&Text::new(case.clone(), (14, top + height / 2 - 9), ("sans-serif", 13)))?;
        let bar = (height - 5) / TARGETS.len() as i32;
        for (n, (count, (_, colour))) in counts.iter().zip(TARGETS).enumerate() {
            let (y, end) = (top + bar * n as i32, 190 + (count / most * room) as i32);
            area.draw(&Rectangle::new([(190, y), (end, y + bar - 1)], colour.filled()))?;
            let label = format!("{count:.0}");
            area.draw(&Text::new(label, (end + 4, y), ("sans-serif", bar)))?;
        }
    }
    let names = TARGETS.map(|(name, _)| name);
    let colour = |who: &str| TARGETS.iter().find(|(name, _)| *name == who).map_or(BLACK, |t| t.1);
    legend(&area, &names, colour)?;
    Ok(area.present()?)
}
