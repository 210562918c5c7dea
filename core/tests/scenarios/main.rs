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
mod tuning;

use std::time::Duration;

use convoke_core::Engine;

type World = convoke_core::sim::World<Engine>;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
