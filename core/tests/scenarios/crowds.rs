//! Many nodes on few cores: what one of them spends, all wait for.

use std::time::Duration;

use convoke_core::Stats;
use convoke_core::sim::Machine;

use crate::World;
use crate::{ms, s, sum};

/// So many nodes, all on two cores, join one at once. Also: how long it takes until all know all.
fn storm(seed: u64, size: usize) -> (World, Option<Duration>) {
    let mut world = World::new(seed);
    world.machine = Machine::CROWDED;
    world.add_many(size);
    for joiner in 1..size {
        world.send_join(joiner, 0);
    }
    let took = world.run_until(s(60), World::is_converged);
    (world, took)
}

fn all(world: &World, of: impl Fn(&Stats) -> u64) -> u64 {
    let nodes = world.nodes.iter();
    nodes.map(|node| of(node.engine().stats())).sum()
}

/// How many handshakes there were.
fn handshakes(world: &World) -> u64 {
    sum(world, |(sent, _)| sent.handshakes) / 2
}

#[test]
fn a_crowd_that_shares_two_cores_gets_whole_by_few_handshakes() {
    for (seed, size, within) in [(1, 128, ms(1000)), (2, 256, ms(2000))] {
        let (world, took) = storm(seed, size);
        assert!(took.is_some_and(|took| took < within), "{size}: {took:?}");
        let each = handshakes(&world) as f64 / size as f64;
        assert!(each <= 4.0, "{size}: {each} handshakes a node");
    }
}

#[test]
fn the_handshakes_of_a_crowd_are_taken_for_nobodys_silence() {
    for seed in 3..6 {
        let (mut world, took) = storm(seed, 256);
        assert!(took.is_some(), "{}", world.describe());
        world.run_for(s(30));
        assert!(world.is_converged(), "{}", world.describe());
        let found = (
            all(&world, |stats| stats.suspicions),
            all(&world, |stats| stats.verdicts),
        );
        assert_eq!(found, (0, 0), "seed {seed}");
        // By then all have their ring neighbours.
        let each = handshakes(&world) / 256;
        assert!((8..=16).contains(&each), "{each} handshakes a node");
    }
}
