//! What all runs of a command come to: one fold over the seeds, and the JSON object.

use std::time::Duration;

use convoke_core::Instant;
use convoke_core::sim::report::{Run, Scenario};
use serde::Serialize;

use super::distribution::{Distribution, Percentiles};
use super::plan::Plan;

/// The most seeds whose faults are told one by one.
const FAULTS_MAX: usize = 20;
/// The most seeds that went wrong whose numbers are told.
const SEEDS_MAX: usize = 10_000;
/// The most violations of one seed that are told.
const VIOLATIONS_MAX: usize = 10;

/// Runs, folded in the order of their seeds.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) runs: u64,
    pub(super) known_by_all: Distribution,
    pub(super) known: Distribution,
    pub(super) first_suspected: Distribution,
    pub(super) first_failed: Distribution,
    pub(super) failed_everywhere: Distribution,
    pub(super) healed: Distribution,
    /// Happenings of which somebody never knew, or after which it was never one cluster again,
    /// within the scenario's limit. They are in no distribution.
    pub(super) missed: u64,
    pub(super) false_failed_events: u64,
    pub(super) false_failed_members: u64,
    pub(super) suspicions: u64,
    pub(super) refutations: u64,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// The most bytes that one node sent in one run.
    pub(super) bytes_of_busiest: u64,
    /// The sum of each run's bytes in a second.
    bytes_per_s: f64,
    messages_per_s: f64,
    /// The time in the simulated worlds.
    pub(super) simulated: Duration,
    /// The runs that went wrong, the first [`FAULTS_MAX`], and how many there are in all.
    pub(super) faults: Vec<Fault>,
    pub(super) faulty: u64,
    /// Their seeds, the first [`SEEDS_MAX`].
    failed_seeds: Vec<u64>,
    unconverged: u64,
    trace: Option<u64>,
}

/// A run that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) seed: u64,
    pub(super) converged: bool,
    /// Whom who held as what at the end.
    pub(super) differences: Vec<String>,
    pub(super) violations: Vec<String>,
}

/// What never came about, how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Never {
    pub(super) known: u64,
    pub(super) failed: u64,
    pub(super) healed: u64,
}

impl Never {
    fn known(known: u64) -> Self {
        Self {
            known,
            ..Self::default()
        }
    }
}

impl Figures {
    /// Takes the run of the next seed.
    pub(super) fn add(&mut self, run: &Run) {
        self.runs += 1;
        self.known_by_all.extend(&run.known_by_all);
        self.known.extend(&run.known);
        self.first_suspected.extend(&run.first_suspected);
        self.first_failed.extend(&run.first_failed);
        self.failed_everywhere.extend(&run.failed_everywhere);
        self.healed.extend(&run.healed);
        self.missed += run.missed;
        self.false_failed_events += run.false_failed_events;
        self.false_failed_members += run.false_failed_members;
        self.suspicions += run.suspicions;
        self.refutations += run.refutations;
        self.messages += run.messages;
        self.bytes += run.bytes;
        self.bytes_of_busiest = self.bytes_of_busiest.max(run.bytes_of_busiest);
        let measured = run.measured.as_secs_f64();
        if measured > 0.0 {
            self.bytes_per_s += run.bytes as f64 / measured;
            self.messages_per_s += run.messages as f64 / measured;
        }
        // A grid measures in one world after the other.
        self.simulated += run.ended.since(Instant::ORIGIN).max(run.measured);
        self.trace = Some(self.trace.map_or(run.trace, |trace| fold(trace, run.trace)));
        self.blame(run);
    }

    fn blame(&mut self, run: &Run) {
        if run.converged && run.violations.is_empty() {
            return;
        }
        self.faulty += 1;
        self.unconverged += u64::from(!run.converged);
        if self.failed_seeds.len() < SEEDS_MAX {
            self.failed_seeds.push(run.seed);
        }
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault {
                seed: run.seed,
                converged: run.converged,
                differences: run.differences.clone(),
                violations: run
                    .violations
                    .iter()
                    .take(VIOLATIONS_MAX)
                    .cloned()
                    .collect(),
            });
        }
    }

    /// How often something never came about that this scenario waits for.
    pub(super) fn never(&self, scenario: Scenario) -> Never {
        let missed = self.missed;
        match scenario {
            Scenario::Leave | Scenario::JoinStorm => Never::known(missed),
            Scenario::Crash | Scenario::MassCrash => Never {
                failed: missed,
                ..Never::known(missed)
            },
            Scenario::RestartAll => Never {
                healed: missed,
                ..Never::known(missed)
            },
            _ => Never {
                healed: missed,
                ..Never::default()
            },
        }
    }

    /// Stands for all that happened in all runs: of one run its own hash.
    pub(super) fn trace_hash(&self) -> String {
        format!("{:016x}", self.trace.unwrap_or_default())
    }

    /// Whether every run ended with equal views.
    pub(super) fn converged(&self) -> bool {
        self.unconverged == 0
    }

    /// The mean over the runs, for one node.
    fn mean(&self, total: f64, nodes: usize) -> f64 {
        total / (self.runs.max(1) as f64 * nodes as f64)
    }

    pub(super) fn messages_per_node(&self, nodes: usize) -> f64 {
        self.mean(self.messages as f64, nodes)
    }

    pub(super) fn bytes_per_node(&self, nodes: usize) -> f64 {
        self.mean(self.bytes as f64, nodes)
    }

    pub(super) fn messages_per_node_per_s(&self, nodes: usize) -> f64 {
        self.mean(self.messages_per_s, nodes)
    }

    pub(super) fn bytes_per_node_per_s(&self, nodes: usize) -> f64 {
        self.mean(self.bytes_per_s, nodes)
    }
}

