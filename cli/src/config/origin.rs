//! Where a value of the configuration came from.

use std::fmt;
use std::path::PathBuf;

/// The source of a value, from the weakest to the strongest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody set it.
    Default,
    /// It follows from something else: a key that somebody set, say.
    Follows(&'static str),
    /// A place in the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Line and column, counted from 1; `None` for the file as a whole.
        place: Option<(usize, usize)>,
    },
    /// An environment variable.
    Environment(String),
    /// A flag of the command line, as it is written there.
    Flag(String),
}

impl Origin {
    /// Where a problem stands among others: sources in their order, a file by its lines.
    pub(crate) fn order(&self) -> (u8, (usize, usize)) {
        match self {
            Self::Default | Self::Follows(_) => (0, (0, 0)),
            Self::File { place, .. } => (1, place.unwrap_or_default()),
            Self::Environment(_) => (2, (0, 0)),
            Self::Flag(_) => (3, (0, 0)),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Follows(key) => write!(f, "from {key}"),
            Self::File {
                path,
                place: Some((line, column)),
            } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            Self::File { path, place: None } => path.display().fmt(f),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}
