//! Healing by hand: without `autoheal`, sides wait for an operator's join.

use std::time::Duration;

use convoke_core::output::Target;
use convoke_core::{ClusterId, Config, Event};

use crate::World;
use crate::{group, s, settled};

/// Halves of a cluster that were cut, and found each other dead.
fn halves(seed: u64, size: usize) -> (World, [Vec<usize>; 2]) {
    let config = Config {
        autoheal: false,
        ..Config::lan()
    };
    let mut world = settled(seed, size, config);
    let sides = [group(0, size / 2), group(size / 2, size)];
    world.network.cut_into(&sides);
    world.run_for(s(60));
    world.network.mend();
    (world, sides)
}

/// Has one node join a node of the other side: all are one by that.
fn heal(world: &mut World, joiner: usize, target: usize) {
    let since = world.now;
    assert_eq!(world.join(joiner, target), Ok(()));
    let one = world.run_until(s(3), World::is_converged);
    assert!(one.is_some(), "{}", world.describe());
    world.run_for(s(20));
    assert!(world.is_converged(), "it lasts: {}", world.describe());
    for number in world.running() {
        let mut events = world.nodes[number].events.iter();
        let healed = events.any(|(at, event)| {
            *at >= since && matches!(event, Event::PartitionHealed { sides: 2, .. })
        });
        assert!(healed, "n{number}");
    }
}

#[test]
fn sides_wait_for_a_join_and_one_join_makes_all_one() {
    for (seed, size) in [(1, 4), (2, 8), (3, 32), (4, 128)] {
        let (mut world, sides) = halves(seed, size);
        world.run_for(s(120));
        for side in &sides {
            assert!(world.agree(side), "{size}: {}", world.describe());
        }
        heal(&mut world, 0, size / 2);
    }
}

/// Has discovery on all of them propose a node of each side again and again, one `apart` from the
/// other, and checks all the while that no two sides meet. In the end the newcomer is on one of them.
fn discover(world: &mut World, sides: &[Vec<usize>; 2], newcomer: usize, apart: Duration) {
    let seeds = [0, 4].map(|seed| Target::Address(world.nodes[seed].address));
    for number in 0..=newcomer {
        world.tell(number, |engine, _| engine.set_discovery(true));
    }
    for round in 0..10 {
        for seed in &seeds {
            for number in 0..=newcomer {
                world.tell(number, |engine, now| engine.propose(now, seed.clone()));
            }
            world.run_for(apart);
        }
        world.run_for(s(3));
        let own = |one: usize| {
            let mut own = sides[one].clone();
            own.push(newcomer);
            own
        };
        let on = |one: usize| world.agree(&own(one)) && world.agree(&sides[1 - one]);
        assert!(on(0) || on(1), "{round}, {apart:?}: {}", world.describe());
    }
}

/// Pauses between what discovery says of one side and of the other: at once, during the first
/// grant, while the list is read, and long after.
fn pauses() -> impl Iterator<Item = Duration> {
    [0, 1, 2, 5, 20, 100, 400, 1500]
        .into_iter()
        .map(Duration::from_millis)
}

#[test]
fn discovery_does_not_undo_it_and_brings_newcomers_all_the_same() {
    for (seed, apart) in (20..).zip(pauses()) {
        let (mut world, sides) = halves(seed, 8);
        let newcomer = world.add();
        discover(&mut world, &sides, newcomer, apart);
        world
            .join(0, 4)
            .or_else(|_| world.join(4, 0))
            .expect("one of them joins");
        let one = world.run_until(s(3), World::is_converged);
        assert!(one.is_some(), "{}", world.describe());
    }
}

#[test]
fn discovery_does_not_undo_it_where_a_host_comes_back_without_its_data() {
    for (seed, apart) in (40..).zip(pauses()) {
        let (mut world, sides) = halves(seed, 8);
        // Both sides know its name and its address.
        let lost = 7;
        world.kill(lost);
        world.run_for(s(3));
        let cluster = ClusterId(u128::from(seed));
        world.forget(lost, cluster);
        world.start(lost);
        let sides = [sides[0].clone(), group(4, lost)];
        discover(&mut world, &sides, lost, apart);
    }
}

#[test]
fn who_is_started_anew_meanwhile_returns_to_its_own_side() {
    for seed in 6..14 {
        let (mut world, sides) = halves(seed, 8);
        for number in 0..8 {
            world.tell(number, |engine, _| engine.set_discovery(true));
        }
        for number in [0, 5] {
            world.kill(number);
            world.run_for(s(3));
            world.start(number);
            for other in (0..8).filter(|&other| other != number) {
                let found = Target::Address(world.nodes[other].address);
                world.tell(number, |engine, now| engine.propose(now, found));
            }
            let back = world.run_until(s(5), |w| sides.iter().all(|side| w.agree(side)));
            assert!(back.is_some(), "{seed}: {}", world.describe());
        }
        world.run_for(s(60));
        for side in &sides {
            assert!(world.agree(side), "{seed}: {}", world.describe());
        }
        heal(&mut world, 0, 4);
    }
}

#[test]
fn a_side_that_is_started_anew_as_a_whole_stays_apart() {
    for seed in 14..18 {
        let (mut world, sides) = halves(seed, 8);
        for &number in &sides[0] {
            world.kill(number);
        }
        world.run_for(s(3));
        for &number in &sides[0] {
            world.start(number);
        }
        world.run_for(s(60));
        for side in &sides {
            assert!(world.agree(side), "{seed}: {}", world.describe());
        }
        // They lost nobody since they were started, and so tell of nothing that was healed.
        assert_eq!(world.join(0, 4), Ok(()));
        let one = world.run_until(s(3), World::is_converged);
        assert!(one.is_some(), "{}", world.describe());
    }
}
