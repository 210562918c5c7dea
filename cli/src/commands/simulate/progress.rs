//! How far all runs are, with the time left, on stderr and only where that is a terminal.

use std::time::Duration;

use convoke_core::sim::report::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How finely one run is counted.
const STEPS_PER_RUN: u64 = 10_000;
/// Between two looks at the clock, while a long step goes on.
const TICK: Duration = Duration::from_millis(250);

/// A bar over all runs. Shared by the threads that run them.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// For so many runs. Where stderr is no terminal, nothing is drawn.
    pub(super) fn new(runs: u64, title: &str) -> Self {
        Self::on(ProgressDrawTarget::stderr(), runs, title)
    }

    fn on(target: ProgressDrawTarget, runs: u64, title: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(runs * STEPS_PER_RUN), target);
        let style = ProgressStyle::with_template(
            "{prefix} {wide_bar} {percent:>3} %  {elapsed} gone, {eta} left",
        );
        bar.set_style(style.expect("the template is well-formed: a test draws it"));
        bar.set_prefix(title.to_owned());
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self { bar }
    }

    /// One run's part of it.
    pub(super) fn run(&self) -> Lane<'_> {
        Lane {
            bar: &self.bar,
            steps: 0,
        }
    }

    /// Takes it away.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// One run's part of a bar. Counts as done when it is dropped.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    bar: &'a ProgressBar,
    steps: u64,
}

impl Lane<'_> {
    /// The run is so far. Never goes back, and never beyond its end.
    pub(super) fn reached(&mut self, progress: Progress) {
        // A share that is no number becomes zero.
        let steps = (progress.share.clamp(0.0, 1.0) * STEPS_PER_RUN as f64) as u64;
        if steps > self.steps {
            self.bar.inc(steps - self.steps);
            self.steps = steps;
        }
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        self.reached(Progress { share: 1.0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(runs: u64) -> Bar {
        Bar::on(ProgressDrawTarget::hidden(), runs, "crash")
    }

    #[test]
    fn a_bar_counts_every_run_once_whatever_the_runs_say() {
        let bar = hidden(2);
        let mut lane = bar.run();
        for share in [0.1, 0.5, 0.2, f64::NAN, -1.0] {
            lane.reached(Progress { share });
        }
        assert_eq!(bar.bar.position(), STEPS_PER_RUN / 2);
        lane.reached(Progress { share: 7.0 });
        assert_eq!(bar.bar.position(), STEPS_PER_RUN);
        drop(lane);
        drop(bar.run());
        assert_eq!(bar.bar.position(), bar.bar.length().unwrap());
    }
}
