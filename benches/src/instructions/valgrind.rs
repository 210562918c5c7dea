//! Counting: a path runs under callgrind.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use thiserror::Error;

use super::Path;

/// Counts what is called from the function of this name, and nothing else.
const MEASURED: &str = "--toggle-collect=*instructions::paths::measured*";

/// Why a path was not counted.
#[derive(Debug, Error)]
pub enum CountError {
    /// There is no valgrind, or this program can't be started again.
    #[error("valgrind can't be started: {0}; install it (Debian's package is valgrind)")]
    Start(#[source] io::Error),
    /// There is no folder for what it writes.
    #[error("no room for what valgrind writes: {0}")]
    Room(#[source] io::Error),
    /// The path ended with an error.
    #[error("valgrind failed on {path:?}:\n{words}")]
    Failed {
        /// Which.
        path: &'static str,
        /// What it said.
        words: String,
    },
    /// It ran and nothing was counted.
    #[error(
        "valgrind counted nothing of {path:?}: the function that is measured has another name in this build"
    )]
    Nothing {
        /// Which.
        path: &'static str,
    },
}

/// How many instructions one turn of a path takes. Runs this very program with the arguments
/// `walk PATH`.
///
/// # Errors
/// When it can't be counted: see [`CountError`].
pub fn count(path: Path) -> Result<u64, CountError> {
    let folder = tempfile::tempdir().map_err(CountError::Room)?;
    let written = folder.path().join("callgrind.out");
    let program = std::env::current_exe().map_err(CountError::Start)?;
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--quiet", "--tool=callgrind", MEASURED])
        .arg(format!("--callgrind-out-file={}", written.display()))
        .arg(program)
        .args(["walk", path.name])
        .stdin(Stdio::null());
    let output = valgrind.output().map_err(CountError::Start)?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let path = path.name;
        return Err(CountError::Failed { path, words });
    }
    let report = fs::read_to_string(&written).map_err(CountError::Room)?;
    match total(&report) {
        Some(total) if total > 0 => Ok(total / u64::from(path.turns)),
        _ => Err(CountError::Nothing { path: path.name }),
    }
}

/// The sum in what callgrind writes.
fn total(report: &str) -> Option<u64> {
    let totals = report
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    totals?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_found_in_what_callgrind_writes() {
        let report = "version: 1\nevents: Ir\nsummary: 77\n\nfn=(1) a\n1 77\n\ntotals: 77\n";
        assert_eq!(total(report), Some(77));
        assert_eq!(total("totals: \n"), None);
        assert_eq!(total(""), None);
    }
}
