//! Whole clusters in virtual time: the protocol's promises, one sentence a test.

mod chaos;
mod detecting;
mod forgetting;
mod healing;
mod hostile;
mod joining;
mod leaving;
mod removing;
mod restarting;
mod telling;
mod world;

use std::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
