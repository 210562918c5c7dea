//! Whole clusters in virtual time: the protocol's promises, one sentence a test.

mod by_hand;
mod chaos;
mod clocks;
mod connections;
mod crowds;
mod detecting;
mod explaining;
mod far;
mod forgetting;
mod healing;
mod hostile;
mod hosts;
mod joining;
mod leaving;
mod links;
mod moving;
mod partitions;
mod refusing;
mod regions;
mod removing;
mod restarting;
mod splitting;
mod telling;
mod thousand;
mod tuning;
mod unmet;
mod verdicts;

use std::time::Duration;

use convoke_core::sim::{Dropped, Sent};
use convoke_core::{Config, Engine, Instant};

type World = convoke_core::sim::World<Engine>;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The nodes of these numbers.
fn group(from: usize, to: usize) -> Vec<usize> {
    (from..to).collect()
}

/// A cluster that settled long ago, on warm connections.
fn settled(seed: u64, size: usize, config: Config) -> World {
    let mut world = World::empty(seed, config);
    world.settle_cluster(size);
    world.run_for(s(20));
    world
}

/// Counts from now on what is sent and dropped.
fn count_anew(world: &mut World) {
    for node in &mut world.nodes {
        (node.sent, node.dropped) = (Sent::default(), Dropped::default());
    }
}

/// What all nodes sent, or dropped, together.
fn sum(world: &World, of: impl Fn(&(Sent, Dropped)) -> u64) -> u64 {
    let nodes = world.nodes.iter();
    nodes.map(|node| of(&(node.sent, node.dropped))).sum()
}

/// Verdicts since a moment about `subject`, and about others, whoever ran.
fn wronged(world: &World, subject: usize, since: Instant) -> (usize, usize) {
    let wrong = world.wrong_failures(since);
    let about = wrong.iter().filter(|failure| failure.about == subject);
    let about = about.count();
    (about, wrong.len() - about)
}
