//! The network falls apart and comes together again.

use convoke_core::message::{Failed, Message, Rumor};
use convoke_core::output::PartitionKind;
use convoke_core::{Event, Instant};

use crate::World;
use crate::{group, ms, s};
use convoke_core::sim::Health;

/// Cuts a world into groups until each side holds itself alone.
fn cut(world: &mut World, groups: &[Vec<usize>]) {
    world.network.cut_into(groups);
    let apart = world.run_until(s(60), |w| groups.iter().all(|group| w.agree(group)));
    assert!(
        apart.is_some(),
        "each side agrees on itself:\n{}",
        world.describe()
    );
}

fn healed(world: &World, number: usize, since: Instant) -> bool {
    let heals = |e: &Event| matches!(e, Event::PartitionHealed { .. });
    world.nodes[number]
        .events
        .iter()
        .any(|(at, event)| *at >= since && heals(event))
}

#[test]
fn halves_that_were_apart_for_a_minute_are_one_again_in_seconds() {
    for (seed, size) in [(1, 8), (2, 32), (3, 128)] {
        let mut world = World::cluster(seed, size);
        let groups = [group(0, size / 2), group(size / 2, size)];
        let begun = world.now;
        cut(&mut world, &groups);
        world.run_for(s(60).saturating_sub(world.now.since(begun)));
        world.network.mend();
        let took = world.run_until(s(10), World::is_converged);
        assert!(
            took.is_some_and(|t| t < s(2)),
            "{size}: {took:?}\n{}",
            world.describe()
        );
        let since = world.now;
        world.run_for(s(30));
        assert!(
            world.is_converged(),
            "{size}: it lasts\n{}",
            world.describe()
        );
        assert_eq!(world.count("failed", since), 0, "{size}: no late verdicts");
        for number in 0..size {
            assert!(
                healed(&world, number, begun),
                "{size}: n{number} tells of the heal"
            );
        }
    }
}

#[test]
fn every_node_of_a_side_comes_to_the_same_verdict_about_a_cut() {
    let mut world = World::cluster(4, 9);
    cut(&mut world, &[group(0, 5), group(5, 9)]);
    world.run_for(s(7));
    for number in 0..9 {
        let engine = world.nodes[number].engine();
        let partition = engine
            .partition()
            .unwrap_or_else(|| panic!("n{number} sees no partition"));
        let others = if number < 5 { 5..9 } else { 0..5 };
        let mut names: Vec<_> = others.map(|n| world.nodes[n].name.clone()).collect();
        names.sort();
        assert_eq!(partition.kind, PartitionKind::Cut, "n{number}");
        assert_eq!(partition.unreachable, names, "n{number}");
        assert!(
            (partition.share - names.len() as f64 / 9.0).abs() < 0.01,
            "n{number}"
        );
        assert_eq!(engine.has_quorum(), number < 5, "n{number}");
        assert_eq!(partition.quorum, number < 5, "n{number}");
    }
    world.network.mend();
    world
        .run_until(s(10), World::is_converged)
        .expect("it heals");
    world.run_for(s(5));
    for node in &world.nodes {
        assert!(node.engine().has_quorum() && node.engine().partition().is_none());
    }
}

#[test]
fn a_small_side_finds_out_in_seconds_and_comes_back() {
    for (seed, size, small) in [(5, 40, 4), (6, 100, 2), (7, 128, 13)] {
        let mut world = World::cluster(seed, size);
        cut(&mut world, &[group(0, small), group(small, size)]);
        for number in 0..size {
            assert_eq!(
                world.nodes[number].engine().has_quorum(),
                number >= small,
                "n{number}"
            );
        }
        world.network.mend();
        let took = world.run_until(s(15), World::is_converged);
        assert!(
            took.is_some_and(|t| t < s(6)),
            "{size}/{small}: {took:?}\n{}",
            world.describe()
        );
    }
}

#[test]
fn a_node_that_hears_nobody_is_isolated_and_has_no_quorum() {
    let mut world = World::cluster(8, 12);
    world
        .network
        .cut_into(&[vec![3], [group(0, 3), group(4, 12)].concat()]);
    let isolated = world.run_until(s(30), |w| {
        let engine = w.nodes[3].engine();
        engine
            .partition()
            .is_some_and(|p| p.kind == PartitionKind::Isolated)
            && !engine.has_quorum()
    });
    assert!(isolated.is_some_and(|t| t < s(10)), "{isolated:?}");
    let partition = world.nodes[3].engine().partition();
    let partition = partition.expect("it is isolated");
    assert_eq!(partition.unreachable.len(), 11, "everybody else");
    assert!((partition.share - 11.0 / 12.0).abs() < 1e-9);
    world.run_for(s(30));
    for other in [0, 7, 11] {
        let engine = world.nodes[other].engine();
        assert!(engine.has_quorum());
        assert_eq!(
            engine.partition(),
            None,
            "one silent member is a failure, not a partition"
        );
    }
    world.network.mend();
    let back = world.run_until(s(10), World::is_converged);
    assert!(back.is_some(), "{}", world.describe());
    world
        .run_until(s(2), |w| w.nodes[3].engine().has_quorum())
        .expect("it has quorum again");
}