/// The order of the seeds counts: FNV's step, on words.
fn fold(trace: u64, next: u64) -> u64 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    (trace.rotate_left(5) ^ next).wrapping_mul(PRIME)
}

/// The JSON object. Its keys are a contract with scripts; further ones may be added.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    scenario: String,
    protocol: String,
    net: String,
    nodes: usize,
    seeds: u64,
    first_seed: u64,
    loss: f64,
    trace_hash: String,
    failed_seeds: Vec<u64>,
    result: Outcome,
    violations: Vec<Violation>,
    command: String,
}

#[derive(Clone, Debug, Serialize)]
struct Outcome {
    known_by_all_ms: Percentiles,
    known_ms: Percentiles,
    first_suspected_ms: Percentiles,
    first_failed_ms: Percentiles,
    failed_everywhere_ms: Percentiles,
    healed_ms: Percentiles,
    /// Of these there is no sample above.
    never_known: u64,
    never_failed: u64,
    never_healed: u64,
    false_failed_events: u64,
    false_failed_members: u64,
    suspicions: u64,
    refutations: u64,
    messages_per_node: f64,
    messages_per_node_per_s: f64,
    bytes_per_node: f64,
    bytes_per_node_per_s: f64,
    bytes_of_busiest_node: u64,
    converged: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Violation {
    seed: u64,
    what: String,
    replay: String,
}

impl Report {
    /// What these figures are for a script.
    pub(super) fn new(plan: &Plan, figures: &Figures) -> Self {
        let setup = &plan.setup;
        let violations = figures.faults.iter().flat_map(|fault| {
            fault.violations.iter().map(|what| Violation {
                seed: fault.seed,
                what: what.clone(),
                replay: plan.replay(fault.seed),
            })
        });
        Self {
            scenario: plan.scenario.clone(),
            protocol: plan.protocol.clone(),
            net: plan.net.clone(),
            nodes: setup.nodes,
            seeds: figures.runs,
            first_seed: plan.first_seed,
            loss: setup.loss,
            trace_hash: figures.trace_hash(),
            failed_seeds: figures.failed_seeds.clone(),
            result: Outcome::new(figures, figures.never(setup.scenario), setup.nodes),
            violations: violations.collect(),
            command: plan.command(),
        }
    }
}

impl Outcome {
    fn new(figures: &Figures, never: Never, nodes: usize) -> Self {
        Self {
            known_by_all_ms: figures.known_by_all.percentiles(),
            known_ms: figures.known.percentiles(),
            first_suspected_ms: figures.first_suspected.percentiles(),
            first_failed_ms: figures.first_failed.percentiles(),
            failed_everywhere_ms: figures.failed_everywhere.percentiles(),
            healed_ms: figures.healed.percentiles(),
            never_known: never.known,
            never_failed: never.failed,
            never_healed: never.healed,
            false_failed_events: figures.false_failed_events,
            false_failed_members: figures.false_failed_members,
            suspicions: figures.suspicions,
            refutations: figures.refutations,
            messages_per_node: rounded(figures.messages_per_node(nodes)),
            messages_per_node_per_s: rounded(figures.messages_per_node_per_s(nodes)),
            bytes_per_node: rounded(figures.bytes_per_node(nodes)),
            bytes_per_node_per_s: rounded(figures.bytes_per_node_per_s(nodes)),
            bytes_of_busiest_node: figures.bytes_of_busiest,
            converged: figures.converged(),
        }
    }
}

/// Three decimals.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::commands::simulate::plan::tests::plan;
    use std::time::Duration;

    const MS: Duration = Duration::from_millis(1);

    /// A crash that went well.
    pub(in super::super) fn crash(seed: u64, millis: u32) -> Run {
        let all = MS * millis;
        Run {
            seed,
            trace: 0xabc0 + seed,
            known_by_all: vec![all],
            known: vec![all - MS, all],
            first_suspected: vec![MS * 900],
            messages: 120,
            bytes: 10_000,
            bytes_of_busiest: 1000 * seed,
            measured: MS * 5000,
            suspicions: 3,
            converged: true,
            ended: Instant::from_micros(7_000_000),
            ..Run::default()
        }
    }

    fn figures(runs: &[Run]) -> Figures {
        let mut figures = Figures::default();
        for run in runs {
            figures.add(run);
        }
        figures
    }

