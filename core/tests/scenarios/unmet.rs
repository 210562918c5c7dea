//! Members of the past who do not come: what a side sees that is restarted while it is cut off.

use std::collections::BTreeSet;

use convoke_core::config::{QuorumRule, SplitBrain};
use convoke_core::output::PartitionKind;
use convoke_core::{Config, Event, NodeName, State};

use crate::World;
use crate::{group, s, settled};

/// Ends these without a word and starts them anew, all at once.
fn restart(world: &mut World, side: &[usize]) {
    side.iter().for_each(|&number| world.kill(number));
    world.run_for(s(1));
    for &number in side {
        world.nodes[number].events.clear();
        world.start(number);
    }
}

/// A cluster, cut, and one side of it restarted after a while.
fn restarted(seed: u64, sides: &[Vec<usize>; 2], config: Config) -> World {
    let mut world = settled(seed, sides[0].len() + sides[1].len(), config);
    world.network.cut_into(sides);
    world.run_for(s(40));
    restart(&mut world, &sides[0]);
    world
}

fn names(world: &World, numbers: &[usize]) -> BTreeSet<NodeName> {
    let name = |&number: &usize| world.nodes[number].name.clone();
    numbers.iter().map(name).collect()
}

fn failed(world: &World, number: usize) -> BTreeSet<NodeName> {
    let members = world.nodes[number].engine().members();
    let failed = members.filter(|(_, held)| held.standing.state == State::Failed);
    failed.map(|(_, held)| held.profile.name.clone()).collect()
}

/// Every node of this side holds the others for failed, and says that they are cut off.
fn sees_the_cut(world: &World, side: &[usize], others: &[usize], all: usize, quorum: bool) {
    for &number in side {
        let engine = world.nodes[number].engine();
        let partition = engine.partition();
        let partition = partition.unwrap_or_else(|| panic!("n{number}: {}", world.describe()));
        let unreachable: BTreeSet<_> = partition.unreachable.iter().cloned().collect();
        assert_eq!(unreachable, names(world, others), "n{number}");
        assert_eq!(failed(world, number), unreachable, "n{number}");
        assert_eq!(partition.kind, PartitionKind::Cut, "n{number}");
        assert_eq!(partition.share, others.len() as f64 / all as f64);
        assert_eq!((partition.quorum, engine.has_quorum()), (quorum, quorum));
        // It may have been isolated before it met the others of its side.
        let told = world.nodes[number].events.iter();
        let told = told.filter(|(_, event)| matches!(event, Event::PartitionDetected(told) if told.kind == PartitionKind::Cut));
        assert_eq!(told.count(), 1, "n{number}");
    }
}

/// The network is whole: one cluster, and all of `side` say so.
fn heals(world: &mut World, side: &[usize]) {
    let since = world.now;
    world.network.mend();
    let one = world.run_until(s(15), World::is_converged);
    assert!(one.is_some(), "{}", world.describe());
    world.run_for(s(3));
    assert!(world.is_converged(), "{}", world.describe());
    for &number in side {
        let node = &world.nodes[number];
        assert_eq!(node.engine().partition(), None, "n{number}");
        let healed =
            |event: &Event| matches!(event, Event::PartitionHealed { sides, .. } if *sides >= 2);
        let told = node.events.iter();
        let told = told.filter(|(at, event)| *at >= since && healed(event));
        assert_eq!(told.count(), 1, "n{number}");
    }
}

#[test]
fn a_side_that_is_restarted_sees_the_cut_and_counts_as_it_did() {
    for (seed, side, size) in [(1, 2, 5), (2, 4, 6), (3, 6, 12), (4, 3, 12), (5, 40, 64)] {
        let sides = [group(0, side), group(side, size)];
        let mut world = restarted(seed, &sides, Config::lan());
        for _ in 0..40 {
            world.run_for(s(1));
            // Before it sees the cut it counts those who are missing.
            let quorum = |n: &usize| world.nodes[*n].engine().has_quorum();
            assert!(side * 2 > size || !sides[0].iter().any(quorum));
        }
        sees_the_cut(&world, &sides[0], &sides[1], size, side * 2 > size);
        heals(&mut world, &sides[0]);
    }
}

#[test]
fn a_newcomer_on_a_restarted_side_sees_it_too() {
    let sides = [group(0, 4), group(4, 6)];
    let mut world = restarted(6, &sides, Config::lan());
    world.run_for(s(30));
    let newcomer = world.add();
    world
        .network
        .cut_into(&[vec![0, 1, 2, 3, newcomer], vec![4, 5]]);
    assert_eq!(world.join(newcomer, 0), Ok(()));
    world.run_for(s(10));
    sees_the_cut(&world, &[newcomer], &sides[1], 7, true);
    assert_eq!(world.nodes[newcomer].engine().size(), 5);
}

