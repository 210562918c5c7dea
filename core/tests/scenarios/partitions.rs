//! Several cuts at once.

use std::time::Duration;

use convoke_core::{Config, Event};

use crate::World;
use crate::{group, s, settled};

fn checked(seed: u64, size: usize) -> World {
    let mut world = settled(seed, size, Config::lan());
    world.checks = true;
    world
}

#[test]
fn eight_sides_of_four_are_one_again_within_seconds() {
    let mut world = checked(1, 32);
    let sides: Vec<Vec<usize>> = (0..8)
        .map(|side| (0..32).filter(|n| n % 8 == side).collect())
        .collect();
    world.network.cut_into(&sides);
    let apart = world.run_until(s(90), |w| sides.iter().all(|side| w.agree(side)));
    assert!(apart.is_some(), "{}", world.describe());
    world.run_for(s(20));
    world.network.mend();
    let took = world.run_until(s(20), World::is_converged);
    assert!(took.is_some_and(|t| t < s(3)), "{took:?}");
    let since = world.now;
    world.run_for(s(20));
    assert_eq!(world.count("failed", since), 0, "no late verdicts");
    assert_eq!(world.checked.violations, []);
}

#[test]
fn two_cuts_that_cross_heal_one_after_the_other() {
    // Nine cells: rows do not reach rows, columns do not reach columns.
    let mut world = checked(2, 36);
    let (row, column) = (|n: usize| n / 12, |n: usize| n % 3);
    let pairs = || (0..36).flat_map(|a| (a + 1..36).map(move |b| (a, b)));
    for (a, b) in pairs().filter(|&(a, b)| row(a) != row(b) || column(a) != column(b)) {
        world.network.cut_pair(a, b);
    }
    world.run_for(s(60));
    for (a, b) in pairs().filter(|&(a, b)| row(a) == row(b)) {
        world.network.mend_pair(a, b);
    }
    let rows: Vec<Vec<usize>> = (0..3).map(|r| (r * 12..r * 12 + 12).collect()).collect();
    let took = world.run_until(s(20), |w| rows.iter().all(|row| w.agree(row)));
    assert!(took.is_some(), "the rows");
    world.run_for(s(20));
    world.network.mend();
    let took = world.run_until(s(20), World::is_converged);
    assert!(took.is_some_and(|t| t < s(3)), "all: {took:?}");
    let since = world.now;
    world.run_for(s(20));
    assert_eq!(world.count("failed", since), 0, "no late verdicts");
    assert_eq!(world.checked.violations, []);
}

/// Of `size` members the first `part` and the next `part` do not meet, and the rest meets both.
fn estranged(seed: u64, size: usize, part: usize) -> World {
    let mut world = settled(seed, size, Config::lan());
    for a in 0..part {
        (part..2 * part).for_each(|b| world.network.cut_pair(a, b));
    }
    world
}

#[test]
fn parts_that_do_not_meet_are_kept_in_by_a_rest_that_meets_both() {
    for (seed, size, part) in [(3, 12, 2), (4, 30, 5), (5, 60, 10), (6, 12, 4), (7, 30, 10)] {
        let mut world = estranged(seed, size, part);
        let since = world.now;
        world.run_for(s(60));
        assert_eq!(world.count("failed", since), 0, "of {size}");
        assert_eq!(world.count("partition detected", since), 0, "of {size}");
    }
}

#[test]
fn two_thirds_that_do_not_meet_come_to_rest_with_everybody_in() {
    // Three observers that don't reach a member are a quorum, and of 64 some have only such. They
    // may be failed once, until it is known by whom they are reached.
    for seed in 8..12 {
        let mut world = estranged(seed, 64, 21);
        world.checks = true;
        world.run_for(s(30));
        let since = world.now;
        world.run_for(s(120));
        assert_eq!(world.count("failed", since), 0, "seed {seed}");
        world.network.mend();
        let took = world.run_until(s(10), World::is_converged);
        assert!(took.is_some_and(|t| t < s(2)), "{took:?}");
        assert_eq!(world.checked.violations, []);
    }
}

/// Every pair of halves that follow each other within the seconds in which a node still names the
/// side that it was on.
#[test]
fn a_cut_soon_after_another_one_has_its_own_sides() {
    let halves = [group(0, 4), group(4, 8)];
    let others = [vec![0, 1, 4, 5], vec![2, 3, 6, 7]];
    for (seed, tenths) in (1..).zip(30..90) {
        let mut world = settled(seed, 8, Config::lan());
        world.network.cut_into(&halves);
        world.run_for(s(20));
        world.network.mend();
        let one = world.run_until(s(5), World::is_converged);
        assert!(one.is_some(), "{seed}: {}", world.describe());
        world.run_for(s(2));
        let since = world.now;
        world.network.cut_into(&others);
        world.run_for(Duration::from_millis(100 * tenths));
        world.network.mend();
        world.run_for(s(20));
        for number in world.running() {
            let events = world.nodes[number].events.iter();
            let healed: Vec<_> = events
                .filter(|(at, _)| *at >= since)
                .filter_map(|(_, event)| match event {
                    Event::PartitionHealed { sides, .. } => Some(*sides),
                    _ => None,
                })
                .collect();
            assert!(
                healed.is_empty() || healed == [2],
                "{seed}, {tenths}: n{number} {healed:?}"
            );
        }
    }
}
