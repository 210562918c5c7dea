//! All that a run measured.

use serde::Serialize;

use super::engine::Engine;
use super::figure::{Figure, Quantity};
use super::outcome::{Outcome, Times, Value};
use super::samples::Samples;

/// A whole run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The version of the bench.
    pub(super) version: &'static str,
    /// Whether the compiler optimized: figures of a debug build mean nothing.
    pub(super) optimized: bool,
    /// How many cores the machine has.
    pub(super) cores: usize,
    /// Decided who was concerned.
    pub(super) seed: u64,
    /// How long what was done lasted.
    pub(super) times: Times,
    /// What was measured, in order.
    pub(super) entries: Vec<Entry>,
}

/// A figure of one engine and size.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    /// Of which engine.
    pub(super) engine: Engine,
    /// What was done.
    pub(super) figure: Figure,
    /// To how many nodes.
    pub(super) nodes: usize,
    /// What came of each round: or why nothing did.
    pub(super) rounds: Vec<Result<Outcome, String>>,
    /// The same in short.
    pub(super) summary: Vec<Summary>,
    /// Of all pairs of nodes of all rounds, in milliseconds.
    pub(super) pairs: Option<Percentiles>,
}

/// A quantity over all rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Summary {
    /// Which.
    pub(super) quantity: Quantity,
    /// The middle one, the upper of two.
    pub(super) median: Value,
    /// The least.
    pub(super) min: Value,
    /// The greatest.
    pub(super) max: Value,
    /// The median in those of Convoke in the same run, for other engines; none where one of the two
    /// did not come about or is nothing.
    pub(super) ratio: Option<f64>,
}

/// Times in milliseconds; null: not all of so many came about.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Percentiles {
    /// Half of all took no longer.
    pub p50: Option<f64>,
    /// Nine of ten.
    pub p90: Option<f64>,
    /// All but one of a hundred.
    pub p99: Option<f64>,
    /// All.
    pub(super) max: Option<f64>,
    /// How many there are.
    pub(super) samples: u64,
    /// Of how many it never came about.
    pub(super) never: u64,
}

impl Entry {
    /// Sums up rounds.
    pub(super) fn new(
        engine: Engine,
        figure: Figure,
        nodes: usize,
        rounds: Vec<Result<Outcome, String>>,
    ) -> Self {
        let mut entry = Self {
            engine,
            figure,
            nodes,
            rounds,
            summary: Vec::new(),
            pairs: None,
        };
        entry.summary = entry.summaries();
        entry.pairs = figure.pairs().map(|_| Percentiles::of(&entry.samples()));
        entry
    }

    /// Of all rounds.
    pub(super) fn samples(&self) -> Samples {
        let mut samples = Samples::default();
        for outcome in self.rounds.iter().flatten() {
            samples.merge(&outcome.pairs);
        }
        samples
    }

    /// A quantity over all rounds.
    pub(super) fn quantity(&self, quantity: Quantity) -> Option<&Summary> {
        self.summary
            .iter()
            .find(|summary| summary.quantity == quantity)
    }

    /// What else is to be known of rounds, each once.
    pub(super) fn notes(&self) -> Vec<&str> {
        let outcomes = self.rounds.iter().flatten();
        let mut notes: Vec<&str> = outcomes
            .flat_map(|outcome| outcome.notes.iter().map(String::as_str))
            .collect();
        notes.sort_unstable();
        notes.dedup();
        notes
    }

    /// Why rounds gave nothing, each reason once.
    pub(super) fn complaints(&self) -> Vec<&str> {
        let failed = self.rounds.iter().filter_map(|round| round.as_ref().err());
        let mut complaints: Vec<&str> = failed.map(String::as_str).collect();
        complaints.sort_unstable();
        complaints.dedup();
        complaints
    }

    fn summaries(&self) -> Vec<Summary> {
        let readings = || {
            let outcomes = self.rounds.iter().flatten();
            outcomes.flat_map(|outcome| outcome.readings.iter().copied())
        };
        let mut quantities: Vec<Quantity> = Vec::new();
        for (quantity, _) in readings() {
            if !quantities.contains(&quantity) {
                quantities.push(quantity);
            }
        }
        let sum_up = |quantity| {
            let of_it = readings().filter(|(other, _)| *other == quantity);
            Summary::new(quantity, of_it.map(|(_, value)| value).collect())
        };
        quantities.into_iter().filter_map(sum_up).collect()
    }
}

