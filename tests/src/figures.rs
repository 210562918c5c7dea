//! What was measured: appended to the file that `TESTS_FIGURES` names, else on stderr.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use crate::long::long;

/// Tells the median and the longest of some times.
pub fn tell(what: &str, times: &[Duration]) {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let (Some(median), Some(most)) = (sorted.get(sorted.len() / 2), sorted.last()) else {
        return;
    };
    let count = times.len();
    let line = format!("{what}: {median:.2?} (median of {count}), {most:.2?} (most)\n");
    let file = std::env::var_os("TESTS_FIGURES")
        .map(|path| File::options().append(true).create(true).open(path));
    // A line that is lost is no reason to fail.
    let _ = match file {
        Some(Ok(mut file)) => file.write_all(line.as_bytes()),
        _ => std::io::stderr().write_all(line.as_bytes()),
    };
}

/// As [`tell`]; and where everything lasts long, so that the figures mean something, the median must
/// be no more than `limit`.
///
/// # Panics
/// Where it is.
#[track_caller]
pub fn expect(what: &str, times: &[Duration], limit: Duration) {
    tell(what, times);
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let median = sorted.get(sorted.len() / 2).copied();
    assert!(
        !long() || median.is_some_and(|median| median <= limit),
        "{what}: more than {limit:?} as a rule: {times:?}"
    );
}
