//! What the runs of one experiment come to: one fold over its seeds.

use std::time::Duration;

use convoke_core::sim::report::{Run, Scenario, Setup};

use super::times::Times;

/// A member that stops for this long or longer is to be declared failed (see the scenario).
const LONG_STOP: Duration = Duration::from_secs(16);

/// Runs of one protocol, folded in any order.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub(super) runs: u64,
    pub(super) known_by_all: Times,
    pub(super) failed_everywhere: Times,
    pub(super) healed: Times,
    pub(super) false_failed_events: u64,
    pub(super) false_failed_at_well: u64,
    pub(super) false_failed_members: u64,
    pub(super) suspicions: u64,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// The most bytes that one node sent in one run.
    pub(super) bytes_of_busiest: u64,
    /// Nodes, summed over the runs.
    pub(super) nodes: u64,
    /// Microseconds of nodes that lived, summed over the runs.
    pub(super) node_micros: u128,
    /// The seeds of the runs at whose end the views differed.
    pub(super) unequal: Vec<u64>,
    /// Runs that healed, and fell apart again or kept a wrong verdict.
    pub(super) healed_in_vain: u64,
    /// What the simulator said where it gave up, with the seed.
    pub(super) failures: Vec<(u64, String)>,
    /// The time of one core that all of it took.
    pub(super) took: Duration,
}

impl Figures {
    /// Takes a run.
    pub(super) fn add(&mut self, setup: &Setup, run: &Run) {
        self.runs += 1;
        self.known_by_all.extend(&run.known_by_all);
        self.failed_everywhere.extend(&run.failed_everywhere);
        self.healed.extend(&run.healed);
        self.add_missed(setup, run);
        self.false_failed_events += run.false_failed_events;
        self.false_failed_at_well += run.false_failed_at_well;
        self.false_failed_members += run.false_failed_members;
        self.suspicions += run.suspicions;
        self.messages += run.messages;
        self.bytes += run.bytes;
        self.bytes_of_busiest = self.bytes_of_busiest.max(run.bytes_of_busiest);
        self.nodes += setup.nodes as u64;
        self.node_micros += run.measured.as_micros() * living(setup) as u128;
        if !run.converged {
            self.unequal.push(run.seed);
            self.healed_in_vain += run.healed.len() as u64;
        }
    }

    /// Where the scenario waits for something, and it did not come.
    fn add_missed(&mut self, setup: &Setup, run: &Run) {
        match setup.scenario {
            Scenario::Crash | Scenario::MassCrash => self.failed_everywhere.never(run.missed),
            Scenario::Anomalies if setup.params.stop.is_some_and(|stop| stop >= LONG_STOP) => {
                let stopped = setup.params.anomalous.unwrap_or(0);
                let missed = stopped.saturating_sub(run.failed_everywhere.len());
                self.failed_everywhere.never(missed as u64);
            }
            _ => {
                self.known_by_all.never(run.missed);
                self.healed.never(run.missed);
            }
        }
    }

    /// Whether a run gave no result.
    pub fn gave_up(&self) -> bool {
        !self.failures.is_empty()
    }

    /// A run that gave no result.
    pub(super) fn add_gave_up(&mut self, seed: u64, words: String) {
        self.failures.push((seed, words));
    }

    /// The mean of what a node sent in a run.
    pub(super) fn messages_per_node(&self) -> f64 {
        self.messages as f64 / self.nodes as f64
    }

    pub(super) fn messages_per_node_per_s(&self) -> f64 {
        self.messages as f64 / self.node_seconds()
    }

    pub(super) fn bytes_per_node_per_s(&self) -> f64 {
        self.bytes as f64 / self.node_seconds()
    }

    fn node_seconds(&self) -> f64 {
        self.node_micros as f64 / 1e6
    }
}

/// How many nodes live while it is measured.
fn living(setup: &Setup) -> usize {
    match (setup.scenario, setup.params.share) {
        (Scenario::MassCrash, Some(share)) => {
            setup.nodes - (setup.nodes as f64 * share).round() as usize
        }
        _ => setup.nodes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use convoke_core::Config;
    use convoke_core::sim::report::{Contender, Net, Params};

    fn setup(scenario: Scenario, params: Params) -> Setup {
        Setup {
            scenario,
            protocol: Contender::Convoke,
            nodes: 10,
            loss: 0.0,
            net: Net::Lan,
            config: Config::lan(),
            params,
        }
    }

    #[test]
    fn load_is_that_of_those_who_live() {
        let params = Params {
            share: Some(0.5),
            ..Params::default()
        };
        let run = Run {
            bytes: 3000,
            messages: 30,
            measured: Duration::from_secs(3),
            converged: true,
            ..Run::default()
        };
        let mut figures = Figures::default();
        figures.add(&setup(Scenario::MassCrash, params), &run);
        assert_eq!(figures.bytes_per_node_per_s(), 200.0);
        let mut figures = Figures::default();
        figures.add(&setup(Scenario::Steady, Params::default()), &run);
        figures.add(&setup(Scenario::Steady, Params::default()), &run);
        assert_eq!(figures.bytes_per_node_per_s(), 100.0);
        assert_eq!(figures.messages_per_node_per_s(), 1.0);
        assert_eq!(figures.messages_per_node(), 3.0);
    }

    #[test]
    fn a_long_stop_that_nobody_found_is_missed() {
        let stopping = |stop| Params {
            anomalous: Some(4),
            stop: Some(Duration::from_secs(stop)),
            ..Params::default()
        };
        let run = Run {
            failed_everywhere: vec![Duration::from_secs(5); 3],
            ..Run::default()
        };
        let told = |stop| {
            let mut figures = Figures::default();
            figures.add(&setup(Scenario::Anomalies, stopping(stop)), &run);
            figures.failed_everywhere.median_and_max()
        };
        assert_eq!(told(32), "5.00 s / never (1 of 4)");
        assert_eq!(told(8), "5.00 s / 5.00 s");
    }

    #[test]
    fn what_is_missed_belongs_to_what_the_scenario_waits_for() {
        let run = Run {
            missed: 1,
            ..Run::default()
        };
        let mut crash = Figures::default();
        crash.add(&setup(Scenario::Crash, Params::default()), &run);
        assert_eq!(crash.failed_everywhere.greatest(), "never (1 of 1)");
        let mut partition = Figures::default();
        partition.add(&setup(Scenario::Partition, Params::default()), &run);
        assert_eq!(partition.healed.greatest(), "never (1 of 1)");
        assert_eq!((partition.unequal.len(), partition.healed_in_vain), (1, 0));
    }
}
