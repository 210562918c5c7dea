//! Panel: what a node sent, over time.

use convoke_core::sim::report::Run;
use plotters::prelude::*;

use super::super::words::{bytes, spoken};
use super::clock::{Clock, tick};
use super::ink::{
    self, AXIS, Area, BODY, FAINT, GREEN, GRID, INK, LEFT, Plane, RIGHT, SHADE, SMALL, centred,
    heading, letters, nothing,
};
use super::marks::{self, Marks};

/// The most bins that are drawn; of more, several are one.
const BINS_MAX: usize = 320;

pub(super) fn draw(
    area: &Area<'_>,
    run: &Run,
    nodes: usize,
    clock: &Clock,
    marks: &Marks,
) -> anyhow::Result<()> {
    let together = run.load.bins.len().div_ceil(BINS_MAX).max(1);
    let width = run.load.width * u32::try_from(together).unwrap_or(u32::MAX);
    let rates = rates(run, nodes, together);
    let most = rates.iter().copied().fold(0.0, f64::max);
    let words = match rates.is_empty() {
        true => String::new(),
        false => format!(
            "sent by a node, on average, with all headers; in steps of {}, at most {} a second",
            spoken(width),
            bytes(most)
        ),
    };
    heading(area, LEFT, "Load over time", &words)?;
    let (_, area) = area.split_vertically(44);
    let Some(unit) = unit(most) else {
        return nothing(&area, "Nothing was sent while it was measured.");
    };
    marks.draw_labels(&area)?;
    let (_, area) = area.split_vertically(marks.strip());
    let top = most / unit.0 * 1.08;
    let mut chart = ChartBuilder::on(&area)
        .margin_right(RIGHT)
        .margin_top(marks::GAP)
        .x_label_area_size(26)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(0.0..clock.end(), 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(AXIS)
        .label_style(letters(SMALL, FAINT))
        .axis_desc_style(letters(BODY, INK))
        .x_labels(12)
        .y_labels(5)
        .x_label_formatter(&|number| tick(*number))
        .y_label_formatter(&|number| tick(*number))
        .y_desc(format!("{}/s of a node", unit.1))
        .draw()?;
    unmeasured(&chart, clock, clock.units(run.load.length()), top)?;
    let end = clock.end().min(clock.units(run.load.length()));
    let steps = steps(&rates, clock.units(width), end, unit.0);
    let mut filled = steps.clone();
    filled.extend([(steps[steps.len() - 1].0, 0.0), (steps[0].0, 0.0)]);
    chart.draw_series([Polygon::new(filled, GREEN.mix(0.22))])?;
    chart.draw_series(LineSeries::new(steps, GREEN.stroke_width(1)))?;
    marks.draw_lines(&chart, clock, top)
}

/// Shows where nothing was measured, so that nobody takes it for silence.
fn unmeasured(
    chart: &ChartContext<'_, SVGBackend<'_>, Plane>,
    clock: &Clock,
    from: f64,
    top: f64,
) -> anyhow::Result<()> {
    let plane = chart.plotting_area();
    let (from, end) = (from.min(clock.end()), clock.end());
    plane.draw(&Rectangle::new([(from, 0.0), (end, top)], SHADE.filled()))?;
    let words = "not measured";
    let [left, right] = [from, end].map(|x| plane.map_coordinate(&(x, 0.0)).0);
    if right - left > ink::width(words, SMALL) + 16 {
        let style = centred(&letters(SMALL, FAINT));
        let middle = ((from + end) / 2.0, top / 2.0);
        plane.draw(&Text::new(words, middle, style))?;
    }
    Ok(())
}

/// Bytes that a node sent in a second, for each bin.
fn rates(run: &Run, nodes: usize, together: usize) -> Vec<f64> {
    let seconds = run.load.width.as_secs_f64();
    if seconds <= 0.0 {
        return Vec::new();
    }
    let length = run.load.length().as_secs_f64();
    let rate = |(index, bins): (usize, &[(u64, u64)])| {
        let sent: u64 = bins.iter().map(|(_, bytes)| bytes).sum();
        let begun = seconds * (index * together) as f64;
        let time = (seconds * bins.len() as f64).min(length - begun);
        sent as f64 / (time * nodes as f64)
    };
    run.load
        .bins
        .chunks(together)
        .enumerate()
        .map(rate)
        .collect()
}

/// The unit that suits the most: how many bytes, and its name. None where nothing was sent.
fn unit(most: f64) -> Option<(f64, &'static str)> {
    match most {
        _ if most <= 0.0 => None,
        _ if most < 1e3 => Some((1.0, "B")),
        _ if most < 1e6 => Some((1e3, "KB")),
        _ => Some((1e6, "MB")),
    }
}

/// The outline of the bins, up to the end of the axis.
fn steps(rates: &[f64], width: f64, end: f64, unit: f64) -> Vec<(f64, f64)> {
    let corners = rates.iter().enumerate().flat_map(|(index, rate)| {
        let from = width * index as f64;
        [from, from + width].map(|x| (x.min(end), rate / unit))
    });
    corners.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use convoke_core::sim::report::Load;
    use std::time::Duration;

    #[test]
    fn bins_become_bytes_a_second_of_one_node() {
        let run = Run {
            load: Load {
                width: Duration::from_millis(500),
                bins: vec![(1, 1000), (1, 3000), (0, 0)],
                ..Load::default()
            },
            ..Run::default()
        };
        assert_eq!(rates(&run, 10, 1), [200.0, 600.0, 0.0]);
        assert_eq!(rates(&run, 10, 2), [400.0, 0.0]);
        assert_eq!(rates(&Run::default(), 10, 1), [0.0; 0]);
        let short = Run {
            load: Load {
                last: Some(Duration::from_millis(50)),
                bins: vec![(1, 1000)],
                ..run.load
            },
            ..Run::default()
        };
        assert_eq!(rates(&short, 10, 1), [2000.0]);
    }

    #[test]
    fn the_outline_ends_with_the_axis() {
        let steps = steps(&[1.0, 3.0], 2.0, 3.0, 1.0);
        assert_eq!(steps, [(0.0, 1.0), (2.0, 1.0), (2.0, 3.0), (3.0, 3.0)]);
    }
}
