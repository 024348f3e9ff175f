//! Two charts out of the points.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use super::Point;

const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(86, 180, 233), RGBColor(213, 94, 0), RGBColor(117, 112, 107)];

pub fn all(points: &[Point], directory: &Path) -> Result<(), Box<dyn Error>> {
    let time = |point: &Point| point.min;
    let memory = |point: &Point| point.bytes as f64 / 1024.0;
    // One job alone is charged with all that is mapped for the first one.
    let many: Vec<Point> = points.iter().filter(|point| point.jobs >= 100).cloned().collect();
    chart(points, time, "ns a turn, jobs in random order", &directory.join("turns.svg"))?;
    chart(&many, memory, "KiB of memory for each job", &directory.join("memory.svg"))
}

fn chart(
    points: &[Point],
    value: impl Fn(&Point) -> f64,
    title: &str,
    file: &Path,
) -> Result<(), Box<dyn Error>> {
    let mut cases: Vec<&str> = points.iter().map(|point| point.case.as_str()).collect();
    cases.dedup();
    cases.sort_unstable();
    cases.dedup();
    let first = points.iter().map(|point| point.jobs).min().ok_or("no points")? as f64;
    let least = points.iter().map(&value).fold(f64::MAX, f64::min) * 0.7;
    let most = points.iter().map(&value).fold(0.0, f64::max) * 1.5;

    let area = SVGBackend::new(file, (720, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(34)
        .y_label_area_size(52)
        .build_cartesian_2d((first..2e6).log_scale(), (least..most).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("jobs")
        .x_label_formatter(&|jobs| format!("{jobs:.0}"))
        .y_label_formatter(&|value| {
            if *value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
        })
        .light_line_style(WHITE.mix(0.0))
        .draw()?;
    for (case, colour) in cases.into_iter().zip(COLOURS) {
        let line = points.iter().filter(|point| point.case == case);
        let line: Vec<(f64, f64)> = line.map(|point| (point.jobs as f64, value(point))).collect();
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
