//! What nodes say of themselves arrives; what happened can be told again.

use std::collections::BTreeMap;

use crate::World;
use crate::{ms, s};

fn tags(role: &str) -> BTreeMap<String, String> {
    [("role".to_owned(), role.to_owned())].into()
}

#[test]
fn a_change_of_tags_is_one_event_everywhere() {
    let mut world = World::cluster(1, 32);
    let since = world.now;
    world
        .tell(6, |engine, now| engine.set_tags(now, tags("db")))
        .expect("tags fit");
    let id = world.nodes[6].id();
    let known = |w: &World| {
        w.nodes
            .iter()
            .all(|node| node.engine().member(id).unwrap().profile.tags == tags("db"))
    };
    let took = world.run_until(s(1), known);
    assert!(took.is_some_and(|t| t < ms(50)), "{took:?}");
    world.run_for(s(30));
    for number in (0..32).filter(|&n| n != 6) {
        assert_eq!(
            world.history(number, 6, since),
            ["tags"],
            "seen by n{number}"
        );
    }
    assert!(world.is_converged());
}

#[test]
fn tags_that_are_too_large_are_refused_and_change_nothing() {
    let mut world = World::cluster(2, 2);
    let before = world.nodes[0].engine().profile().clone();
    let large = tags(&"x".repeat(600));
    assert!(
        world
            .tell(0, |engine, now| engine.set_tags(now, large))
            .is_err()
    );
    assert_eq!(*world.nodes[0].engine().profile(), before);
}

#[test]
fn the_same_seed_is_the_same_run_and_another_one_is_not() {
    let run = |seed| {
        let mut world = World::cluster(seed, 24);
        world.network.loss = 0.05;
        world.crash(7);
        world.pause(9);
        world.run_for(s(8));
        world.resume(9);
        world
            .network
            .cut_into(&[(0..6).collect(), (10..24).collect()]);
        world.run_for(s(20));
        world.network.mend();
        world.start(7);
        world.run_for(s(20));
        world.trace()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_wake_up_before_its_time_changes_nothing() {
    let mut world = World::cluster(3, 8);
    let before: Vec<_> = world
        .nodes
        .iter()
        .map(|node| node.engine().stats().clone())
        .collect();
    let now = world.now;
    for _ in 0..50 {
        for number in 0..8 {
            world.tell(number, |engine, now| engine.handle_timeout(now));
        }
    }
    assert_eq!(world.now, now);
    let after: Vec<_> = world
        .nodes
        .iter()
        .map(|node| node.engine().stats().clone())
        .collect();
    assert_eq!(after, before);
}
