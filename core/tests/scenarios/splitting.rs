//! Split brain: the losing side of a partition gives up, all of it alike.

use convoke_core::config::{QuorumTie, SplitBrain};
use convoke_core::output::Signal;
use convoke_core::{Config, Event, Instant};

use crate::World;
use crate::{group, ms, s, settled};

fn config(policy: SplitBrain) -> Config {
    Config {
        split_brain: policy,
        ..Config::lan()
    }
}

fn is_down(world: &World, number: usize) -> bool {
    world.nodes[number].engine().downed().is_some()
}

/// When a node told that it is down, and when that it is up again.
fn told(world: &World, number: usize) -> (Vec<Instant>, Vec<Instant>) {
    let when = |wanted: fn(&Event) -> bool| {
        let events = world.nodes[number].events.iter();
        let events = events.filter(|(_, event)| wanted(event));
        events.map(|(at, _)| *at).collect()
    };
    (
        when(|e| matches!(e, Event::Downed(_))),
        when(|e| matches!(e, Event::Restored)),
    )
}

/// Which sides are down once a cut into them has stood: every node of a side alike, and within two
/// seconds.
fn downed(world: &mut World, sides: &[Vec<usize>]) -> Vec<bool> {
    let since = world.now;
    world.network.cut_into(sides);
    world.run_for(s(60));
    let down = sides.iter().map(|side| {
        let down: Vec<_> = side.iter().map(|&n| is_down(world, n)).collect();
        assert!(down.iter().all(|d| *d == down[0]), "{side:?}: {down:?}");
        let mut at: Vec<_> = side.iter().flat_map(|&n| told(world, n).0).collect();
        at.retain(|at| *at >= since);
        at.sort_unstable();
        if down[0] {
            assert_eq!(at.len(), side.len(), "each once");
            assert!(at[at.len() - 1] - at[0] <= s(2), "{at:?}");
        }
        down[0]
    });
    down.collect()
}

fn oldest(world: &World) -> usize {
    let age = |n: &usize| {
        let profile = world.nodes[*n].engine().profile();
        (profile.life.incarnation, profile.id())
    };
    (0..world.nodes.len())
        .min_by_key(age)
        .expect("there are nodes")
}

/// The network is whole: everybody is up, and says so.
fn comes_up(world: &mut World) {
    world.network.mend();
    let took = world.run_until(s(10), World::is_converged);
    assert!(took.is_some(), "{}", world.describe());
    world.run_for(s(2));
    for number in 0..world.nodes.len() {
        assert!(!is_down(world, number), "n{number}");
        let (down, up) = told(world, number);
        assert_eq!(down.len(), up.len(), "n{number}");
        let signals = world.nodes[number]
            .signals
            .iter()
            .filter_map(|(_, s)| match s {
                Signal::Down(down) => Some(*down),
                _ => None,
            });
        let expected = [true, false].repeat(down.len());
        assert_eq!(signals.collect::<Vec<_>>(), expected, "n{number}");
    }
}

#[test]
fn the_side_without_a_majority_goes_down_and_comes_up_with_the_network() {
    for (seed, size) in [(1, 5), (2, 12), (3, 64)] {
        let mut world = settled(seed, size, config(SplitBrain::KeepMajority));
        let sides = [group(0, size / 2 + 1), group(size / 2 + 1, size)];
        assert_eq!(downed(&mut world, &sides), [false, true], "of {size}");
        comes_up(&mut world);
    }
}

#[test]
fn of_an_even_split_both_sides_go_down_unless_the_oldest_decides() {
    let mut world = settled(4, 12, config(SplitBrain::KeepMajority));
    let halves = [group(0, 6), group(6, 12)];
    assert_eq!(downed(&mut world, &halves), [true, true]);
    let tie = Config {
        quorum_tie: QuorumTie::Oldest,
        ..config(SplitBrain::KeepMajority)
    };
    let mut world = settled(5, 12, tie);
    let with_oldest = oldest(&world) < 6;
    assert_eq!(downed(&mut world, &halves), [!with_oldest, with_oldest]);
    comes_up(&mut world);
}

