//! Two charts out of the points.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use super::Point;

const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(86, 180, 233), RGBColor(213, 94, 0), RGBColor(117, 112, 107)];

/// What is drawn upwards.
struct Axis {
    title: &'static str,
    value: fn(&Point) -> f64,
    label: fn(&f64) -> String,
    most: f64,
}

pub fn all(points: &[Point], directory: &Path) -> Result<(), Box<dyn Error>> {
    let turns = Axis {
        title: "ns a turn, jobs in random order",
        value: |point| point.min.log10(),
        label: |power| format!("{:.0}", 10_f64.powf(*power)),
        most: 3.4,
    };
    let memory = Axis {
        title: "KiB of memory for each job",
        value: |point| point.bytes as f64 / 1024.0,
        label: |kib| format!("{kib:.0}"),
        most: 8.5,
    };
    // The first few are charged with all that is mapped for many.
    let many: Vec<Point> = points.iter().filter(|point| point.jobs >= 100).cloned().collect();
    chart(points, &turns, &directory.join("turns.svg"))?;
    chart(&many, &memory, &directory.join("memory.svg"))
}

fn chart(points: &[Point], axis: &Axis, file: &Path) -> Result<(), Box<dyn Error>> {
    let mut cases: Vec<&str> = points.iter().map(|point| point.case.as_str()).collect();
    cases.sort_unstable();
    cases.dedup();
    let first = points.iter().map(|point| point.jobs).min().ok_or("no points")? as f64;

    let area = SVGBackend::new(file, (720, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(axis.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(34)
        .y_label_area_size(52)
        .build_cartesian_2d((first..2e6).log_scale(), 0.0..axis.most)?;
    chart
        .configure_mesh()
        .x_desc("jobs")
        .x_label_formatter(&|jobs| format!("{jobs:.0}"))
        .y_labels(axis.most as usize + 1)
        .y_label_formatter(&axis.label)
        .light_line_style(WHITE.mix(0.0))
        .draw()?;
    for (case, colour) in cases.into_iter().zip(COLOURS) {
        let line = points.iter().filter(|point| point.case == case);
        let line: Vec<(f64, f64)> =
            line.map(|point| (point.jobs as f64, (axis.value)(point))).collect();
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)).point_size(3))?
            .label(case)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .draw()?;
    Ok(area.present()?)
}