impl Summary {
    fn new(quantity: Quantity, mut values: Vec<Value>) -> Option<Self> {
        values.sort_by(|a, b| a.rank().total_cmp(&b.rank()));
        let (min, max) = (*values.first()?, *values.last()?);
        let median = values[values.len() / 2];
        Some(Self {
            quantity,
            median,
            min,
            max,
            ratio: None,
        })
    }
}

impl Report {
    /// Adds an entry, and compares it with Convoke's of the same figure and size.
    pub(super) fn add(&mut self, mut entry: Entry) {
        let same = |other: &&Entry| {
            (other.engine, other.figure, other.nodes)
                == (Engine::Convoke, entry.figure, entry.nodes)
        };
        if let Some(convoke) = self.entries.iter().find(same) {
            for summary in &mut entry.summary {
                let theirs = convoke.quantity(summary.quantity);
                summary.ratio = theirs.and_then(|own| summary.median.over(own.median));
            }
        }
        self.entries.push(entry);
    }
}

impl Value {
    /// How many times the other one it is.
    fn over(self, other: Self) -> Option<f64> {
        match (self, other) {
            (Self::Is(own), Self::Is(other)) if own > 0.0 && other > 0.0 => Some(own / other),
            _ => None,
        }
    }

    /// What did not come about is greater than all else.
    fn rank(self) -> f64 {
        match self {
            Self::Is(value) => value,
            Self::NotWithin(_) => f64::INFINITY,
        }
    }
}

impl Percentiles {
    fn of(samples: &Samples) -> Self {
        let at = |share| {
            let time = samples.quantile(share)?;
            Some((time.as_secs_f64() * 1e5).round() / 100.0)
        };
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: at(1.0),
            samples: samples.count(),
            never: samples.never(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn round(value: Value) -> Result<Outcome, String> {
        Ok(Outcome {
            readings: vec![(Quantity::Whole, value)],
            ..Outcome::default()
        })
    }

    #[test]
    fn what_did_not_come_about_is_the_greatest() {
        let values = [Value::NotWithin(60.0), Value::Is(3.0), Value::Is(1.0)];
        let mut rounds: Vec<_> = values.map(round).into();
        rounds.push(Err("no".to_owned()));
        rounds.push(Err("no".to_owned()));
        let entry = Entry::new(Engine::Convoke, Figure::Join, 4, rounds);
        let summary = entry.quantity(Quantity::Whole).unwrap();
        assert_eq!(summary.min, Value::Is(1.0));
        assert_eq!(summary.median, Value::Is(3.0));
        assert_eq!(summary.max, Value::NotWithin(60.0));
        assert_eq!(entry.complaints(), ["no"]);
        assert!(entry.quantity(Quantity::First).is_none());
    }

    #[test]
    fn others_are_compared_with_convoke_of_the_same_size() {
        let mut report = Report {
            version: "",
            optimized: true,
            cores: 2,
            seed: 1,
            times: Times::QUICK,
            entries: Vec::new(),
        };
        let never = Value::NotWithin(60.0);
        for (engine, nodes, value) in [
            (Engine::Convoke, 4, Value::Is(2.0)),
            (Engine::Foca, 4, Value::Is(5.0)),
            (Engine::Foca, 8, Value::Is(5.0)),
            (Engine::Serf, 4, never),
        ] {
            report.add(Entry::new(engine, Figure::Join, nodes, vec![round(value)]));
        }
        let ratios: Vec<_> = report.entries.iter().map(|e| e.summary[0].ratio).collect();
        assert_eq!(ratios, [None, Some(2.5), None, None]);
    }

    #[test]
    fn percentiles_are_over_all_pairs_of_all_rounds() {
        let mut outcome = Outcome::default();
        outcome.pairs.add(Duration::from_micros(1_500));
        outcome.pairs.add_never();
        let rounds = vec![Ok(outcome.clone()), Ok(outcome)];
        let pairs = Entry::new(Engine::Foca, Figure::Leave, 2, rounds)
            .pairs
            .unwrap();
        assert_eq!((pairs.p50, pairs.max), (Some(1.5), None));
        assert_eq!((pairs.samples, pairs.never), (4, 2));
    }
}
