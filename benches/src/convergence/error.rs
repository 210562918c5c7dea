//! Why there is no figure.

use std::io;
use std::time::Duration;

use thiserror::Error;

/// Why a round gave nothing.
#[derive(Debug, Error)]
pub(super) enum Error {
    /// A program that is needed does not run.
    #[error("{program} does not run: {cause} (install {package})")]
    Missing {
        /// Its name.
        program: &'static str,
        /// What the system says.
        cause: io::Error,
        /// What brings it, on Debian.
        package: &'static str,
    },
    /// A program that is needed fails.
    #[error("{program} fails: {complaint}")]
    Fails {
        /// Its name.
        program: &'static str,
        /// What it says.
        complaint: String,
    },
    /// There is no namespace to be had.
    #[error(
        "no network of its own can be made: {0}. The bench needs root, or a system that lets users \
         make namespaces (in a container: CAP_SYS_ADMIN and CAP_NET_ADMIN)"
    )]
    NoNamespace(String),
    /// A node does not start.
    #[error("node {number} does not start: {cause}")]
    Start {
        /// Which.
        number: usize,
        /// What it says.
        cause: String,
    },
    /// The nodes did not become one cluster.
    #[error("not whole within {limit:?}{}", share(*pairs))]
    NotWhole {
        /// How long they had.
        limit: Duration,
        /// The share of all ordered pairs that was up then, where that is known.
        pairs: Option<f64>,
    },
    /// The engine is not in this build.
    #[error("{0} is not in this build: cargo bench -p convoke-benches --features peers …")]
    NoPeers(&'static str),
    /// The program is not there.
    #[error("{0} is not there: cargo build --release -p convoke-cli")]
    NoProgram(String),
    /// The round was ended.
    #[error("ended after {0:?}")]
    TooLong(Duration),
    /// The process that measured ended without a figure.
    #[error("{0}")]
    NoOutcome(String),
    /// A file can't be read or written.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        cause: io::Error,
    },
    /// A picture can't be drawn.
    #[error("cannot draw: {0}")]
    Draw(String),
}

fn share(pairs: Option<f64>) -> String {
    let words = |share| format!(" ({} of the pairs)", super::words::percent(share));
    pairs.map(words).unwrap_or_default()
}
