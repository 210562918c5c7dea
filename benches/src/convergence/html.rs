//! The report as a page that stands alone: tables and plots.

use super::error::Error;
use super::figure::{Figure, Quantity};
use super::report::{Entry, Report};
use super::{plot, table, words};

const STYLE: &str = "body{font:15px/1.5 sans-serif;margin:2em auto;max-width:72em;padding:0 1em;color:#222b33}\
table{border-collapse:collapse}td,th{border-bottom:1px solid #e6eaed;padding:.2em .8em;text-align:left}\
svg{max-width:100%;height:auto}.plots{display:flex;flex-wrap:wrap}.bad{color:#b31b1b}";

/// The page.
///
/// # Errors
/// When a plot can't be drawn.
pub(super) fn page(report: &Report) -> Result<String, Error> {
    let mut body = format!(
        "<h1>Convergence</h1><p>{}</p>",
        escaped(&table::head(report))
    );
    for figure in Figure::ALL {
        let entries: Vec<&Entry> = report
            .entries
            .iter()
            .filter(|entry| entry.figure == figure)
            .collect();
        if !entries.is_empty() {
            body += &section(figure, &entries)?;
        }
    }
    Ok(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Convergence</title>\
         <style>{STYLE}</style>{body}</html>\n"
    ))
}

fn section(figure: Figure, entries: &[&Entry]) -> Result<String, Error> {
    let quantities = quantities(entries);
    let mut text = format!(
        "<h2>{}</h2><table>{}",
        escaped(figure.words()),
        header(&quantities)
    );
    for entry in entries {
        text += &row(entry, &quantities);
    }
    text += "</table>";
    for entry in entries {
        for words in entry.complaints().into_iter().chain(entry.notes()) {
            let words = format!("{} N={}: {words}", entry.engine.name(), entry.nodes);
            text += &format!("<p class=\"bad\">{}</p>", escaped(&words));
        }
    }
    text += "<div class=\"plots\">";
    if let Some(title) = figure.pairs() {
        for entries in plot::together(entries) {
            text += &plot::known(&entries, title)?;
        }
    }
    for quantity in quantities.into_iter().filter(|_| entries.len() > 1) {
        text += &plot::by_size(entries, quantity)?;
    }
    Ok(text + "</div>")
}

/// Those that any entry has, in the order in which they were read.
fn quantities(entries: &[&Entry]) -> Vec<Quantity> {
    let mut quantities = Vec::new();
    for summary in entries.iter().flat_map(|entry| &entry.summary) {
        if !quantities.contains(&summary.quantity) {
            quantities.push(summary.quantity);
        }
    }
    quantities
}

fn header(quantities: &[Quantity]) -> String {
    let cells: String = quantities
        .iter()
        .map(|quantity| format!("<th>{}</th>", escaped(quantity.words())))
        .collect();
    format!("<tr><th>engine</th><th>nodes</th>{cells}<th>pairs of nodes</th></tr>")
}

fn row(entry: &Entry, quantities: &[Quantity]) -> String {
    let say = |quantity: &Quantity| entry.quantity(*quantity).map(words::summary);
    let cells = quantities
        .iter()
        .map(|q| say(q).unwrap_or_else(|| "–".to_owned()));
    let cells: String = cells
        .map(|cell| format!("<td>{}</td>", escaped(&cell)))
        .collect();
    let pairs = entry
        .pairs
        .as_ref()
        .map(words::percentiles)
        .unwrap_or_default();
    format!(
        "<tr><td>{}</td><td>{}</td>{cells}<td>{pairs}</td></tr>",
        entry.engine.name(),
        entry.nodes
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
