//! Processes end and start again, with and without what they remembered.

use convoke_core::{ClusterId, Departure};

use crate::World;
use crate::{ms, s};
use convoke_core::sim::Health;

#[test]
fn a_crash_and_a_restart_are_seen_as_failed_and_joined() {
    let mut world = World::cluster(1, 12);
    let since = world.now;
    let before = world.nodes[4].engine().profile().life;
    world.crash(4);
    world
        .run_until(s(20), |w| w.all_hold(4, Health::Failed))
        .expect("it is found dead");
    world.start(4);
    let back = world.run_until(s(5), World::is_converged);
    assert!(back.is_some(), "{}", world.describe());
    world.run_for(s(10));
    let after = world.nodes[4].engine().profile().life;
    assert!(after > before && after.admission == before.admission);
    for number in world.running().into_iter().filter(|&n| n != 4) {
        let mut history = world.history(number, 4, since);
        history.retain(|word| *word != "suspected");
        assert_eq!(history, ["failed", "joined"], "seen by n{number}");
    }
}

#[test]
fn one_of_a_fleet_that_is_restarted_alone_has_no_quorum_until_enough_are_back() {
    let mut world = World::cluster(31, 6);
    world.run_for(s(10));
    (0..6).for_each(|number| world.crash(number));
    world.start(0);
    world.run_for(s(8));
    let alone = world.nodes[0].engine();
    assert!(!alone.has_quorum());
    assert!(alone.partition().is_some(), "it hears nobody");
    (1..3).for_each(|number| world.start(number));
    world
        .run_until(s(15), |w| w.agree(&[0, 1, 2]))
        .expect("they find each other");
    assert!(!world.nodes[0].engine().has_quorum(), "three of six");
    // One that is gone for good is removed, though nobody met it since.
    let gone = world.nodes[5].name.clone();
    world
        .tell(0, |engine, now| engine.force_leave(now, &gone))
        .expect("it is remembered");
    world.start(3);
    world
        .run_until(s(15), |w| w.agree(&[0, 1, 2, 3]))
        .expect("they find each other");
    // It was alone for long: that it hears one is not enough.
    let quorum = |world: &World| world.nodes[0].engine().has_quorum();
    assert!(world.run_until(s(3), quorum).is_some(), "four of five");
    world.start(5);
    world.run_for(s(15));
    assert!(world.agree(&[0, 1, 2, 3]), "{}", world.describe());
    assert_eq!(world.nodes[5].engine().size(), 1);
}

#[test]
fn a_restart_that_is_faster_than_the_detector_is_never_failed() {
    // A host that refuses tells sooner than one that says nothing.
    for (seed, refuses, down) in [
        (2, true, ms(0)),
        (3, true, ms(200)),
        (4, false, ms(1500)),
        (5, true, ms(300)),
    ] {
        let mut world = World::cluster(seed, 12);
        let since = world.now;
        if refuses {
            world.kill(4);
        } else {
            world.crash(4);
        }
        world.run_for(down);
        world.start(4);
        let back = world.run_until(s(5), World::is_converged);
        assert!(back.is_some(), "{}", world.describe());
        world.run_for(s(20));
        assert_eq!(world.count("failed", since), 0, "down for {down:?}");
        assert!(world.is_converged(), "{}", world.describe());
    }
}

#[test]
fn a_node_that_shut_down_is_left_and_returns_by_itself_without_a_seed() {
    let mut world = World::cluster(5, 12);
    let since = world.now;
    world.shut_down(4);
    let known = world.run_until(ms(100), |w| w.all_hold(4, Health::Left));
    assert!(known.is_some(), "{}", world.describe());
    world.run_for(s(30));
    world.start(4);
    let back = world.run_until(s(5), World::is_converged);
    assert!(back.is_some(), "{}", world.describe());
    world.run_for(s(10));
    for number in world.running().into_iter().filter(|&n| n != 4) {
        assert_eq!(
            world.history(number, 4, since),
            ["left", "joined"],
            "seen by n{number}"
        );
    }
}

#[test]
fn a_node_that_left_does_not_return_at_its_next_start() {
    let mut world = World::cluster(6, 6);
    world.leave(4, Departure::Leave);
    world.crash(4);
    world.run_for(s(10));
    world.start(4);
    world.run_for(s(30));
    assert_eq!(world.nodes[4].engine().size(), 1);
    assert!(world.agree(&[0, 1, 2, 3, 5]), "{}", world.describe());
}

