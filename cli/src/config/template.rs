//! The configuration as text: the commented template, and the effective values with their origin.

use std::fmt::Write;

use super::Effective;
use super::key::{self, Key};
use super::settings::Settings;

const HEADER: &str = "\
# The configuration of a Convoke node. Every line that is commented out shows the default (or,
# where there is none, an example). Each key has an environment variable, which wins over this
# file: node.name is CONVOKE_NODE_NAME, lists are separated by commas. Flags win over both.
";

/// The widest line of a comment.
const COLUMNS: usize = 96;

/// A template in which every key stands, commented out.
pub(crate) fn template() -> String {
    let mut text = HEADER.to_owned();
    let mut defaults = Settings::default();
    let mut table = "";
    for key in key::all() {
        let (of, _) = key.split();
        if of != table {
            table = of;
            text += &format!("\n[{table}]\n");
        }
        entry(&mut text, key, &mut defaults);
    }
    text
}

fn entry(text: &mut String, key: &Key, defaults: &mut Settings) {
    if !key.doc.is_empty() && !text.ends_with("]\n") {
        text.push('\n');
    }
    for line in wrap(key.doc) {
        text.push_str("# ");
        text.push_str(&line);
        text.push('\n');
    }
    let (_, name) = key.split();
    let value = (key.field)(defaults)
        .show()
        .unwrap_or_else(|| key.example.to_owned());
    writeln!(text, "# {name} = {value}").expect("writing to a string cannot fail");
}

fn wrap(doc: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in doc.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < COLUMNS - 2 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// One line a key: `key = value  # origin`. Keys that are unset and have no default are left out.
pub(crate) fn show(effective: &Effective) -> String {
    let mut settings = effective.settings.clone();
    let line = |key: &Key| {
        let value = (key.field)(&mut settings).show()?;
        Some((
            format!("{} = {value}", key.path),
            effective.origin(key.path).to_string(),
        ))
    };
    let lines: Vec<(String, String)> = key::all().iter().filter_map(line).collect();
    let width = lines
        .iter()
        .map(|(left, _)| left.chars().count())
        .max()
        .unwrap_or(0)
        .min(COLUMNS / 2);
    lines
        .iter()
        .fold(String::new(), |mut text, (left, origin)| {
            writeln!(text, "{left:width$}  # {origin}").expect("writing to a string cannot fail");
            text
        })
}
