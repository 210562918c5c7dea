//! Panel: who was held as suspect or failed, or was forgotten, over time, and by how many.

use convoke_core::sim::report::Run;
use plotters::prelude::*;

use super::super::words::count;
use super::clock::{Clock, tick};
use super::grid::{COLUMNS, Held, Row};
use super::ink::{
    AXIS, Area, BODY, FAILED, FAINT, FORGOTTEN, GRID, INK, LEFT, RIGHT, SMALL, SUSPECT, between,
    ending, heading, letters, nothing,
};
use super::marks::Marks;

/// Shades from one observer to all.
const SHADES: u32 = 7;
/// The least distance between two labels.
const LABEL_PIXELS: i32 = 14;
/// Above and below the rows.
const FRAME_PIXELS: u32 = 44 + 8 + 46;

/// The rows together.
const ROWS_PIXELS_MAX: u32 = 360;
/// Of more rows, lines between them would hide what they part.
const LINED_ROWS_MAX: usize = 40;

/// How high the panel is with so many rows.
pub(super) fn height(rows: usize) -> u32 {
    FRAME_PIXELS + (rows as u32 * 20).clamp(60, ROWS_PIXELS_MAX)
}

pub(super) fn draw(
    area: &Area<'_>,
    rows: &[Row],
    run: &Run,
    nodes: usize,
    clock: &Clock,
    marks: &Marks,
) -> anyhow::Result<()> {
    let all = run.notes.len() >= Run::NOTES_MAX;
    let words = match (all, rows.iter().any(|row| row.subjects.0 != row.subjects.1)) {
        (true, _) => format!("the first {} changes of mind", count(Run::NOTES_MAX as u64)),
        (false, true) => "every member that was accused, several in a row".to_owned(),
        (false, false) => "every member that was accused".to_owned(),
    };
    let title = "Who was held as suspect or failed, or was forgotten";
    heading(area, LEFT, title, &words)?;
    legend(area, nodes)?;
    let (_, area) = area.split_vertically(44);
    let mut chart = ChartBuilder::on(&area)
        .margin_right(RIGHT)
        .margin_top(8)
        .x_label_area_size(46)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(0.0..clock.end(), 0.0..rows.len().max(1) as f64)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(AXIS)
        .label_style(letters(SMALL, FAINT))
        .axis_desc_style(letters(BODY, INK))
        .x_labels(12)
        .y_labels(0)
        .x_label_formatter(&|number| tick(*number))
        .x_desc(format!("time since measuring began ({})", clock.unit()))
        .draw()?;
    let plane = chart.plotting_area();
    for (index, row) in rows.iter().enumerate() {
        let (top, bottom) = ((rows.len() - index) as f64, (rows.len() - index - 1) as f64);
        if rows.len() <= LINED_ROWS_MAX {
            let line = [(0.0, bottom), (clock.end(), bottom)];
            plane.draw(&PathElement::new(line, GRID))?;
        }
        for (from, to, colour) in stretches(row, nodes) {
            let x = |column: usize| clock.end() * column as f64 / COLUMNS as f64;
            plane.draw(&Rectangle::new(
                [(x(from), top), (x(to), bottom)],
                colour.filled(),
            ))?;
        }
    }
    marks.draw_lines(&chart, clock, rows.len().max(1) as f64)?;
    if rows.is_empty() {
        let (plane, _) = area.split_vertically(area.dim_in_pixel().1 as i32 - 46);
        return nothing(&plane, "Nobody was held as suspect or failed.");
    }
    labels(&area, rows)
}

/// Columns next to each other that look the same: from, to, and their colour.
fn stretches(row: &Row, nodes: usize) -> Vec<(usize, usize, RGBColor)> {
    let mut stretches: Vec<(usize, usize, RGBColor)> = Vec::new();
    for (column, held) in row.cells.iter().enumerate() {
        let Some(colour) = colour(*held, nodes) else {
            continue;
        };
        match stretches.last_mut() {
            Some((_, to, last)) if *to == column && *last == colour => *to = column + 1,
            _ => stretches.push((column, column + 1, colour)),
        }
    }
    stretches
}

/// The colour of what more observers hold; nobody holds anything: none.
fn colour(held: Held, nodes: usize) -> Option<RGBColor> {
    // Of equal ones the last, which is the worst.
    let ramps = [
        (held.suspect, SUSPECT),
        (held.failed, FAILED),
        (held.forgotten, FORGOTTEN),
    ];
    let (observers, ramp) = ramps.into_iter().max_by_key(|(observers, _)| *observers)?;
    (observers > 0).then(|| {
        between(
            ramp,
            f64::from(shade(observers, nodes)) / f64::from(SHADES - 1),
        )
    })
}

