//! Waiting for conditions.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// Waits until `probe` succeeds, and returns what it found.
///
/// # Panics
/// When that takes longer than `limit`: with what was waited for, and why the last try failed.
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<T, String>,
) -> T {
    let began = Instant::now();
    loop {
        match probe() {
            Ok(found) => return found,
            Err(reason) if began.elapsed() >= limit => {
                panic!("not within {limit:?}: {what}: {reason}")
            }
            Err(_) => std::thread::sleep(GLANCE),
        }
    }
}

/// Looks at `probe` again and again for `span`.
///
/// # Panics
/// As soon as it fails.
pub fn throughout(what: &str, span: Duration, mut probe: impl FnMut() -> Result<(), String>) {
    let began = Instant::now();
    while began.elapsed() < span {
        if let Err(reason) = probe() {
            panic!("no longer so after {:?}: {what}: {reason}", began.elapsed());
        }
        std::thread::sleep(GLANCE);
    }
}
