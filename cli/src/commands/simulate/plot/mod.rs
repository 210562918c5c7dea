//! `--plot`: one picture of a simulation, to be shown around.
//!
//! Above, over all seeds: how long nodes took to know, and the figures. Below, of the first seed
//! and on one axis of time: what nodes sent, and who held whom as suspect or failed. The same runs
//! give the same bytes.

mod clock;
mod file;
mod grid;
mod ink;
mod known;
mod load;
mod marks;
mod summary;
mod verdicts;

use std::time::Duration;

use convoke_core::sim::report::Run;
use plotters::prelude::*;

use super::figures::Figures;
use super::plan::Plan;
use super::table::{name, percent};
use super::words::{count, counted};
use clock::Clock;
pub(super) use file::Target;
use ink::{Area, FAINT, INK, SMALL, bold, fitted, letters};
use known::Subject;
use marks::Marks;

const WIDTH: u32 = 1200;
const MARGIN: u32 = 32;
const HEADER: u32 = 78;
const ABOVE: u32 = 330;
/// Without a curve.
const ABOVE_BARE: u32 = 220;
const LOAD: u32 = 250;
const BETWEEN: u32 = 18;
const FOOTER: u32 = 40;

/// Draws the picture, as SVG.
///
/// # Errors
/// When the library can't draw.
pub(super) fn svg(plan: &Plan, figures: &Figures, first: &Run) -> anyhow::Result<String> {
    let clock = Clock::new(first.began, shown(first));
    let never = figures.never(plan.setup.scenario);
    let rows = grid::rows(&first.notes, &clock);
    let axis = (WIDTH - 2 * MARGIN) as i32 - ink::LEFT - ink::RIGHT;
    let marks = Marks::new(first, &clock, axis);
    let load = LOAD + marks.strip() as u32;
    let verdicts = verdicts::height(rows.len());
    let subject = Subject::of(figures);
    let above = if subject.is_some() { ABOVE } else { ABOVE_BARE };
    let height = HEADER + above + BETWEEN + load + BETWEEN + verdicts + FOOTER;
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE)?;
        let page = root.margin(0, 0, MARGIN, MARGIN);
        let (head, rest) = page.split_vertically(HEADER);
        let (above, rest) = rest.split_vertically(above);
        let (left, right) = above.split_horizontally((WIDTH - 2 * MARGIN) * 11 / 20);
        let (_, rest) = rest.split_vertically(BETWEEN);
        let (middle, rest) = rest.split_vertically(load);
        let (_, rest) = rest.split_vertically(BETWEEN);
        let (below, foot) = rest.split_vertically(verdicts);
        header(&head, plan)?;
        match subject {
            Some(subject) => known::draw(&left, &subject, figures.runs)?,
            None => known::nothing(&left, never)?,
        }
        let right = right.margin(0, 0, 36, 0);
        summary::draw(&right, figures, never, plan.setup.nodes)?;
        load::draw(&middle, first, plan.setup.nodes, &clock, &marks)?;
        verdicts::draw(&below, &rows, first, plan.setup.nodes, &clock, &marks)?;
        footer(&foot, plan, figures)?;
        root.present()?;
    }
    Ok(text)
}

/// For how long there is something to see: while it was measured, and until the last one changed
/// its mind or something was done. To the end where that is not good.
fn shown(run: &Run) -> Duration {
    let whole = run.ended.since(run.began);
    if !run.converged {
        return whole;
    }
    let notes = run.notes.iter().map(|note| note.at);
    let marks = run.marks.iter().map(|(at, _)| *at);
    let last = notes.chain(marks).max().unwrap_or(run.began);
    let busy = last.since(run.began).max(run.load.length());
    match busy.is_zero() {
        true => whole,
        false => busy.mul_f64(1.02).min(whole),
    }
}

fn header(area: &Area<'_>, plan: &Plan) -> anyhow::Result<()> {
    let setup = &plan.setup;
    area.draw_text(&plan.meaning, &bold(ink::TITLE, INK), (0, 32))?;
    let loss = match setup.loss {
        0.0 => "no loss".to_owned(),
        loss => format!("{} % loss", percent(loss)),
    };
    let seeds = match plan.seeds {
        1 => format!("seed {}", plan.first_seed),
        seeds => format!(
            "{} (the panels over time: seed {})",
            counted(seeds, "seed"),
            plan.first_seed
        ),
    };
    let words = format!(
        "{} nodes of {}, {} network, {loss}, {seeds}",
        count(setup.nodes as u64),
        name(setup.protocol),
        plan.net
    );
    area.draw_text(&words, &letters(ink::HEADING, FAINT), (0, 56))?;
    Ok(())
}

fn footer(area: &Area<'_>, plan: &Plan, figures: &Figures) -> anyhow::Result<()> {
    let trace = format!("trace {}", figures.trace_hash());
    let (right, room) = (area.dim_in_pixel().0 as i32, ink::width(&trace, SMALL) + 20);
    let command = fitted(&plan.command(), SMALL, right - room);
    area.draw_text(&command, &letters(SMALL, FAINT), (0, 20))?;
    area.draw_text(&trace, &ink::ending(&letters(SMALL, FAINT)), (right, 20))?;
    Ok(())
}

#[cfg(test)]
mod tests;