/// The shade for so many observers, by their logarithm: one is to be seen beside a thousand.
fn shade(observers: u32, nodes: usize) -> u32 {
    let most = (nodes.saturating_sub(1)).max(2) as f64;
    let share = f64::from(observers).ln() / most.ln();
    ((share * f64::from(SHADES - 1)).round() as u32).min(SHADES - 1)
}

/// The ramps, at the right end of the heading.
fn legend(area: &Area<'_>, nodes: usize) -> anyhow::Result<()> {
    const SWATCH: i32 = 16;
    let right = area.dim_in_pixel().0 as i32 - RIGHT;
    let most = count(nodes.saturating_sub(1) as u64);
    let wide = SWATCH * SHADES as i32;
    let mut x = right - wide;
    let ramps = [
        ("forgotten", FORGOTTEN),
        ("failed", FAILED),
        ("suspect", SUSPECT),
    ];
    for (name, ramp) in ramps {
        for step in 0..SHADES as i32 {
            let colour = between(ramp, f64::from(step) / f64::from(SHADES - 1));
            let corner = (x + step * SWATCH, 6);
            let cell = [corner, (corner.0 + SWATCH, 18)];
            area.draw(&Rectangle::new(cell, colour.filled()))?;
        }
        area.draw_text(name, &ending(&letters(BODY, INK)), (x - 8, 12))?;
        let small = letters(SMALL, FAINT);
        area.draw_text("1", &small, (x, 28))?;
        area.draw_text(
            &format!("{most} observers"),
            &ending(&small),
            (x + wide, 28),
        )?;
        x -= wide + 84;
    }
    Ok(())
}

/// As many labels as fit.
fn labels(area: &Area<'_>, rows: &[Row]) -> anyhow::Result<()> {
    let high = area.dim_in_pixel().1 as i32 - 46 - 8;
    let wanted = LABEL_PIXELS as usize * rows.len();
    let every = wanted.div_ceil(usize::try_from(high).unwrap_or(0).max(1));
    let style = ending(&letters(SMALL, FAINT));
    for (index, row) in rows.iter().enumerate().step_by(every.max(1)) {
        let label = match row.subjects {
            (first, last) if first == last => format!("node {first}"),
            (first, last) => format!("{first}–{last}"),
        };
        let y = 8 + (f64::from(high) * (index as f64 + 0.5) / rows.len() as f64) as i32;
        area.draw_text(&label, &style, (LEFT - 8, y))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_observer_is_light_and_all_are_dark() {
        assert_eq!(shade(1, 1000), 0);
        assert_eq!(shade(999, 1000), SHADES - 1);
        assert!(shade(30, 1000) > 1 && shade(30, 1000) < SHADES - 1);
        for nodes in [2, 3, 100_000] {
            assert_eq!(shade(1, nodes), 0, "{nodes}");
            assert!(shade(u32::MAX, nodes) < SHADES, "{nodes}");
        }
    }

    #[test]
    fn the_colour_is_that_of_what_more_observers_hold() {
        let colour = |suspect, failed| {
            let held = Held {
                suspect,
                failed,
                ..Held::default()
            };
            super::colour(held, 10)
        };
        assert_eq!(colour(0, 0), None);
        assert_eq!(colour(1, 0), Some(SUSPECT.0));
        assert_eq!(colour(1, 1), Some(FAILED.0));
        assert_eq!(colour(9, 1), Some(SUSPECT.1));
        assert_eq!(colour(1, 9), Some(FAILED.1));
        let forgotten = Held {
            forgotten: 9,
            ..Held::default()
        };
        assert_eq!(super::colour(forgotten, 10), Some(FORGOTTEN.1));
    }

    #[test]
    fn columns_that_look_the_same_are_one_stretch() {
        let mut cells = vec![Held::default(); COLUMNS];
        for cell in &mut cells[3..7] {
            cell.failed = 1;
        }
        cells[9].suspect = 1;
        let row = Row {
            subjects: (1, 1),
            cells,
        };
        let expected = [(3, 7, FAILED.0), (9, 10, SUSPECT.0)];
        assert_eq!(stretches(&row, 10), expected);
    }
}
