//! Loss and PCK over the steps, as SVG.

use super::{Folder, Record, file};
use crate::Error;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (800, 480);
/// Told apart with every kind of colour vision: Okabe and Ito, "Color Universal Design", 2008.
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
];
/// A line has no more points than the plot has columns.
const MOST_POINTS: usize = 800;
/// The smoothed loss is the mean over this part of the run around each step.
const SMOOTHED_OVER: usize = 25;

struct Line {
    label: String,
    colour: RGBColor,
    /// From 0 to 1.
    strength: f64,
    points: Vec<(f64, f64)>,
}

/// Draws both plots of a run.
pub(crate) fn draw(folder: &Folder, records: &[Record]) -> Result<(), Error> {
    // the legend where such curves seldom are
    save(&folder.loss_plot(), "loss", SeriesLabelPosition::UpperRight, &losses(records))?;
    save(&folder.pck_plot(), "PCK per image, %", SeriesLabelPosition::LowerRight, &pcks(records))
}

fn losses(records: &[Record]) -> Vec<Line> {
    let losses = records.iter().filter_map(|record| match record {
        Record::Step { step, loss, .. } => Some((*step as f64, *loss)),
        Record::Validation { .. } => None,
    });
    let losses: Vec<_> = losses.collect();
    let together = losses.len().div_ceil(MOST_POINTS).max(1);
    let half = losses.len() / SMOOTHED_OVER / 2;
    let mean = |part: &[(f64, f64)]| part.iter().map(|(_, loss)| loss).sum::<f64>() / part.len() as f64;
    let points = losses.chunks(together).map(|chunk| (chunk[chunk.len() / 2].0, mean(chunk))).collect();
    let smoothed = (0..losses.len()).step_by(together).map(|at| {
        let around = at.saturating_sub(half)..(at + half + 1).min(losses.len());
        (losses[at].0, mean(&losses[around]))
    });
    let label = if together == 1 { "each step".into() } else { format!("mean of {together} steps") };
    let smoothed = Line { label: "smoothed".into(), colour: COLOURS[0], strength: 1.0, points: smoothed.collect() };
    vec![Line { label, colour: COLOURS[0], strength: 0.3, points }, smoothed]
}

fn pcks(records: &[Record]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for record in records {
        let Record::Validation { step, per_image, .. } = record else { continue };
        for (index, (alpha, pck)) in per_image.iter().enumerate() {
            if lines.len() == index {
                let colour = COLOURS[index % COLOURS.len()];
                lines.push(Line { label: format!("α = {alpha}"), colour, strength: 1.0, points: Vec::new() });
            }
            lines[index].points.push((*step as f64, 100.0 * pck));
        }
    }
    lines
}

fn save(path: &Path, axis: &str, legend: SeriesLabelPosition, lines: &[Line]) -> Result<(), Error> {
    let mut svg = String::new();
    render(&mut svg, axis, legend, lines).map_err(|reason| Error::File { path: path.into(), reason })?;
    file::replace(path, svg.as_bytes())
}

fn render(svg: &mut String, axis: &str, legend: SeriesLabelPosition, lines: &[Line]) -> Result<(), String> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let most = points().fold((1.0_f64, f64::MIN_POSITIVE), |most, point| (most.0.max(point.0), most.1.max(point.1)));
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let fault = |error: DrawingAreaErrorKind<_>| error.to_string();
    area.fill(&WHITE).map_err(fault)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..most.0, 0.0..most.1 * 1.05)
        .map_err(fault)?;
    let whole = |step: &f64| format!("{step:.0}");
    let mut mesh = chart.configure_mesh();
    mesh.max_light_lines(0).bold_line_style(BLACK.mix(0.12)).axis_style(BLACK.mix(0.6));
    mesh.x_desc("step").y_desc(axis).x_label_formatter(&whole).draw().map_err(fault)?;
    for line in lines {
        let style = line.colour.mix(line.strength).stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style))
            .map_err(fault)?
            .label(&line.label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    let mut labels = chart.configure_series_labels();
    labels.position(legend).background_style(WHITE.mix(0.9)).border_style(BLACK.mix(0.3)).draw().map_err(fault)?;
    drop(chart);
    area.present().map_err(fault)
}