#[test]
fn a_restarted_side_stays_down_for_as_long_as_the_cut_lasts() {
    let policies = [
        (SplitBrain::DownAll, QuorumRule::Majority),
        (SplitBrain::KeepOldest, QuorumRule::Majority),
        (SplitBrain::KeepOldest, QuorumRule::None),
        (SplitBrain::StaticQuorum(5), QuorumRule::None),
    ];
    for (seed, (split_brain, quorum)) in (10..).zip(policies) {
        let config = Config {
            split_brain,
            quorum,
            ..Config::lan()
        };
        let mut world = settled(seed, 6, config);
        let age = |n: &usize| {
            let profile = world.nodes[*n].engine().profile();
            (profile.life.incarnation, profile.id())
        };
        // The larger side has not the oldest.
        let oldest = (0..6).min_by_key(age).expect("there are six");
        let other = (oldest + 1) % 6;
        let large: Vec<_> = (0..6).filter(|n| ![oldest, other].contains(n)).collect();
        world
            .network
            .cut_into(&[large.clone(), vec![oldest, other]]);
        world.run_for(s(60));
        for part in [&large[..], &large[..1], &large[..2]] {
            restart(&mut world, part);
            for second in 0..60 {
                world.run_for(s(1));
                let up = large
                    .iter()
                    .find(|n| world.nodes[**n].engine().downed().is_none());
                assert_eq!(up, None, "{split_brain:?}, {part:?}, {second} s");
            }
        }
        world.network.mend();
        let up = |world: &World| (0..6).all(|n| world.nodes[n].engine().downed().is_none());
        let all_up = world.run_until(s(20), |world| world.is_converged() && up(world));
        assert!(all_up.is_some(), "{}", world.describe());
        world.run_for(s(30));
        assert!(up(&world), "for good");
    }
}

#[test]
fn who_was_down_and_is_started_in_a_whole_network_comes_up() {
    let config = Config {
        split_brain: SplitBrain::KeepMajority,
        ..Config::lan()
    };
    let mut world = settled(20, 5, config);
    world.network.cut_into(&[group(0, 3), group(3, 5)]);
    world.run_for(s(60));
    [3, 4].iter().for_each(|&number| world.kill(number));
    world.network.mend();
    world.run_for(s(60));
    [3, 4].iter().for_each(|&number| world.start(number));
    world.run_for(s(1));
    let down = |n: usize| {
        world.nodes[n]
            .engine()
            .downed()
            .is_some_and(|down| down.resumed)
    };
    assert!(down(3) && down(4), "they can't know yet that it is over");
    let up = |world: &World| {
        [3, 4]
            .iter()
            .all(|&n| world.nodes[n].engine().downed().is_none())
    };
    assert!(world.run_until(s(15), up).is_some(), "{}", world.describe());
    // The disk knows that as well.
    restart(&mut world, &[3, 4]);
    world.run_for(s(1));
    assert!(up(&world));
}

#[test]
fn of_a_fleet_that_is_restarted_the_dead_are_failed_and_called_what_they_are() {
    // Two hosts are not switched on; or their processes do not start, and the ports refuse.
    for (seed, hosts) in [(30, true), (31, false)] {
        let mut world = settled(seed, 12, Config::lan());
        (0..12).for_each(|number| match (hosts, number) {
            (true, 10 | 11) => world.crash(number),
            _ => world.kill(number),
        });
        world.run_for(s(5));
        (0..10).for_each(|number| world.start(number));
        world.run_for(s(40));
        for number in 0..10 {
            assert_eq!(
                failed(&world, number),
                names(&world, &[10, 11]),
                "n{number}"
            );
            let engine = world.nodes[number].engine();
            assert_eq!(engine.partition().is_some(), hosts, "n{number}");
            assert!(engine.has_quorum(), "n{number}");
        }
        // They count until they are forgotten.
        world.run_for(Config::lan().autoclean.expect("there is one"));
        [10, 11].iter().for_each(|&number| world.start(number));
        let all = world.run_until(s(10), World::is_converged);
        assert!(all.is_some(), "{}", world.describe());
        assert_eq!(world.nodes[0].engine().size(), 12);
    }
}

#[test]
fn a_node_that_is_restarted_alone_is_isolated_and_returns_when_it_can() {
    for (seed, autoheal) in [(40, true), (41, false)] {
        let config = Config {
            autoheal,
            ..Config::lan()
        };
        let sides = [vec![0], group(1, 6)];
        let mut world = restarted(seed, &sides, config);
        world.run_for(s(60));
        let engine = world.nodes[0].engine();
        let partition = engine.partition().expect("it reaches nobody");
        assert_eq!(partition.kind, PartitionKind::Isolated);
        assert_eq!(partition.unreachable.len(), 5);
        assert!(!engine.has_quorum());
        world.network.mend();
        let one = world.run_until(s(15), World::is_converged);
        assert!(one.is_some(), "{}", world.describe());
    }
}

