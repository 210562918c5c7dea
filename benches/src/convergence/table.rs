//! The report as text.

use super::report::{Entry, Report};
use super::words;

/// A block for each figure, a line for each size.
pub(super) fn text(report: &Report) -> String {
    let mut text = head(report) + "\n";
    let mut last = None;
    for entry in &report.entries {
        if last.replace(entry.figure) != Some(entry.figure) {
            text += &format!("\n{}\n", entry.figure.words());
        }
        text += &block(entry);
    }
    text
}

/// What all figures have in common.
pub(super) fn head(report: &Report) -> String {
    let build = if report.optimized {
        "release build"
    } else {
        "debug build: its figures mean nothing"
    };
    format!(
        "convergence {}, {build}, {} cores, seed {}. Median of the rounds (least – greatest) \
         [so many times Convoke's].",
        report.version, report.cores, report.seed
    )
}

fn block(entry: &Entry) -> String {
    let (engine, nodes) = (entry.engine.name(), entry.nodes);
    let readings: Vec<String> = entry
        .summary
        .iter()
        .map(|summary| format!("{} {}", summary.quantity.words(), words::summary(summary)))
        .collect();
    let mut lines = vec![readings.join("; ")];
    lines.retain(|line| !line.is_empty());
    lines.extend(
        entry
            .pairs
            .iter()
            .filter(|pairs| pairs.samples > 0)
            .map(words::percentiles),
    );
    lines.extend(entry.notes().into_iter().map(str::to_owned));
    let failed = entry.rounds.iter().filter(|round| round.is_err()).count();
    let all = entry.rounds.len();
    let complaints = entry.complaints().into_iter();
    lines.extend(complaints.map(|words| format!("{failed} of {all} rounds gave nothing: {words}")));
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate() {
        let margin = match n {
            0 => format!("  {engine} N={nodes}"),
            _ => String::new(),
        };
        text += &format!("{margin:<24} {line}\n");
    }
    text
}
