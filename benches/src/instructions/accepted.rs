//! What is accepted, and how a count compares with it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The part by which a path may get dearer before it is an error. The counts of one build differ by
/// less than a hundredth between machines; a compiler's next release, or a libc that copies bytes
/// another way, by some hundredths.
pub const TOLERANCE: f64 = 0.1;

/// The counts of one kind of processor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The compiler that they were made with.
    pub compiler: String,
    /// Instructions a turn, by path.
    pub paths: BTreeMap<String, u64>,
}

/// A count beside what was accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Within the tolerance.
    Kept {
        /// The change, as a part.
        change: f64,
    },
    /// Dearer than it may be.
    Dearer {
        /// What was accepted.
        accepted: u64,
        /// The change, as a part.
        change: f64,
    },
    /// So much cheaper that it is worth keeping.
    Cheaper {
        /// The change, as a part.
        change: f64,
    },
    /// Nothing was accepted of this path.
    Unknown,
}

impl Accepted {
    /// What a count of a path means.
    pub fn judge(&self, path: &str, count: u64) -> Verdict {
        let Some(&accepted) = self.paths.get(path) else {
            return Verdict::Unknown;
        };
        let change = (count as f64 - accepted as f64) / accepted.max(1) as f64;
        if change > TOLERANCE {
            Verdict::Dearer { accepted, change }
        } else if change < -TOLERANCE {
            Verdict::Cheaper { change }
        } else {
            Verdict::Kept { change }
        }
    }
}

impl Verdict {
    /// Whether somebody has to look at it: a path that got dearer, or that is not known.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Dearer { .. } | Self::Unknown)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |change: f64| change * 100.0;
        match *self {
            Self::Kept { change } => write!(f, "{:+.1} %", percent(change)),
            Self::Dearer { accepted, change } => {
                write!(
                    f,
                    "{:+.1} %: DEARER than the accepted {accepted}",
                    percent(change)
                )
            }
            Self::Cheaper { change } => {
                write!(f, "{:+.1} %: cheaper, worth accepting", percent(change))
            }
            Self::Unknown => f.write_str("NOT ACCEPTED so far"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(count: u64) -> Verdict {
        let accepted = Accepted {
            compiler: "rustc".to_owned(),
            paths: [("known".to_owned(), 1000)].into(),
        };
        accepted.judge("known", count)
    }

    #[test]
    fn a_path_may_get_a_tenth_dearer_and_no_more() {
        assert!(!judge(1100).is_bad());
        assert!(judge(1101).is_bad());
        assert_eq!(
            judge(1500).to_string(),
            "+50.0 %: DEARER than the accepted 1000"
        );
    }

    #[test]
    fn what_got_cheaper_is_told_and_no_error() {
        assert_eq!(judge(950).to_string(), "-5.0 %");
        assert_eq!(judge(800).to_string(), "-20.0 %: cheaper, worth accepting");
        assert!(!judge(800).is_bad());
    }

    #[test]
    fn a_path_of_which_nothing_was_accepted_is_an_error() {
        assert!(Accepted::default().judge("new", 1).is_bad());
    }
}