#[test]
fn without_autoheal_a_restarted_side_waits_for_a_join_and_shows_what_for() {
    let config = Config {
        autoheal: false,
        ..Config::lan()
    };
    let sides = [group(0, 4), group(4, 6)];
    let mut world = restarted(50, &sides, config);
    world.run_for(s(40));
    sees_the_cut(&world, &sides[0], &sides[1], 6, true);
    world.network.mend();
    world.run_for(s(60));
    sees_the_cut(&world, &sides[0], &sides[1], 6, true);
    assert_eq!(world.join(0, 4), Ok(()));
    heals(&mut world, &sides[0]);
}

#[test]
fn who_is_restarted_long_after_a_cut_began_sees_it_as_the_others_do() {
    // Those who are about to be forgotten are compared no more: not so whom a partition holds.
    let policies = [SplitBrain::Off, SplitBrain::KeepOldest];
    for (seed, split_brain) in (60..).zip(policies) {
        let config = Config {
            split_brain,
            autoclean: Some(s(10)),
            ..Config::lan()
        };
        let mut world = settled(seed, 5, config);
        let age = |n: &usize| {
            let profile = world.nodes[*n].engine().profile();
            (profile.life.incarnation, profile.id())
        };
        let oldest = (0..5).min_by_key(age).expect("there are five");
        let few = vec![oldest, (oldest + 1) % 5];
        let most: Vec<_> = (0..5).filter(|n| !few.contains(n)).collect();
        world.network.cut_into(&[few.clone(), most.clone()]);
        world.run_for(s(60));
        for &number in &most {
            restart(&mut world, &[number]);
            for _ in 0..40 {
                world.run_for(s(1));
                let up = most
                    .iter()
                    .find(|n| world.nodes[**n].engine().downed().is_none());
                assert!(split_brain == SplitBrain::Off || up.is_none(), "{up:?}");
            }
            sees_the_cut(&world, &[number], &few, 5, true);
        }
        world.network.mend();
        let one = world.run_until(s(15), World::is_converged);
        assert!(one.is_some(), "{}", world.describe());
    }
}

#[test]
fn a_newcomer_long_after_a_cut_began_counts_whom_its_side_lacks() {
    let config = Config {
        split_brain: SplitBrain::KeepMajority,
        autoclean: Some(s(10)),
        ..Config::lan()
    };
    let mut world = settled(62, 5, config);
    world.network.cut_into(&[group(0, 3), group(3, 5)]);
    world.run_for(s(60));
    let newcomer = world.add();
    world.network.cut_into(&[group(0, 3), vec![3, 4, newcomer]]);
    assert_eq!(world.join(newcomer, 4), Ok(()));
    world.run_for(s(10));
    sees_the_cut(&world, &[newcomer], &group(0, 3), 6, false);
    world.run_for(s(30));
    assert!(world.nodes[newcomer].engine().downed().is_some());
}

#[test]
fn a_fleet_that_is_restarted_is_one_cluster_without_autoheal_too() {
    for seed in 70..110 {
        let config = Config {
            autoheal: false,
            ..Config::lan()
        };
        let mut world = settled(seed, 6, config);
        restart(&mut world, &group(0, 6));
        let one = world.run_until(s(10), World::is_converged);
        assert!(one.is_some(), "{seed}: {}", world.describe());
        world.run_for(s(30));
        let engine = world.nodes[0].engine();
        assert!(engine.has_quorum() && engine.partition().is_none());
    }
}

#[test]
fn who_had_crashed_before_is_no_partition_after_a_restart_of_all() {
    let config = Config {
        autoclean: None,
        split_brain: SplitBrain::DownAll,
        ..Config::lan()
    };
    for seed in [110, 111] {
        let mut world = settled(seed, 5, config.clone());
        for number in [3, 4] {
            world.crash(number);
            world.run_for(s(30));
        }
        restart(&mut world, &group(0, 3));
        world.run_for(s(60));
        for number in 0..3 {
            let engine = world.nodes[number].engine();
            assert_eq!(engine.partition(), None, "n{number}");
            assert!(engine.has_quorum() && engine.downed().is_none());
            assert_eq!(failed(&world, number), names(&world, &[3, 4]));
            let told = world.nodes[number].events.iter();
            let told = told.filter(|(_, event)| matches!(event, Event::MemberFailed { .. }));
            assert_eq!(told.count(), 2, "n{number}");
        }
    }
}
