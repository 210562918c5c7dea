//! When to ask again.
//!
//! A fleet that starts together must not ask its directory together for ever, and a directory
//! that is down must not be met by everyone at once when it returns: every wait is jittered, and
//! the waits after failures double up to a bound.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The wait after the first failure.
pub(crate) const RETRY_MIN: Duration = Duration::from_secs(1);
/// The longest wait after failures in a row.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(60);

/// A seed that no other node has, and that differs at every call.
pub(crate) fn jitter_seed() -> u64 {
    RandomState::new().hash_one(0)
}

/// The wait after a success: the interval, a quarter more or less.
pub(crate) fn after_success(interval: Duration, rng: &mut fastrand::Rng) -> Duration {
    interval.mul_f64(0.75 + 0.5 * rng.f64())
}

/// The wait after the `failures`-th failure in a row (1 is the first): doubling from
/// [`RETRY_MIN`] to [`RETRY_MAX`], of which half is random.
pub(crate) fn after_failure(failures: u32, rng: &mut fastrand::Rng) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let wait = RETRY_MIN.saturating_mul(1 << doublings).min(RETRY_MAX);
    wait.mul_f64(0.5 + 0.5 * rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_after_failures_double_to_a_minute_and_never_pass_it() {
        let mut rng = fastrand::Rng::with_seed(1);
        for failures in 0..200 {
            let full = RETRY_MIN.as_secs_f64() * 2f64.powi(failures.max(1) as i32 - 1);
            let full = full.min(RETRY_MAX.as_secs_f64());
            let wait = after_failure(failures, &mut rng).as_secs_f64();
            assert!(
                (full / 2.0..=full).contains(&wait),
                "{failures}: {wait} of {full}"
            );
        }
        assert!(after_failure(u32::MAX, &mut rng) <= RETRY_MAX);
    }

    #[test]
    fn no_two_nodes_ask_in_step() {
        let wait =
            |seed| after_success(Duration::from_secs(4), &mut fastrand::Rng::with_seed(seed));
        let waits: Vec<_> = (0..8).map(wait).collect();
        assert!(
            waits.iter().all(|w| (3.0..=5.0).contains(&w.as_secs_f64())),
            "{waits:?}"
        );
        assert!(waits.windows(2).all(|pair| pair[0] != pair[1]), "{waits:?}");
    }
}
