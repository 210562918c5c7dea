//! Plots of the report, as SVG.

use std::collections::BTreeSet;

use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;

use super::engine::Engine;
use super::error::Error;
use super::figure::Quantity;
use super::outcome::Value;
use super::report::Entry;

const SIZE: (u32, u32) = (560, 300);
/// Okabe and Ito's, which people tell apart however they see colours.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x00, 0x00, 0x00),
];
/// The letters of axes and legends, in pixels.
const LETTERS: u32 = 13;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;
/// The size of a cluster; least, median and greatest.
type Point = (f64, [f64; 3]);
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Entries whose curves are drawn together: all sizes of one engine, or all engines of one size.
pub(super) fn together<'a>(entries: &[&'a Entry]) -> Vec<Vec<&'a Entry>> {
    if engines(entries).len() < 2 {
        return vec![entries.to_vec()];
    }
    let sizes: BTreeSet<usize> = entries.iter().map(|entry| entry.nodes).collect();
    let of_size = |size| entries.iter().filter(move |entry| entry.nodes == size);
    sizes
        .into_iter()
        .map(|size| of_size(size).copied().collect())
        .collect()
}

fn engines(entries: &[&Entry]) -> BTreeSet<Engine> {
    entries.iter().map(|entry| entry.engine).collect()
}

/// The share of all pairs that know after a time, a curve for each entry.
pub(super) fn known(entries: &[&Entry], title: &str) -> Result<String, Error> {
    svg(|area| {
        let curves: Vec<(String, Vec<(f64, f64)>)> = entries
            .iter()
            .map(|entry| (name(entry), curve(entry)))
            .collect();
        let ends = curves.iter().filter_map(|(_, curve)| curve.last());
        let end = ends.map(|(time, _)| *time).fold(1e-3, f64::max) * 1.05;
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(48)
            .build_cartesian_2d(0.0..end, 0.0..1.02)?;
        chart
            .configure_mesh()
            .label_style(("sans-serif", LETTERS))
            .x_desc(format!("{title}, s"))
            .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
            .draw()?;
        for (n, (name, curve)) in curves.into_iter().enumerate() {
            let colour = COLOURS[n % COLOURS.len()];
            chart
                .draw_series(LineSeries::new(curve, colour.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE)
            .label_font(("sans-serif", LETTERS))
            .draw()?;
        Ok(())
    })
}

fn name(entry: &Entry) -> String {
    format!("{} N={}", entry.engine.name(), entry.nodes)
}

/// A quantity by the size of the cluster, a line for each engine: the median of the rounds, and
/// their range.
pub(super) fn by_size(entries: &[&Entry], quantity: Quantity) -> Result<String, Error> {
    let of = |engine| {
        let entries = entries.iter().filter(move |entry| entry.engine == engine);
        entries
            .filter_map(|entry| point(entry, quantity))
            .collect::<Vec<_>>()
    };
    let lines: Vec<(Engine, Vec<_>)> = engines(entries)
        .into_iter()
        .map(|engine| (engine, of(engine)))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    let points: Vec<Point> = lines
        .iter()
        .flat_map(|(_, points)| points.clone())
        .collect();
    if points.is_empty() {
        return Ok(String::new());
    }
    svg(|area| {
        let sizes = points.iter().map(|(size, _)| *size);
        let (least, most) = (
            sizes.clone().fold(f64::MAX, f64::min),
            sizes.fold(0.0, f64::max),
        );
        let top = points
            .iter()
            .map(|(_, [_, _, max])| *max)
            .fold(0.0, f64::max);
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d(
                (least * 0.8..most * 1.25).log_scale(),
                0.0..top.max(1e-3) * 1.1,
            )?;
        chart
            .configure_mesh()
            .label_style(("sans-serif", LETTERS))
            .x_desc("nodes")
            .x_label_formatter(&|size| format!("{size:.0}"))
            .y_desc(described(quantity))
            .draw()?;
        for (n, (engine, points)) in lines.iter().enumerate() {
            let colour = COLOURS[n % COLOURS.len()];
            let medians = points.iter().map(|(size, [_, median, _])| (*size, *median));
            chart
                .draw_series(LineSeries::new(medians.clone(), colour.stroke_width(2)))?
                .label(engine.name())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
            chart.draw_series(medians.map(|at| Circle::new(at, 3, colour.filled())))?;
            let ranges = points
                .iter()
                .map(|(size, [min, _, max])| [(*size, *min), (*size, *max)]);
            chart.draw_series(ranges.map(|range| PathElement::new(range, colour)))?;
        }
        legend(&mut chart)
    })
}

fn legend<'a, 'b: 'a, Y: Ranged<ValueType = f64>, X: Ranged<ValueType = f64>>(
    chart: &mut Chart<'a, 'b, X, Y>,
) -> Drawn {
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .label_font(("sans-serif", LETTERS))
        .draw()?;
    Ok(())
}

fn described(quantity: Quantity) -> String {
    let unit = if quantity.is_time() { ", s" } else { "" };
    format!("{}{unit}", quantity.words())
}

/// Least, median and greatest; none where any did not come about.
fn point(entry: &Entry, quantity: Quantity) -> Option<Point> {
    let of = entry.quantity(quantity)?;
    let number = |value| match value {
        Value::Is(number) => Some(number),
        Value::NotWithin(_) => None,
    };
    Some((
        entry.nodes as f64,
        [number(of.min)?, number(of.median)?, number(of.max)?],
    ))
}

/// Steps, so that a point is a share that is reached.
fn curve(entry: &Entry) -> Vec<(f64, f64)> {
    let (mut curve, mut reached) = (vec![(0.0, 0.0)], 0.0);
    for (time, share) in entry.samples().cumulative() {
        let time = time.as_secs_f64();
        curve.extend([(time, reached), (time, share)]);
        reached = share;
    }
    curve
}

fn svg(draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, Error> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    let drawn = draw(&area).and_then(|()| Ok(area.present()?));
    drawn.map_err(|error| Error::Draw(error.to_string()))?;
    drop(area);
    Ok(text)
}