    #[test]
    fn a_script_finds_every_key_of_the_contract() {
        let plan = plan("crash|--nodes|10|--seeds|2|--loss|5%").unwrap();
        let figures = figures(&[crash(1, 4000), crash(2, 4500)]);
        let json = serde_json::to_value(Report::new(&plan, &figures)).unwrap();
        assert_eq!(json["scenario"], "crash");
        assert_eq!(json["protocol"], "convoke");
        assert_eq!((&json["nodes"], &json["seeds"]), (&10.into(), &2.into()));
        assert_eq!(json["loss"], 0.05);
        assert_eq!(json["trace_hash"].as_str().map(str::len), Some(16));
        let result = &json["result"];
        for key in ["known_by_all_ms", "first_suspected_ms"] {
            assert!(result[key]["p50"].is_f64(), "{key}");
        }
        assert_eq!(result["known_by_all_ms"]["max"], 4500.0);
        for key in ["first_failed_ms", "failed_everywhere_ms", "healed_ms"] {
            for of in ["p50", "p99", "max"] {
                assert_eq!(result[key].get(of), Some(&serde_json::Value::Null), "{key}");
            }
        }
        for (key, expected) in [
            ("false_failed_events", 0.0),
            ("false_failed_members", 0.0),
            ("suspicions", 6.0),
            ("refutations", 0.0),
            ("messages_per_node", 12.0),
            ("bytes_per_node", 1000.0),
            ("bytes_per_node_per_s", 200.0),
            ("bytes_of_busiest_node", 2000.0),
        ] {
            assert_eq!(result[key].as_f64(), Some(expected), "{key}");
        }
        assert_eq!(result["converged"], true);
    }

    #[test]
    fn the_trace_of_one_run_is_its_own_and_of_several_depends_on_their_order() {
        let (first, second) = (crash(1, 4000), crash(2, 4500));
        let hash = |runs: &[Run]| figures(runs).trace_hash();
        assert_eq!(hash(std::slice::from_ref(&first)), "000000000000abc1");
        let both = hash(&[first.clone(), second.clone()]);
        assert_eq!(both, hash(&[first.clone(), second.clone()]));
        assert_ne!(both, hash(&[second, first]));
    }

    #[test]
    fn what_was_not_measured_has_no_rate_and_no_infinity() {
        let run = Run {
            measured: Duration::ZERO,
            ..crash(1, 4000)
        };
        assert_eq!(figures(&[run]).bytes_per_node_per_s(10), 0.0);
        assert_eq!(figures(&[]).messages_per_node(10), 0.0);
    }

    #[test]
    fn what_never_came_about_is_counted_beside_the_samples() {
        let healed = |millis: Option<u32>| Run {
            healed: millis.map(|millis| MS * millis).into_iter().collect(),
            missed: u64::from(millis.is_none()),
            converged: millis.is_some(),
            ..Run::default()
        };
        let figures = figures(&[healed(None), healed(Some(900)), healed(None)]);
        let plan = plan("partition|--nodes|10|--seeds|3").unwrap();
        let json = serde_json::to_value(Report::new(&plan, &figures)).unwrap();
        let result = &json["result"];
        assert_eq!(result["never_healed"], 2);
        assert_eq!(result["healed_ms"]["samples"], 1);
        assert_eq!(
            (&result["never_known"], &result["never_failed"]),
            (&0.into(), &0.into())
        );
        let of = |scenario| figures.never(scenario);
        assert_eq!(
            (of(Scenario::Crash).failed, of(Scenario::Crash).healed),
            (2, 0)
        );
        assert_eq!(
            (of(Scenario::Leave).known, of(Scenario::Leave).failed),
            (2, 0)
        );
    }

    #[test]
    fn every_fault_counts_and_the_first_ones_are_told() {
        let mut wrong = crash(7, 4000);
        wrong.violations = vec!["n3 rose from the dead".into(); 50];
        let mut apart = crash(8, 4000);
        apart.converged = false;
        let figures = figures(&[crash(6, 4000), wrong, apart]);
        assert_eq!((figures.faulty, figures.converged()), (2, false));
        let seeds: Vec<u64> = figures.faults.iter().map(|fault| fault.seed).collect();
        assert_eq!(seeds, [7, 8]);
        assert_eq!(figures.faults[0].violations.len(), VIOLATIONS_MAX);
        let plan = plan("crash|--nodes|10|--seeds|3|--first-seed|6").unwrap();
        let seeds = Report::new(&plan, &figures).failed_seeds;
        assert_eq!(seeds, [7, 8]);
        let json = serde_json::to_value(Report::new(&plan, &figures)).unwrap();
        assert_eq!(json["violations"][0]["seed"], 7);
        let replay = "convoke simulate crash --nodes 10 --first-seed 7";
        assert_eq!(json["violations"][0]["replay"], replay);
    }

    #[test]
    fn faults_without_end_are_counted_and_not_kept() {
        let apart = |seed| Run {
            converged: false,
            ..crash(seed, 4000)
        };
        let figures = figures(&(0..100).map(apart).collect::<Vec<_>>());
        assert_eq!((figures.faulty, figures.faults.len()), (100, FAULTS_MAX));
    }
}
