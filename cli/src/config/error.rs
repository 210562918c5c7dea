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
    /// In the order of the sources, and of the lines of the file.
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

/// The candidate that was probably meant, if one is close: a third of its characters may be wrong.
/// What both begin with up to a separator counts for nothing, so that a long table's name does
/// not make its keys alike.
pub(crate) fn nearest<'a>(
    text: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let scored = candidates.filter_map(|candidate| {
        let common = common_tables(text, candidate);
        let (left, right) = (&text[common..], &candidate[common..]);
        let distance = strsim::osa_distance(left, right);
        let length = left.chars().count().max(right.chars().count());
        (distance <= length / 3).then_some((distance, candidate))
    });
    scored
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many bytes both begin with, up to and with a separator.
fn common_tables(left: &str, right: &str) -> usize {
    let alike = left
        .bytes()
        .zip(right.bytes())
        .take_while(|(left, right)| left == right);
    let separators = alike
        .enumerate()
        .filter(|(_, (byte, _))| [b'.', b'_'].contains(byte));
    separators.last().map_or(0, |(index, _)| index + 1)
}
