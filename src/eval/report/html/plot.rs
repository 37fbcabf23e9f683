//! Lines and bars as SVG.

use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::colour;
use crate::Error;
use crate::pck::Interval;

/// Units of the drawing in a pixel of the page: the backend draws at whole numbers, and a curve wants finer ones.
const FINE: u32 = 8;

/// What is drawn in black takes the colour of the page's text.
const INK: RGBColor = BLACK;

/// What a plot is and what its axes are.
pub(super) struct Axes<'a> {
    /// What the plot shows, for those who do not see it.
    pub label: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    /// The greatest x.
    pub x_most: f64,
    /// The greatest y; 100 for percentages.
    pub y_most: f64,
    /// Decimals of the numbers at the x axis.
    pub decimals: usize,
    /// Whether to draw the diagonal, on which confidence and outcome agree.
    pub diagonal: bool,
}

/// A line of one run.
pub(super) struct Line {
    /// Which run.
    pub run: usize,
    /// Radius of a dot at each point, px; 0 for none.
    pub dots: u32,
    pub points: Vec<(f64, f64)>,
}

/// Lines over one pair of axes, from 0.
pub(super) fn lines(axes: &Axes<'_>, lines: &[Line]) -> Result<Markup, Error> {
    // ticks are a tenth apart or more
    let decimals = usize::from(axes.y_most < 10.0);
    svg((560, 360), axes.label, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8 * FINE)
            .margin_right(18 * FINE)
            .x_label_area_size(44 * FINE)
            .y_label_area_size(54 * FINE)
            .build_cartesian_2d(0.0..axes.x_most, 0.0..axes.y_most)?;
        chart
            .configure_mesh()
            .x_desc(axes.x)
            .y_desc(axes.y)
            .x_labels(11)
            .y_labels(11)
            .x_label_formatter(&|x| format!("{x:.*}", axes.decimals))
            .y_label_formatter(&|y| format!("{y:.decimals$}"))
            .label_style(("sans-serif", 14 * FINE))
            .axis_desc_style(("sans-serif", 15 * FINE))
            .axis_style(INK.mix(0.6).stroke_width(FINE))
            .bold_line_style(INK.mix(0.13).stroke_width(FINE))
            .light_line_style(TRANSPARENT)
            .set_all_tick_mark_size(6 * FINE)
            .draw()?;
        if axes.diagonal {
            let ends = [(0.0, 0.0), (axes.x_most, axes.y_most)];
            chart.draw_series(DashedLineSeries::new(ends, 2 * FINE, 5 * FINE, INK.mix(0.6).stroke_width(FINE)))?;
        }
        for line in lines {
            let points = line.points.iter().copied().filter(|(x, _)| *x <= axes.x_most);
            let style = rgb(line.run).stroke_width(2 * FINE);
            chart.draw_series(LineSeries::new(points.clone(), style))?;
            if line.dots > 0 {
                chart.draw_series(points.map(|point| Circle::new(point, line.dots * FINE, rgb(line.run).filled())))?;
            }
        }
        Ok(())
    })
}

/// A bar: its length and where it may lie by chance.
pub(super) type Bar = Option<(f64, Option<Interval>)>;

