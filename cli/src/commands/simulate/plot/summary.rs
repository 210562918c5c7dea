//! Panel: the figures beside the curves.

use super::super::distribution::Distribution;
use super::super::figures::{Figures, Never};
use super::super::words::{bytes, count, counted, number, spoken};
use super::ink::{Area, BODY, FAINT, GRID, INK, RED, SMALL, bold, ending, heading, letters};

use plotters::prelude::*;

/// A line of the table.
const LINE_PIXELS: i32 = 22;
/// Where the three columns of numbers end, from the right.
const COLUMNS: [i32; 3] = [190, 100, 10];

pub(super) fn draw(
    area: &Area<'_>,
    figures: &Figures,
    never: Never,
    nodes: usize,
) -> anyhow::Result<()> {
    heading(area, 0, "In figures", "")?;
    let right = area.dim_in_pixel().0 as i32 - 10;
    let mut y = 34;
    let small = ending(&letters(SMALL, FAINT));
    let times: [(&str, &Distribution, u64); 6] = [
        ("known by all", &figures.known_by_all, never.known),
        ("known by a node", &figures.known, 0),
        ("first suspected", &figures.first_suspected, 0),
        ("first failed", &figures.first_failed, 0),
        (
            "failed everywhere",
            &figures.failed_everywhere,
            never.failed,
        ),
        ("healed", &figures.healed, never.healed),
    ];
    let times: Vec<_> = times
        .iter()
        .filter(|(_, times, never)| times.len() + never > 0)
        .collect();
    let names: &[&str] = if times.is_empty() {
        &[]
    } else {
        &["p50", "p99", "max"]
    };
    for (at, name) in COLUMNS.iter().zip(names) {
        area.draw_text(name, &small, (right + 10 - at, y))?;
    }
    for (label, times, never) in &times {
        if *never > 0 {
            y += LINE_PIXELS;
            let all = count(times.len() + never);
            let words = format!("{label}: never ({} of {all})", count(*never));
            area.draw_text(&words, &bold(BODY, RED), (0, y))?;
        }
        if times.len() == 0 {
            continue;
        }
        let numbers = [times.quantile(0.5), times.quantile(0.99), times.max()];
        let numbers = numbers.map(|time| time.map_or_else(String::new, spoken));
        y += LINE_PIXELS;
        line(area, y, label, &numbers)?;
    }
    y += if times.is_empty() { 0 } else { LINE_PIXELS + 8 };
    area.draw_text("a second", &small, (right + 10 - COLUMNS[1], y))?;
    area.draw_text("in all", &small, (right + 10 - COLUMNS[2], y))?;
    let load = [
        (
            "messages of a node",
            number(figures.messages_per_node_per_s(nodes)),
            number(figures.messages_per_node(nodes)),
        ),
        (
            "bytes of a node",
            bytes(figures.bytes_per_node_per_s(nodes)),
            bytes(figures.bytes_per_node(nodes)),
        ),
    ];
    for (label, rate, whole) in load {
        y += LINE_PIXELS;
        line(area, y, label, &[String::new(), rate, whole])?;
    }
    y += LINE_PIXELS + 8;
    let alarms = format!(
        "{} about {}",
        counted(figures.false_failed_events, "false failure"),
        counted(figures.false_failed_members, "member")
    );
    line(area, y, &alarms, &[])?;
    let suspicions = format!(
        "{}, {} refuted",
        counted(figures.suspicions, "suspicion"),
        count(figures.refutations)
    );
    line(area, y + LINE_PIXELS, &suspicions, &[])
}

fn line(area: &Area<'_>, y: i32, label: &str, numbers: &[String]) -> anyhow::Result<()> {
    let right = area.dim_in_pixel().0 as i32;
    let under = y + LINE_PIXELS / 2;
    area.draw(&PathElement::new([(0, under), (right - 10, under)], GRID))?;
    area.draw_text(label, &letters(BODY, INK), (0, y))?;
    for (at, number) in COLUMNS.iter().zip(numbers) {
        area.draw_text(number, &ending(&bold(BODY, INK)), (right - at, y))?;
    }
    Ok(())
}
