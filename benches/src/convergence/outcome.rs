//! What a round is given, and what it gives.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::figure::{Figure, Quantity};
use super::samples::Samples;

/// One round of one figure: what a process is to measure in a network of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Assignment {
    /// Whose nodes.
    pub(super) engine: Engine,
    /// What is done.
    pub(super) figure: Figure,
    /// To how many nodes.
    pub(super) nodes: usize,
    /// Decides who leaves, who falls silent, and who is on which side.
    pub(super) seed: u64,
    /// How long it lasts.
    pub(super) times: Times,
    /// The program of the nodes, where they are processes of their own.
    pub(super) program: Option<PathBuf>,
}

/// How long what is done lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Times {
    /// Rest after the cluster got whole.
    pub(super) settle: Duration,
    /// How long nothing happens.
    pub(super) idle: Duration,
    /// How long packets are lost.
    pub(super) loss: Duration,
    /// How long the cut lasts.
    pub(super) partition: Duration,
}

/// What a round gave.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// What was read.
    pub(super) readings: Vec<(Quantity, Value)>,
    /// A time for each pair of nodes, where the figure has such.
    pub(super) pairs: Samples,
    /// What else whoever reads the figures should know.
    pub(super) notes: Vec<String>,
}

/// A number, in seconds or as its quantity says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Value {
    /// It is so much.
    Is(f64),
    /// It did not come about within so many seconds.
    NotWithin(f64),
}

impl Times {
    /// As the table of the peers was made.
    pub(super) const FULL: Self = Self {
        settle: Duration::from_secs(15),
        idle: Duration::from_secs(25),
        loss: Duration::from_secs(60),
        partition: Duration::from_secs(60),
    };

    /// To see that everything works.
    pub(super) const QUICK: Self = Self {
        settle: Duration::from_secs(1),
        idle: Duration::from_secs(2),
        loss: Duration::from_secs(3),
        partition: Duration::from_secs(15),
    };
}

impl Assignment {
    /// How long the round may take in all, with room for the start of the nodes.
    pub(super) fn limit(&self) -> Duration {
        let start = Duration::from_secs(30) + Duration::from_millis(50) * nodes(self.nodes);
        let lasts = match self.figure {
            Figure::Idle => self.times.idle,
            Figure::Loss5 | Figure::Loss20 => self.times.loss,
            Figure::Partition => self.times.partition,
            _ => Duration::ZERO,
        };
        start + Figure::Join.limit() + self.times.settle + lasts + self.figure.limit()
    }
}

fn nodes(count: usize) -> u32 {
    u32::try_from(count).expect("arguments bound the nodes")
}

impl Outcome {
    /// Adds a number.
    pub(super) fn is(&mut self, quantity: Quantity, value: f64) {
        self.readings.push((quantity, Value::Is(value)));
    }

    /// Adds a time, or that it did not come about.
    pub(super) fn took(&mut self, quantity: Quantity, time: Option<Duration>, limit: Duration) {
        let value = time.map_or(Value::NotWithin(limit.as_secs_f64()), |time| {
            Value::Is(time.as_secs_f64())
        });
        self.readings.push((quantity, value));
    }
}
