//! Whether everything is to last as long, and be repeated as often, as figures that mean something
//! take: `tests/run --long`.

use std::time::Duration;

/// Whether `TESTS_LONG` is 1.
pub fn long() -> bool {
    std::env::var_os("TESTS_LONG").is_some_and(|value| value == "1")
}

/// The first, or, where everything lasts long, the second.
pub fn lasting(short: u64, long_one: u64) -> Duration {
    Duration::from_secs(if long() { long_one } else { short })
}

/// The first number of rounds, or, where everything lasts long, the second.
pub fn rounds(short: usize, long_one: usize) -> usize {
    if long() { long_one } else { short }
}