/// The verdicts of the other side fell as the network came back. Their judges were suspects here,
/// and not failed yet, so that they were believed, of members who had been heard all the time.
#[test]
fn a_verdict_that_falls_as_the_network_returns_is_not_believed_of_ones_own_side() {
    let sides = [group(0, 6), group(6, 12)];
    for step in 0..24 {
        let mut world = World::cluster(400 + step, 12);
        let since = world.now;
        world.network.cut_into(&sides);
        world.run_for(ms(4_000 + step * 100));
        world.network.mend();
        world.run_for(s(5));
        let same_side = |a: usize, b: usize| (a < 6) == (b < 6);
        let wrong: Vec<_> = world
            .wrong_failures(since)
            .into_iter()
            .filter(|failure| same_side(failure.by, failure.about))
            .collect();
        assert!(wrong.is_empty(), "{step}: {wrong:?}");
    }
}

#[test]
fn three_and_four_sides_heal_into_one_view() {
    let splits = [
        vec![group(0, 2), vec![2], vec![3]],
        vec![group(0, 10), group(10, 20), group(20, 30)],
        vec![group(0, 16), group(16, 24), group(24, 30), group(30, 32)],
    ];
    for (seed, groups) in splits.into_iter().enumerate() {
        let size = groups.concat().len();
        let mut world = World::cluster(10 + seed as u64, size);
        cut(&mut world, &groups);
        world.run_for(s(30));
        world.network.mend();
        let took = world.run_until(s(30), World::is_converged);
        assert!(
            took.is_some_and(|t| t < s(10)),
            "{groups:?}: {took:?}\n{}",
            world.describe()
        );
        world.run_for(s(20));
        assert!(
            world.is_converged(),
            "{groups:?}: it lasts\n{}",
            world.describe()
        );
    }
}

#[test]
fn sides_that_come_together_one_after_the_other_end_as_one() {
    let mut world = World::cluster(20, 30);
    let sides = [group(0, 10), group(10, 20), group(20, 30)];
    cut(&mut world, &sides);
    world.network.mend();
    world.network.cut_into(&[group(0, 20), group(20, 30)]);
    let first = world.run_until(s(10), |w| w.agree(&group(0, 20)));
    assert!(first.is_some(), "{}", world.describe());
    world.run_for(s(10));
    world.network.mend();
    let all = world.run_until(s(10), World::is_converged);
    assert!(all.is_some(), "{}", world.describe());
}

#[test]
fn a_partition_longer_than_the_cleaning_heals() {
    let mut world = World::new(21);
    world.config.autoclean = Some(s(30));
    world.grow(20);
    cut(&mut world, &[group(0, 12), group(12, 20)]);
    world.run_for(s(600));
    for number in 0..20 {
        assert_eq!(
            world.nodes[number].engine().has_quorum(),
            number < 12,
            "n{number}"
        );
    }
    world.network.mend();
    let took = world.run_until(s(60), World::is_converged);
    assert!(took.is_some(), "{}", world.describe());
    world.run_for(s(3));
    for number in 0..20 {
        let node = &world.nodes[number];
        assert_eq!(node.engine().partition(), None, "n{number}");
        let healed = |e: &Event| matches!(e, Event::PartitionHealed { sides: 2, .. });
        let told = node.events.iter().filter(|(_, e)| healed(e)).count();
        assert_eq!(told, 1, "n{number}");
    }
}

#[test]
fn a_majority_that_is_parted_again_has_not_forgotten_whom_it_lost() {
    let mut world = World::new(23);
    world.config.autoclean = Some(s(30));
    world.grow(5);
    cut(&mut world, &[group(0, 3), group(3, 5)]);
    world.run_for(s(120));
    let sides = [group(0, 2), group(2, 5)];
    cut(&mut world, &sides);
    let apart = world.run_until(s(60), |w| sides.iter().all(|side| w.agree(side)));
    assert!(apart.is_some(), "{}", world.describe());
    world.run_for(s(60));
    for number in 0..5 {
        let quorum = world.nodes[number].engine().has_quorum();
        assert_eq!(quorum, number >= 2, "n{number}");
    }
}

