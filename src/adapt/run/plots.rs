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
/// The smoothed loss keeps so much of what it was at each step.
const KEEP: f64 = 0.95;

struct Line {
    label: String,
    colour: RGBColor,
    /// From 0 to 1.
    strength: f64,
    points: Vec<(f64, f64)>,
}

/// Draws both plots of a run.
pub(crate) fn draw(folder: &Folder, records: &[Record]) -> Result<(), Error> {
    save(&folder.loss_plot(), "loss", &losses(records))?;
    save(&folder.pck_plot(), "PCK per image, %", &pcks(records))
}

fn losses(records: &[Record]) -> Vec<Line> {
    let losses = records.iter().filter_map(|record| match record {
        Record::Step { step, loss, .. } => Some((*step as f64, *loss)),
        Record::Validation { .. } => None,
    });
    let points: Vec<_> = losses.collect();
    let mut mean = points.first().map_or(0.0, |point| point.1);
    let smoothed = points.iter().map(|&(step, loss)| {
        mean = KEEP * mean + (1.0 - KEEP) * loss;
        (step, mean)
    });
    let smoothed = Line { label: "smoothed".into(), colour: COLOURS[0], strength: 1.0, points: smoothed.collect() };
    vec![Line { label: "each step".into(), colour: COLOURS[0], strength: 0.3, points }, smoothed]
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

fn save(path: &Path, axis: &str, lines: &[Line]) -> Result<(), Error> {
    let mut svg = String::new();
    render(&mut svg, axis, lines).map_err(|reason| Error::File { path: path.into(), reason })?;
    file::replace(path, svg.as_bytes())
}

fn render(svg: &mut String, axis: &str, lines: &[Line]) -> Result<(), String> {
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
    chart.configure_mesh().x_desc("step").y_desc(axis).x_label_formatter(&whole).draw().map_err(fault)?;
    for line in lines {
        let style = line.colour.mix(line.strength).stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style))
            .map_err(fault)?
            .label(&line.label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    let legend = chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw();
    legend.map_err(fault)?;
    area.present().map_err(fault)
}