#[test]
fn a_node_returns_at_a_new_address() {
    for (seed, gracefully) in [(7, true), (8, false)] {
        let mut world = World::cluster(seed, 8);
        if gracefully {
            world.shut_down(4);
        } else {
            world.crash(4);
        }
        world.run_for(s(10));
        world.nodes[4].address = "10.9.9.9:5000".parse().unwrap();
        world.start(4);
        let back = world.run_until(s(10), World::is_converged);
        assert!(
            back.is_some(),
            "gracefully {gracefully}:\n{}",
            world.describe()
        );
        world.run_for(s(20));
        assert!(
            world.is_converged(),
            "gracefully {gracefully}:\n{}",
            world.describe()
        );
        for number in world.running() {
            let member = world.nodes[number]
                .engine()
                .member(world.nodes[4].id())
                .unwrap();
            assert_eq!(member.profile.address, world.nodes[4].address);
        }
    }
}

#[test]
fn a_node_that_crashes_and_comes_back_elsewhere_at_once_is_believed() {
    let mut world = World::cluster(9, 8);
    world.crash(4);
    world.nodes[4].address = "10.9.9.9:5000".parse().unwrap();
    world.start(4);
    let back = world.run_until(s(20), World::is_converged);
    assert!(back.is_some(), "{}", world.describe());
    world.run_for(s(20));
    assert!(world.is_converged(), "{}", world.describe());
    let member = world.nodes[0].engine().member(world.nodes[4].id()).unwrap();
    assert_eq!(member.profile.address, world.nodes[4].address);
}

#[test]
fn a_node_that_lost_its_data_joins_anew_above_its_former_life() {
    let mut world = World::cluster(10, 8);
    let before = world.nodes[4].engine().profile().life;
    world.crash(4);
    world.forget(4, ClusterId(99));
    world.run_for(s(1));
    world.start(4);
    assert_eq!(
        world.join(4, 0),
        Ok(()),
        "its former life does not answer any more"
    );
    let back = world.run_until(s(5), World::is_converged);
    assert!(back.is_some(), "{}", world.describe());
    assert!(world.nodes[4].engine().profile().life > before);
    world.run_for(s(20));
    assert!(world.is_converged(), "{}", world.describe());
}

#[test]
fn all_nodes_restart_at_once_and_are_one_cluster_again() {
    for (seed, size) in [(11, 2), (12, 16), (13, 64)] {
        let mut world = World::cluster(seed, size);
        let cluster = world.nodes[0].engine().membership().cluster;
        (0..size).for_each(|number| world.crash(number));
        world.run_for(s(30));
        (0..size).for_each(|number| world.start(number));
        let took = world.run_until(s(20), World::is_converged);
        assert!(
            took.is_some_and(|t| t < s(10)),
            "{size}: {took:?}\n{}",
            world.describe()
        );
        assert_eq!(world.nodes[0].engine().membership().cluster, cluster);
        let since = world.now;
        world.run_for(s(20));
        assert!(world.is_converged(), "{size}:\n{}", world.describe());
        assert_eq!(world.count("failed", since), 0, "{size}");
    }
}

#[test]
fn a_rolling_restart_fails_nobody() {
    let mut world = World::cluster(14, 16);
    let since = world.now;
    for number in 0..16 {
        world.shut_down(number);
        world.run_for(ms(500));
        world.start(number);
        world.run_for(s(3));
    }
    world.run_for(s(20));
    assert!(world.is_converged(), "{}", world.describe());
    assert_eq!(world.count("failed", since), 0);
}

#[test]
fn who_was_forgotten_is_not_waited_for_by_a_fleet_that_is_restarted_whole() {
    let mut world = World::new(32);
    world.config.autoclean = Some(s(30));
    world.grow(8);
    // One after the other, so that the rest has quorum, and forgets it.
    for dead in 3..8 {
        world.crash(dead);
        let forgotten = world.run_until(s(60), |w| w.all_hold(dead, Health::Unknown));
        assert!(forgotten.is_some(), "{}", world.describe());
    }
    world.run_for(s(10));
    (0..3).for_each(|number| world.crash(number));
    (0..3).for_each(|number| world.start(number));
    let one = world.run_until(s(15), |w| w.agree(&[0, 1, 2]));
    assert!(one.is_some(), "{}", world.describe());
    for number in 0..3 {
        assert!(world.nodes[number].engine().has_quorum(), "n{number}");
    }
    // What was forgotten is a member again when it comes back.
    world.start(5);
    let back = world.run_until(s(15), |w| w.agree(&[0, 1, 2, 5]));
    assert!(back.is_some(), "{}", world.describe());
}