#[test]
fn the_failed_are_forgotten_in_time_and_not_resurrected() {
    let mut world = World::new(22);
    world.config.autoclean = Some(s(30));
    world.grow(12);
    world.crash(4);
    world
        .run_until(s(20), |w| w.all_hold(4, Health::Failed))
        .expect("it is found dead");
    let since = world.now;
    world
        .run_until(s(60), |w| w.all_hold(4, Health::Unknown))
        .expect("it is forgotten");
    world.run_for(s(120));
    assert!(world.all_hold(4, Health::Unknown), "{}", world.describe());
    for number in world.running() {
        assert_eq!(
            world.history(number, 4, since),
            ["forgotten"],
            "seen by n{number}"
        );
    }
}

#[test]
fn a_member_that_one_side_forgot_is_not_resurrected_by_the_other() {
    // n9 dies on the one side while the other cannot learn it, and holds it alive or failed.
    let mut world = World::new(23);
    world.config.autoclean = Some(s(30));
    world.grow(10);
    world.crash(9);
    cut(&mut world, &[group(0, 6), group(6, 9)]);
    world.run_for(s(200));
    world.network.mend();
    world
        .run_until(s(60), World::is_converged)
        .expect("it heals");
    let since = world.now;
    world.run_for(s(200));
    assert!(world.is_converged(), "{}", world.describe());
    assert!(world.all_hold(9, Health::Unknown), "{}", world.describe());
    for number in 0..9 {
        assert!(
            !world.history(number, 9, since).contains(&"joined"),
            "seen by n{number}"
        );
    }
}

#[test]
fn members_that_join_and_leave_on_each_side_are_known_on_both_after_the_heal() {
    let mut world = World::cluster(24, 16);
    world.add_many(2);
    world.network.cut_into(&[
        [group(0, 8), vec![16]].concat(),
        [group(8, 16), vec![17]].concat(),
    ]);
    world.run_for(s(20));
    assert_eq!(world.join(16, 0), Ok(()));
    assert_eq!(world.join(17, 8), Ok(()));
    world.leave(3, convoke_core::Departure::Leave);
    world.run_for(s(10));
    world.network.mend();
    let one: Vec<usize> = (0..18).filter(|&n| n != 3).collect();
    let took = world.run_until(s(10), |w| w.agree(&one));
    assert!(took.is_some(), "{}", world.describe());
    // That it left and did not fail is no difference between fingerprints: found a little later.
    let left = world.run_until(s(20), |w| {
        one.iter().all(|&n| w.health(n, 3) == Health::Left)
    });
    assert!(left.is_some(), "{}", world.describe());
}

#[test]
fn a_short_cut_is_no_partition() {
    let mut world = World::cluster(25, 16);
    let since = world.now;
    world.network.cut_into(&[group(0, 8), group(8, 16)]);
    world.run_for(ms(1500));
    world.network.mend();
    world.run_for(s(20));
    assert_eq!(world.count("failed", since), 0);
    assert!(world.is_converged(), "{}", world.describe());
}

#[test]
fn halves_of_a_lossy_network_heal_too() {
    let mut world = World::cluster(26, 32);
    cut(&mut world, &[group(0, 16), group(16, 32)]);
    world.network.loss = 0.1;
    world.network.mend();
    let took = world.run_until(s(20), World::is_converged);
    assert!(took.is_some(), "{}", world.describe());
}

#[test]
fn a_verdict_that_is_brought_from_another_side_is_examined_here() {
    let mut world = World::cluster(27, 20);
    cut(&mut world, &[group(0, 17), group(17, 20)]);
    world.network.mend();
    let took = world.run_until(s(10), World::is_converged);
    assert!(took.is_some(), "{}", world.describe());
    let (accused, judge) = (world.nodes[3].id(), world.nodes[18].id());
    let member = world.nodes[0].engine().member(accused);
    let verdict = Failed {
        id: accused,
        life: member.expect("they are together").standing.life,
        by: judge,
        accusers: 3,
        doubtful: false,
        refused: false,
        heard: false,
    };
    let since = world.now;
    for to in (0..17).filter(|&to| to != 3) {
        let verdict = Message::Rumor(Rumor::Failed(verdict.clone()));
        world.forge(18, to, vec![verdict]);
    }
    world.run_for(s(20));
    assert_eq!(world.count("failed", since), 0, "{}", world.describe());
}
