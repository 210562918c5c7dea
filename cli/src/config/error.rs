//! What is wrong with a configuration: all of it at once, each with its place and its remedy.

use std::fmt;

use super::origin::Origin;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where it was written.
    pub(crate) origin: Origin,
    /// The key, where one is meant.
    pub(crate) key: Option<String>,
    /// What is wrong, and what would be right.
    pub(crate) message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, &self.key) {
            (Origin::Default, Some(key)) => write!(f, "{key}: {}", self.message),
            (Origin::Default, None) => f.write_str(&self.message),
            (origin, Some(key)) => write!(f, "{origin}: {key}: {}", self.message),
            (origin, None) => write!(f, "{origin}: {}", self.message),
        }
    }
}

/// A configuration that is refused. At least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigError {
    /// In the order of the sources.
    pub(crate) problems: Vec<Problem>,
}

impl ConfigError {
    /// One problem with a source as a whole.
    pub(crate) fn of(origin: Origin, message: String) -> Self {
        Self {
            problems: vec![Problem {
                origin,
                key: None,
                message,
            }],
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The candidate that was probably meant, if one is close.
pub(crate) fn nearest<'a>(
    text: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    const CLOSE_ENOUGH: f64 = 0.8;
    let scored = candidates.map(|candidate| (strsim::jaro_winkler(text, candidate), candidate));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score >= CLOSE_ENOUGH)
        .map(|(_, candidate)| candidate)
}
