//! Partitions of every kind in a large cluster, with the checkers on: of a thousand nodes where
//! `TESTS_LONG` is 1 in the environment, else of as many as take seconds.

use std::time::Duration;

use convoke_core::Config;
use convoke_core::output::PartitionKind;

use crate::verdicts::{agrees, none_failed_by_its_own, splits_and_heals};
use crate::{World, group, s, settled};

fn size() -> usize {
    let long = std::env::var_os("TESTS_LONG").is_some_and(|value| value == "1");
    if long { 1000 } else { 128 }
}

fn large(seed: u64) -> World {
    let mut world = settled(seed, size(), Config::lan());
    world.checks = true;
    world
}

/// The network is mended: all are one cluster again, in this time at the most.
fn comes_together(world: &mut World, within: Duration) {
    world.network.mend();
    let took = world.run_until(s(30), World::is_converged);
    assert!(took.is_some_and(|took| took <= within), "{took:?}");
    world.run_for(s(10));
    assert!(world.is_converged(), "{}", world.describe());
    assert_eq!(world.checked.violations, []);
}

#[test]
fn halves() {
    let size = size();
    splits_and_heals(1, &[group(0, size / 2), group(size / 2, size)]);
}

#[test]
fn nine_tenths_and_one() {
    let (size, few) = (size(), size() / 10);
    splits_and_heals(2, &[group(0, size - few), group(size - few, size)]);
}

#[test]
fn two_that_are_each_alone() {
    let size = size();
    let alone = |n| group(n, n + 1);
    splits_and_heals(3, &[group(0, size - 2), alone(size - 2), alone(size - 1)]);
}

#[test]
fn three_thirds() {
    let (size, third) = (size(), size() / 3);
    let sides = [
        group(0, third),
        group(third, 2 * third),
        group(2 * third, size),
    ];
    splits_and_heals(4, &sides);
}

#[test]
fn one_that_is_cut_off() {
    let size = size();
    splits_and_heals(5, &[group(0, size - 1), group(size - 1, size)]);
}

#[test]
fn a_half_that_hears_the_other_and_is_not_heard() {
    let mut world = large(6);
    let (since, half) = (world.now, size() / 2);
    let (deaf, heard) = (group(0, half), group(half, size()));
    let sides = [deaf.clone(), heard.clone()];
    world.network.cut_into_one_way(&sides);
    world.run_for(s(60));
    agrees(&world, &heard, &deaf, PartitionKind::OneWay, since);
    agrees(&world, &deaf, &heard, PartitionKind::Cut, since);
    comes_together(&mut world, s(3));
    none_failed_by_its_own(&world, &sides, since);
}

#[test]
fn single_pairs_that_do_not_meet_make_nobody_suspect() {
    let mut world = large(7);
    let since = world.now;
    for n in (0..size() - 1).step_by(2) {
        world.network.cut_pair(n, n + 1);
    }
    world.run_for(s(60));
    assert_eq!(world.count("suspected", since), 0);
    comes_together(&mut world, s(1));
    assert_eq!(world.count("suspected", since), 0);
    assert_eq!(world.count("failed", since), 0);
}

#[test]
fn halves_that_come_and_go_every_five_seconds() {
    let mut world = large(8);
    let (since, half) = (world.now, size() / 2);
    let sides = [group(0, half), group(half, size())];
    for _ in 0..12 {
        world.network.cut_into(&sides);
        world.run_for(s(5));
        world.network.mend();
        world.run_for(s(5));
    }
    comes_together(&mut world, s(5));
    none_failed_by_its_own(&world, &sides, since);
}
