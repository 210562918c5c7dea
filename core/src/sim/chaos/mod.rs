//! Chaos: whatever can happen, at random, and what must hold all the same.
//!
//! A [`Schedule`] is a storm as data: what happens to which node, when. It is drawn from a seed,
//! run in a [`World`](super::World) whose checkers look at every step, and judged at its end: when
//! everything is mended, those who belong together find together, soon and for good, and nobody
//! else is among them. A step that makes no sense (any more) is skipped, so that a schedule which
//! breaks something can be made smaller: [`minimise`].

mod closing;
mod commands;
mod draw;
mod faults;
mod joins;
mod minimise;
mod schedule;
mod storm;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

pub use minimise::{Minimised, minimise};
pub use schedule::{Clock, Place, Schedule, Step};

use super::check::{Invariant, Violation};
use crate::config::Config;
use storm::Storm;

/// What a schedule came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Stands for everything that happened: equal for equal schedules, on every machine.
    pub trace: u64,
    /// What did not hold. The run ends with the first.
    pub violations: Vec<Violation>,
    /// What was done, and for a run that went wrong what everyone held at its end.
    pub story: String,
    /// How long it took from the mending of everything until those who belong together held each
    /// other, and nobody else.
    pub converged_after: Option<Duration>,
    /// How long the world existed.
    pub lasted: Duration,
    /// How many steps made sense.
    pub applied: usize,
}

/// Runs a schedule.
pub fn run(schedule: &Schedule) -> Outcome {
    run_with(schedule, schedule.config(), |_| {})
}

/// Runs a schedule with other parameters, and with a hand on the storm between mending and
/// judging.
fn run_with(schedule: &Schedule, config: Config, tamper: impl FnOnce(&mut Storm)) -> Outcome {
    let mut storm = Storm::new(schedule, config);
    let played = catch_unwind(AssertUnwindSafe(|| {
        storm.begin();
        storm.play(schedule);
        storm.mend_everything();
        tamper(&mut storm);
        storm.judge();
    }));
    if let Err(panic) = played {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or(panic.downcast_ref::<&str>().copied());
        let said = said.unwrap_or("without a word").to_owned();
        storm.world.violate(Invariant::NothingPanics, said);
    }
    storm.outcome()
}