/// Bars to the right, a group for each name and in it a bar for each run; lengths are shares and are drawn in percent.
pub(super) fn bars(label: &str, x: &str, groups: &[(&str, Vec<Bar>)]) -> Result<Markup, Error> {
    let runs = groups.iter().map(|(_, bars)| bars.len()).max().unwrap_or_default().max(1);
    let longest = groups.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default().min(40);
    let band = (runs as u32 * 11 + 9).max(22);
    let most = groups.iter().flat_map(|(_, bars)| bars.iter().flatten());
    let most = most.map(|(value, interval)| interval.map_or(*value, |interval| interval.high.max(*value)));
    // the next ten percent
    let most = (most.fold(0.1, f64::max).min(1.0) * 10.0).ceil() * 10.0;
    svg((860, band * groups.len() as u32 + 64), label, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8 * FINE)
            .margin_right(24 * FINE)
            .x_label_area_size(44 * FINE)
            .y_label_area_size((24 + longest as u32 * 8) * FINE)
            .build_cartesian_2d(0.0..most, (0..groups.len().saturating_sub(1)).into_segmented())?;
        chart
            .configure_mesh()
            .x_desc(x)
            .disable_y_mesh()
            .x_labels(11)
            .y_labels(groups.len())
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|place| match place {
                // the first group is the topmost
                SegmentValue::CenterOf(place) => name_from_top(groups, *place),
                _ => String::new(),
            })
            .label_style(("sans-serif", 14 * FINE))
            .axis_desc_style(("sans-serif", 15 * FINE))
            .axis_style(INK.mix(0.6).stroke_width(FINE))
            .bold_line_style(INK.mix(0.13).stroke_width(FINE))
            .light_line_style(TRANSPARENT)
            .set_all_tick_mark_size(6 * FINE)
            .draw()?;
        let plotting = chart.plotting_area().strip_coord_spec();
        let ((width, height), scale) = (plotting.dim_in_pixel(), f64::from(plotting.dim_in_pixel().0) / most);
        let fine = FINE as i32;
        let pixel = |share: f64| ((share * 100.0 * scale).round() as i32).clamp(0, width as i32);
        for (group, (_, bars)) in groups.iter().enumerate() {
            let top = (f64::from(height) * group as f64 / groups.len() as f64).round() as i32 + 5 * fine;
            for (run, bar) in bars.iter().enumerate() {
                let Some((value, interval)) = bar else { continue };
                let (from, to) = (top + run as i32 * 11 * fine, top + (run as i32 * 11 + 9) * fine);
                plotting.draw(&Rectangle::new([(0, from), (pixel(*value), to)], rgb(run).filled()))?;
                if let Some(interval) = interval {
                    let middle = (from + to) / 2;
                    let whisker = [(pixel(interval.low), middle), (pixel(interval.high), middle)];
                    plotting.draw(&PathElement::new(whisker, INK.mix(0.75).stroke_width(FINE)))?;
                }
            }
        }
        Ok(())
    })
}

fn name_from_top(groups: &[(&str, Vec<Bar>)], place: usize) -> String {
    let name = groups.len().checked_sub(place + 1).and_then(|place| groups.get(place)).map_or("", |(name, _)| name);
    let short: String = name.chars().take(40).collect();
    if short.len() < name.len() { format!("{short}…") } else { short }
}

fn rgb(run: usize) -> RGBColor {
    let digits = u32::from_str_radix(colour(run).trim_start_matches('#'), 16).unwrap_or_default();
    let [_, red, green, blue] = digits.to_be_bytes();
    RGBColor(red, green, blue)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failed = DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>;

/// A figure with the drawing, named for those who do not see it.
fn svg(size: (u32, u32), label: &str, paint: impl FnOnce(&Area<'_>) -> Result<(), Failed>) -> Result<Markup, Error> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (size.0 * FINE, size.1 * FINE)).into_drawing_area();
        paint(&area).and_then(|()| area.present()).map_err(|error| Error::Plot(error.to_string()))?;
    }
    // the backend writes no classes, but it writes every colour in one way
    let drawn = text.replace("\"#000000\"", "\"currentColor\"");
    let inner = drawn.split_once('>').map_or("", |(_, rest)| rest);
    let inner = inner.rsplit_once("</svg>").map_or(inner, |(inner, _)| inner);
    Ok(html! {
        figure class="plot" {
            svg viewBox={ "0 0 " (size.0 * FINE) " " (size.1 * FINE) } width=(size.0) height=(size.1) role="img" aria-label=(label) {
                (PreEscaped(inner))
            }
        }
    })
}
