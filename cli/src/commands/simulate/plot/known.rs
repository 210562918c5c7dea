//! Panel: the time until it was known, as the share of those that know.

use std::time::Duration;

use convoke_core::Instant;
use plotters::prelude::*;

use super::super::distribution::Distribution;
use super::super::figures::{Figures, Never};
use super::super::words::{counted, spoken};
use super::clock::{Clock, tick};
use super::ink::{
    self, AXIS, Area, BLUE, BODY, FAINT, GRID, INK, LEFT, RED, RIGHT, SMALL, bold, centred, ending,
    heading, letters, width,
};

/// Steps of the curve, across and up; finer ones can't be seen.
const STEPS: f64 = 500.0;

/// How often the simulator looks whether it has come about.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// The top of the axis: above all of them there is room for a label.
const TOP: f64 = 1.13;

/// What the curve is of: of what happened, the first that every node had to learn of, or else the
/// cluster as a whole.
pub(super) struct Subject<'a> {
    times: &'a Distribution,
    title: &'static str,
    across: &'static str,
    up: &'static str,
}

impl<'a> Subject<'a> {
    /// None where nothing was to be known.
    pub(super) fn of(figures: &'a Figures) -> Option<Self> {
        let subjects = [
            Self {
                times: &figures.known,
                title: "Time until a node knew",
                across: "time since it happened",
                up: "nodes that know",
            },
            Self {
                times: &figures.healed,
                title: "Time until one cluster again",
                across: "time since the disturbance ended",
                up: "disturbances",
            },
            Self {
                times: &figures.known_by_all,
                title: "Time until all views were equal",
                across: "time since it began",
                up: "runs",
            },
            Self {
                times: &figures.failed_everywhere,
                title: "Time until a dead member is failed everywhere",
                across: "time since the death",
                up: "deaths",
            },
        ];
        subjects.into_iter().find(|subject| subject.times.len() > 0)
    }
}

/// Why there is no curve.
pub(super) fn nothing(area: &Area<'_>, never: Never) -> anyhow::Result<()> {
    match never {
        Never { healed: 1.., .. } => warn(area, "It was never one cluster again."),
        Never { known: 1.., .. } => warn(area, "Nobody ever knew."),
        _ => ink::nothing(area, "Nothing happened that every node had to learn."),
    }
}

fn warn(area: &Area<'_>, words: &str) -> anyhow::Result<()> {
    let (width, height) = area.dim_in_pixel();
    let middle = (width as i32 / 2, height as i32 / 2);
    Ok(area.draw_text(words, &centred(&bold(BODY, RED)), middle)?)
}

pub(super) fn draw(area: &Area<'_>, subject: &Subject<'_>, seeds: u64) -> anyhow::Result<()> {
    let (times, max) = (subject.times, subject.times.max().unwrap_or_default());
    let words = format!(
        "{} of {}",
        counted(times.len(), "sample"),
        counted(seeds, "seed")
    );
    heading(area, LEFT, subject.title, &words)?;
    let (_, area) = area.split_vertically(44);
    // What was looked at every millisecond is no shorter.
    let clock = Clock::new(Instant::ORIGIN, max.mul_f64(1.08).max(LOOK_EVERY));
    let mut chart = ChartBuilder::on(&area)
        .margin_right(RIGHT)
        .margin_top(4)
        .x_label_area_size(44)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(0.0..clock.end(), 0.0..TOP)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(AXIS)
        .label_style(letters(SMALL, FAINT))
        .axis_desc_style(letters(BODY, INK))
        .x_labels(7)
        .y_labels(6)
        .x_label_formatter(&|number| tick(*number))
        .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
        .x_desc(format!("{} ({})", subject.across, clock.unit()))
        .y_desc(subject.up)
        .draw()?;
    let curve = curve(times, &clock);
    chart.draw_series(LineSeries::new(curve, BLUE.stroke_width(2)))?;
    for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
        let Some(time) = times.quantile(share) else {
            continue;
        };
        let at = (clock.units(time), share);
        chart.draw_series([Circle::new(at, 4, BLUE.filled())])?;
        let (x, y) = chart.plotting_area().map_coordinate(&at);
        let (left, top) = area.get_base_pixel();
        label(
            &area,
            (x - left, y - top),
            &format!("{name} {}", spoken(time)),
        )?;
    }
    Ok(())
}

/// Above and left of a rising curve is free, and so is below and right.
fn label(area: &Area<'_>, (x, y): (i32, i32), text: &str) -> anyhow::Result<()> {
    let style = letters(BODY, INK);
    if x - LEFT > width(text, BODY) + 12 {
        area.draw_text(text, &ending(&style), (x - 2, y - 14))?;
    } else {
        area.draw_text(text, &style, (x + 9, y + 12))?;
    }
    Ok(())
}

/// The curve, thinned to what can be seen.
fn curve(known: &Distribution, clock: &Clock) -> Vec<(f64, f64)> {
    let mut curve = vec![(0.0, 0.0)];
    let mut drawn = (0.0, 0.0);
    for (time, share) in known.cumulative() {
        let time = clock.units(time);
        let seen = time - drawn.0 > clock.end() / STEPS || share - drawn.1 > 1.0 / STEPS;
        if seen || share >= 1.0 {
            curve.extend([(time, drawn.1), (time, share)]);
            drawn = (time, share);
        }
    }
    curve.push((clock.end(), 1.0));
    curve
}