#[test]
fn a_static_quorum_keeps_who_has_it_and_keep_oldest_the_smaller_side() {
    let mut world = settled(6, 9, config(SplitBrain::StaticQuorum(4)));
    let sides = [group(0, 4), group(4, 6), group(6, 9)];
    assert_eq!(downed(&mut world, &sides), [false, true, true]);
    comes_up(&mut world);
    let mut world = settled(7, 9, config(SplitBrain::KeepOldest));
    let first = oldest(&world);
    let other = (first + 1) % 9;
    let small = vec![first, other];
    let rest: Vec<_> = (0..9).filter(|n| !small.contains(n)).collect();
    assert_eq!(downed(&mut world, &[small, rest]), [false, true]);
    comes_up(&mut world);
}

#[test]
fn the_oldest_that_is_alone_gives_up_and_a_dead_oldest_does_not_count() {
    let mut world = settled(8, 9, config(SplitBrain::KeepOldest));
    let first = oldest(&world);
    let rest: Vec<_> = (0..9).filter(|n| *n != first).collect();
    assert_eq!(
        downed(&mut world, &[vec![first], rest.clone()]),
        [true, false]
    );
    comes_up(&mut world);
    world.crash(first);
    world.run_for(s(60));
    let age = |n: &usize| world.nodes[*n].engine().profile().life.incarnation;
    let second = *rest.iter().min_by_key(|n| age(n)).expect("there is one");
    let three = rest.iter().copied().filter(|n| *n != second).take(2);
    let with: Vec<_> = three.chain([second]).collect();
    let without: Vec<_> = rest.iter().copied().filter(|n| !with.contains(n)).collect();
    assert_eq!(downed(&mut world, &[with, without]), [false, true]);
}

#[test]
fn down_all_downs_all_and_a_single_failure_downs_nobody() {
    let mut world = settled(9, 9, config(SplitBrain::DownAll));
    assert_eq!(downed(&mut world, &[group(0, 8), vec![8]]), [false, true]);
    world.network.mend();
    world
        .run_until(s(10), World::is_converged)
        .expect("it heals");
    world.run_for(s(2));
    assert_eq!(
        downed(&mut world, &[group(0, 6), group(6, 9)]),
        [true, true]
    );
    // Downed nodes forget nobody, and so do not end the partition by themselves.
    world.run_for(s(600));
    assert!((0..9).all(|n| is_down(&world, n)));
    comes_up_at_last(&mut world);
}

fn comes_up_at_last(world: &mut World) {
    world.network.mend();
    let up = world.run_until(s(30), |w| (0..w.nodes.len()).all(|n| !is_down(w, n)));
    assert!(up.is_some(), "{}", world.describe());
}

#[test]
fn sides_that_are_a_majority_together_come_up_when_they_meet() {
    let mut world = settled(10, 10, config(SplitBrain::KeepMajority));
    let thirds = [group(0, 4), group(4, 7), group(7, 10)];
    assert_eq!(downed(&mut world, &thirds), [true, true, true]);
    world.network.mend();
    world.network.cut_into(&[group(0, 7), group(7, 10)]);
    world.run_for(s(20));
    assert!((0..7).all(|n| !is_down(&world, n)), "seven of ten");
    assert!((7..10).all(|n| is_down(&world, n)), "three of ten");
}

#[test]
fn a_partition_that_is_over_sooner_downs_nobody() {
    let mut world = settled(11, 12, config(SplitBrain::KeepMajority));
    for _ in 0..4 {
        world.network.cut_into(&[group(0, 9), group(9, 12)]);
        world.run_for(s(18));
        world.network.mend();
        world.run_for(s(12));
    }
    for number in 0..12 {
        assert_eq!(told(&world, number).0, [], "n{number}");
    }
}

