//! What was done to the cluster: a line at its moment, and a label where there is room for one.

use convoke_core::Instant;
use convoke_core::sim::report::Run;
use plotters::prelude::*;

use super::clock::Clock;
use super::ink::{Area, FAINT, INK, LEFT, Plane, RIGHT, SMALL, bold, ending, letters, width};

/// Between the labels and the axis above which they stand.
pub(super) const GAP: i32 = 2;
/// The most lines; a scenario may do something every second for hours.
const LINES_MAX: usize = 240;
/// How many rows of labels there are at the most.
const ROWS_MAX: usize = 3;
/// A row of labels.
const ROW_PIXELS: i32 = 16;
/// Between two labels in a row.
const SPACE_PIXELS: i32 = 14;

/// Marks, laid out.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    moments: Vec<Instant>,
    labels: Vec<Label>,
    rows: usize,
    /// How many have no label for want of room.
    unnamed: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Label {
    text: String,
    /// Where it begins, from the axis on.
    x: i32,
    /// The last row is nearest to the axis.
    row: usize,
}

impl Marks {
    /// Lays the marks of a run out over an axis that is `room` pixels long. In the order of time,
    /// each label takes the row nearest to the axis that is free there.
    pub(super) fn new(run: &Run, clock: &Clock, room: i32) -> Self {
        let mut marks: Vec<&(Instant, String)> = run.marks.iter().collect();
        marks.sort_by_key(|(at, _)| *at);
        let mut free = [0; ROWS_MAX];
        let (mut labels, mut unnamed) = (Vec::new(), 0);
        for (at, text) in &marks {
            let x = (clock.at(*at) / clock.end() * f64::from(room)) as i32;
            let wide = width(text, SMALL);
            // A label at the right end reaches back.
            let x = x.min(room - wide);
            match free.iter().position(|free| x >= *free) {
                Some(row) => {
                    free[row] = x + wide + SPACE_PIXELS;
                    labels.push(Label {
                        text: text.clone(),
                        x,
                        row,
                    });
                }
                None => unnamed += 1,
            }
        }
        let rows = labels.iter().map(|label| label.row + 1).max().unwrap_or(0);
        let every = marks.len().div_ceil(LINES_MAX).max(1);
        Self {
            moments: marks.iter().step_by(every).map(|(at, _)| *at).collect(),
            labels,
            rows,
            unnamed,
        }
    }

    /// How high the labels are in all.
    pub(super) const fn strip(&self) -> i32 {
        self.rows as i32 * ROW_PIXELS
    }

    /// Draws the labels from the top of an area on.
    pub(super) fn draw_labels(&self, area: &Area<'_>) -> anyhow::Result<()> {
        for label in &self.labels {
            let y = (self.rows - label.row) as i32 * ROW_PIXELS - ROW_PIXELS / 2;
            area.draw_text(&label.text, &bold(SMALL, INK), (LEFT + label.x, y))?;
        }
        if self.unnamed > 0 {
            let text = format!("and {} more", self.unnamed);
            let right = area.dim_in_pixel().0 as i32 - RIGHT;
            let style = ending(&letters(SMALL, FAINT));
            area.draw_text(&text, &style, (right, -28))?;
        }
        Ok(())
    }

    /// Draws a line at each moment, from the axis to the top.
    pub(super) fn draw_lines(
        &self,
        chart: &ChartContext<'_, SVGBackend<'_>, Plane>,
        clock: &Clock,
        top: f64,
    ) -> anyhow::Result<()> {
        for moment in &self.moments {
            let x = clock.at(*moment);
            let line = PathElement::new([(x, 0.0), (x, top)], INK.mix(0.55).stroke_width(1));
            chart.plotting_area().draw(&line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn marks(times: &[(u64, &str)]) -> Marks {
        let mark = |(second, text): &(u64, &str)| {
            (Instant::from_micros(second * 1_000_000), (*text).to_owned())
        };
        let run = Run {
            marks: times.iter().map(mark).collect(),
            ..Run::default()
        };
        let clock = Clock::new(Instant::ORIGIN, Duration::from_secs(100));
        Marks::new(&run, &clock, 1000)
    }

    #[test]
    fn labels_never_lie_on_each_other() {
        let many: Vec<(u64, &str)> = (0..100).map(|second| (second, "links fail")).collect();
        let marks = marks(&many);
        assert_eq!(marks.labels.len() + marks.unnamed, 100);
        assert!(marks.unnamed > 0);
        for (index, label) in marks.labels.iter().enumerate() {
            let next = marks.labels[index + 1..]
                .iter()
                .find(|next| next.row == label.row);
            let end = label.x + width(&label.text, SMALL);
            assert!(next.is_none_or(|next| next.x > end), "{label:?} {next:?}");
            assert!(end <= 1000, "{label:?}");
        }
    }

    #[test]
    fn marks_far_apart_stand_in_one_row() {
        let marks = marks(&[(80, "healed"), (10, "cut")]);
        let rows: Vec<(usize, i32)> = marks.labels.iter().map(|l| (l.row, l.x)).collect();
        assert_eq!(rows, [(0, 100), (0, 800)]);
        assert_eq!(marks.strip(), ROW_PIXELS);
    }

    #[test]
    fn lines_are_bounded() {
        let many: Vec<(u64, &str)> = (0..1000).map(|n| (n / 10, "x")).collect();
        assert!(marks(&many).moments.len() <= LINES_MAX);
    }
}
