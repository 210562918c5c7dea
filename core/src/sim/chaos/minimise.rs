//! Making a schedule that breaks something as small as can be.
//!
//! Delta debugging: leave out halves of the steps, then quarters, down to single ones, as long as
//! what is left still breaks the same. Source: Zeller and Hildebrandt, "Simplifying and isolating
//! failure-inducing input" (2002).

use super::super::check::Violation;
use super::schedule::Schedule;
use super::{Outcome, run};

/// The most runs that are spent on one schedule.
const RUNS_MAX: usize = 400;

/// A schedule that breaks something, with what is not needed for that left out.
#[derive(Clone, Debug)]
pub struct Minimised {
    /// What is left.
    pub schedule: Schedule,
    /// What it comes to.
    pub outcome: Outcome,
    /// How many runs it took.
    pub runs: usize,
}

/// Leaves out what is not needed to break what a schedule breaks. `None`: it breaks nothing.
pub fn minimise(schedule: &Schedule) -> Option<Minimised> {
    minimise_by(schedule, run)
}

pub(super) fn minimise_by(
    schedule: &Schedule,
    run: impl Fn(&Schedule) -> Outcome,
) -> Option<Minimised> {
    let outcome = run(schedule);
    let wanted = outcome.violations.first()?.invariant;
    let breaks = |violations: &[Violation]| violations.iter().any(|v| v.invariant == wanted);
    let mut best = Minimised {
        schedule: schedule.clone(),
        outcome,
        runs: 1,
    };
    let mut size = schedule.steps.len().div_ceil(2);
    while size > 0 && best.runs < RUNS_MAX {
        let mut shrunk = false;
        let mut from = 0;
        while from < best.schedule.steps.len() && best.runs < RUNS_MAX {
            let smaller = best
                .schedule
                .without(|step| (from..from + size).contains(&step));
            let outcome = run(&smaller);
            best.runs += 1;
            if breaks(&outcome.violations) {
                (best.schedule, best.outcome) = (smaller, outcome);
                shrunk = true;
            } else {
                from += size;
            }
        }
        // Single steps are tried until all of them are needed.
        size = if size == 1 && shrunk { 1 } else { size / 2 };
    }
    Some(best)
}