#[test]
fn nodes_of_a_side_that_do_not_meet_each_other_decide_alike() {
    // A side of five, in which two pairs are connected by the others only.
    let mut world = settled(12, 12, config(SplitBrain::KeepMajority));
    world.network.cut_pair(7, 8);
    world.network.cut_pair(9, 10);
    let sides = [group(0, 7), group(7, 12)];
    assert_eq!(downed(&mut world, &sides), [false, true]);
}

#[test]
fn one_way_cuts_are_decided_too_and_a_node_that_nobody_answers_goes_down() {
    let mut world = settled(13, 12, config(SplitBrain::KeepMajority));
    world.network.cut_into_one_way(&[group(0, 8), group(8, 12)]);
    world.run_for(s(60));
    (0..12).for_each(|n| assert_eq!(is_down(&world, n), n >= 8, "n{n}"));
    let mut world = settled(14, 12, config(SplitBrain::KeepMajority));
    world.network.cut_into_one_way(&[group(1, 12), vec![0]]);
    world.run_for(s(60));
    (0..12).for_each(|n| assert_eq!(is_down(&world, n), n == 0, "n{n}"));
}

#[test]
fn who_was_alone_and_hears_another_one_is_not_back_by_that() {
    for (seed, restarted) in [(20, false), (21, true)] {
        let mut world = settled(seed, 5, config(SplitBrain::KeepMajority));
        world.network.cut_into(&[group(0, 3), vec![3], vec![4]]);
        world.run_for(s(60));
        assert!(is_down(&world, 3) && is_down(&world, 4));
        if restarted {
            world.kill(4);
            world.start(4);
            world.run_for(s(8));
        }
        world.network.cut_into(&[group(0, 3), group(3, 5)]);
        for second in 0..120 {
            world.run_for(ms(500));
            for number in [3, 4] {
                let engine = world.nodes[number].engine();
                assert!(!engine.has_quorum(), "n{number}, {second}");
                assert!(is_down(&world, number), "n{number}, {second}");
            }
        }
        let cut = world.nodes[3].engine().partition().expect("there is one");
        assert_eq!(cut.unreachable.len(), 3);
        world.network.mend();
        let up = |world: &World| (0..5).all(|number| !is_down(world, number));
        let all = world.run_until(s(20), |world| world.is_converged() && up(world));
        assert!(all.is_some(), "{}", world.describe());
    }
}

#[test]
fn a_failure_that_passes_downs_nobody_however_long_a_partition_stands() {
    let mut world = settled(22, 5, config(SplitBrain::KeepMajority));
    world.network.cut_into(&[group(0, 2), group(2, 5)]);
    world.run_for(s(60));
    world.kill(2);
    world.run_for(s(6));
    assert!(!world.nodes[3].engine().has_quorum(), "two of five");
    world.start(2);
    world.run_for(s(40));
    for number in [3, 4] {
        assert_eq!(told(&world, number).0, [], "n{number}");
    }
    // One that lasts does.
    world.kill(2);
    world.run_for(s(40));
    assert!(is_down(&world, 3) && is_down(&world, 4));
}

#[test]
fn one_that_changes_sides_does_not_make_the_others_forget_whom_they_lack() {
    let config = Config {
        autoclean: Some(s(10)),
        ..config(SplitBrain::KeepMajority)
    };
    let mut world = settled(23, 5, config);
    world.network.cut_into(&[group(0, 2), group(2, 5)]);
    world.run_for(s(60));
    world.network.cut_into(&[group(0, 3), group(3, 5)]);
    world.run_for(s(12));
    world.network.cut_into(&[group(0, 2), group(2, 5)]);
    // The third one has to be missed first.
    world.run_for(s(10));
    for _ in 0..100 {
        world.run_for(ms(500));
        let with_quorum = (0..5).filter(|n| world.nodes[*n].engine().has_quorum());
        let with_quorum: Vec<_> = with_quorum.collect();
        assert_eq!(with_quorum, [2, 3, 4]);
    }
    world.network.mend();
    let one = world.run_until(s(15), World::is_converged);
    assert!(one.is_some(), "{}", world.describe());
}
