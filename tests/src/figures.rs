//! What was measured: appended to the file that `TESTS_FIGURES` names, else on stderr.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

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
