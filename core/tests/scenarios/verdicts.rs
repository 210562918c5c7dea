//! What a partition is called: by everybody on a side alike, and at the same time.

use std::time::Duration;

use convoke_core::config::QuorumTie;
use convoke_core::output::{Partition, PartitionKind};
use convoke_core::{Config, Event, Instant};

use crate::World;
use crate::{group, s, settled};

/// The last verdict that a node told since a moment, and when.
fn last_verdict(world: &World, number: usize, since: Instant) -> Option<(Instant, &Partition)> {
    let events = world.nodes[number].events.iter().rev();
    let mut events = events.take_while(|(at, _)| *at >= since);
    events.find_map(|(at, event)| match event {
        Event::PartitionDetected(partition) => Some((*at, partition)),
        _ => None,
    })
}

/// Within this time of each other all nodes of a side come to their verdict.
const SPREAD_MAX: Duration = s(2);

/// All of a side came to the verdict that `lost` are gone, in this way, about at the same time, and
/// hold it still.
pub(crate) fn agrees(
    world: &World,
    side: &[usize],
    lost: &[usize],
    kind: PartitionKind,
    since: Instant,
) {
    let mut names: Vec<_> = lost.iter().map(|&n| world.nodes[n].name.clone()).collect();
    names.sort_unstable();
    let mut told = Vec::new();
    for &number in side {
        let verdict = last_verdict(world, number, since);
        let (at, verdict) = verdict.unwrap_or_else(|| panic!("n{number} tells of no partition"));
        assert_eq!(
            (verdict.kind, &verdict.unreachable),
            (kind, &names),
            "n{number}"
        );
        let standing = world.nodes[number].engine().partition();
        let standing = standing.unwrap_or_else(|| panic!("n{number} sees none any more"));
        assert_eq!(
            (standing.kind, &standing.unreachable),
            (kind, &names),
            "n{number}"
        );
        told.push(at);
    }
    told.sort_unstable();
    let (first, last) = (told[0], told[told.len() - 1]);
    assert!(last - first <= SPREAD_MAX, "{first:?} to {last:?}");
}

/// How many sides each node told of when its partition was healed.
fn sides_told(world: &World, number: usize, since: Instant) -> Vec<usize> {
    let events = world.nodes[number].events.iter();
    let events = events.filter(|(at, _)| *at >= since);
    let sides = events.filter_map(|(_, event)| match event {
        Event::PartitionHealed { sides, .. } => Some(*sides),
        _ => None,
    });
    sides.collect()
}

/// Nobody was found failed by its own side since.
pub(crate) fn none_failed_by_its_own(world: &World, groups: &[Vec<usize>], since: Instant) {
    for wrong in world.wrong_failures(since) {
        let own = groups.iter().find(|group| group.contains(&wrong.about));
        let own = own.is_some_and(|group| group.contains(&wrong.by));
        assert!(!own, "{wrong:?}");
    }
}

/// Splits a settled cluster, waits, looks at the verdicts, and heals it.
pub(crate) fn splits_and_heals(seed: u64, groups: &[Vec<usize>]) {
    let size = groups.concat().len();
    let mut world = settled(seed, size, Config::lan());
    world.checks = true;
    let since = world.now;
    world.network.cut_into(groups);
    world.run_for(s(60));
    for group in groups {
        let lost: Vec<_> = (0..size).filter(|n| !group.contains(n)).collect();
        let kind = match group.len() {
            1 => PartitionKind::Isolated,
            _ => PartitionKind::Cut,
        };
        if lost.len() == 1 {
            let tells = group
                .iter()
                .find(|&&n| last_verdict(&world, n, since).is_some());
            assert_eq!(tells, None, "one silent member is no partition");
        } else {
            agrees(&world, group, &lost, kind, since);
        }
    }
    let mended = world.now;
    world.network.mend();
    let took = world.run_until(s(10), World::is_converged);
    assert!(took.is_some_and(|t| t < s(3)), "{took:?}");
    world.run_for(s(3));
    none_failed_by_its_own(&world, groups, since);
    assert_eq!(world.checked.violations, []);
    for group in groups {
        for &number in group {
            assert_eq!(world.nodes[number].engine().partition(), None);
            let told = sides_told(&world, number, mended);
            match (group.len(), size - group.len()) {
                // Who was alone can't tell where the others were.
                (1, _) => assert_eq!(told, [2], "n{number}"),
                _ => assert_eq!(told, [groups.len()], "n{number}"),
            }
        }
    }
}

#[test]
fn a_side_agrees_on_its_verdict_and_on_how_many_there_were() {
    for (seed, size) in [(1, 12), (2, 64)] {
        let (third, tenth) = (size / 3, (size / 10).max(2));
        splits_and_heals(seed, &[group(0, size / 2), group(size / 2, size)]);
        splits_and_heals(seed, &[group(0, size - tenth), group(size - tenth, size)]);
        let alone = |n| group(n, n + 1);
        splits_and_heals(
            seed,
            &[group(0, size - 2), alone(size - 2), alone(size - 1)],
        );
        splits_and_heals(seed, &[group(0, size - 1), alone(size - 1)]);
        let thirds = [
            group(0, third),
            group(third, 2 * third),
            group(2 * third, size),
        ];
        splits_and_heals(seed, &thirds);
    }
}

#[test]
fn halves_of_256_agree_too() {
    splits_and_heals(3, &[group(0, 128), group(128, 256)]);
    splits_and_heals(4, &[group(0, 231), group(231, 256)]);
}

#[test]
fn one_that_comes_in_meanwhile_sees_the_partition_as_the_others_do() {
    let mut world = World::cluster(5, 12);
    let since = world.now;
    world.add_many(1);
    let groups = [[group(0, 7), vec![12]].concat(), group(7, 12)];
    world.network.cut_into(&groups);
    world.run_for(s(40));
    assert_eq!(world.join(12, 0), Ok(()));
    world.run_for(s(5));
    let old = world.nodes[3].engine().partition().cloned();
    let old = old.expect("it stands");
    let new = world.nodes[12].engine().partition().cloned();
    let new = new.expect("it is told of it");
    assert_eq!((new.kind, new.unreachable), (old.kind, old.unreachable));
    assert!(
        new.since.since(old.since) < s(3),
        "{:?}, {:?}",
        new.since,
        old.since
    );
    world.network.mend();
    let took = world.run_until(s(10), World::is_converged);
    assert!(took.is_some(), "{}", world.describe());
    world.run_for(s(2));
    assert_eq!(sides_told(&world, 12, since), [2]);
}

#[test]
fn a_side_that_hears_the_other_and_is_not_heard_says_so() {
    for (seed, size, mute) in [(13, 12, 6), (14, 12, 3), (15, 64, 32), (16, 64, 58)] {
        let mut world = settled(seed, size, Config::lan());
        let since = world.now;
        let (deaf, heard) = (group(0, size - mute), group(size - mute, size));
        world
            .network
            .cut_into_one_way(&[deaf.clone(), heard.clone()]);
        world.run_for(s(60));
        agrees(&world, &heard, &deaf, PartitionKind::OneWay, since);
        // Nothing comes from there: to those who hear nothing it is a cut.
        agrees(&world, &deaf, &heard, PartitionKind::Cut, since);
        let mended = world.now;
        world.network.mend();
        let took = world.run_until(s(10), World::is_converged);
        assert!(took.is_some_and(|t| t < s(2)), "{took:?}");
        world.run_for(s(3));
        (0..size).for_each(|n| assert_eq!(sides_told(&world, n, mended), [2], "n{n}"));
    }
}

#[test]
fn that_one_was_cut_off_one_way_is_told_by_all_when_it_is_back() {
    for seed in 40..48 {
        let mut world = settled(seed, 12, Config::lan());
        let (others, one) = (group(0, 11), group(11, 12));
        let sides = match seed % 2 {
            0 => [others, one],
            _ => [one, others],
        };
        let since = world.now;
        world.network.cut_into_one_way(&sides);
        world.run_for(s(30));
        let told = (0..11).any(|n| last_verdict(&world, n, since).is_some());
        assert!(!told, "until it is back it could as well have crashed");
        world.network.mend();
        let took = world.run_until(s(10), World::is_converged);
        assert!(took.is_some(), "{}", world.describe());
        world.run_for(s(3));
        (0..12).for_each(|n| assert_eq!(sides_told(&world, n, since), [2], "n{n}, {seed}"));
    }
}

#[test]
fn a_side_that_is_heard_is_known_for_it_as_soon_as_it_is_lost() {
    for (seed, size, mute) in [(19, 12, 6), (20, 12, 3), (21, 64, 32)] {
        let mut world = settled(seed, size, Config::lan());
        let since = world.now;
        let (deaf, heard) = (group(0, size - mute), group(size - mute, size));
        world
            .network
            .cut_into_one_way(&[deaf.clone(), heard.clone()]);
        world.run_for(s(14));
        agrees(&world, &heard, &deaf, PartitionKind::OneWay, since);
    }
}

#[test]
fn who_is_heard_by_nobody_knows_it_about_when_the_others_find_it_dead() {
    for seed in 22..30 {
        let mut world = settled(seed, 12, Config::lan());
        world.network.cut_into_one_way(&[group(1, 12), vec![0]]);
        world.run_for(s(8));
        let mute = world.nodes[0].engine();
        let partition = mute.partition().expect("it notices");
        assert_eq!(partition.kind, PartitionKind::OneWay, "seed {seed}");
        world.run_for(s(60));
        let mute = world.nodes[0].engine();
        let partition = mute.partition().expect("it stands");
        assert_eq!(partition.kind, PartitionKind::OneWay, "seed {seed}");
    }
}

#[test]
fn who_is_heard_by_nobody_does_not_call_itself_isolated_however_few_speak_to_it() {
    for (size, seed) in (3..9).flat_map(|size| (0..10).map(move |seed| (size, seed))) {
        let mut world = settled(seed, size, Config::lan());
        let since = world.now;
        world.network.cut_into_one_way(&[group(1, size), vec![0]]);
        world.run_for(s(60));
        let told = world.nodes[0].events.iter().filter(|(at, _)| *at >= since);
        let kinds: Vec<_> = told
            .filter_map(|(_, event)| match event {
                Event::PartitionDetected(partition) => Some(partition.kind),
                _ => None,
            })
            .collect();
        assert_eq!(kinds.last(), Some(&PartitionKind::OneWay), "{size}, {seed}");
        let isolated = kinds.contains(&PartitionKind::Isolated);
        assert!(!isolated, "{size}, {seed}: {kinds:?}");
    }
}

#[test]
fn a_cut_that_ends_is_not_called_one_way_in_passing() {
    for (seed, size) in [(17, 12), (18, 64)] {
        let mut world = settled(seed, size, Config::lan());
        world
            .network
            .cut_into(&[group(0, size / 2), group(size / 2, size)]);
        world.run_for(s(40));
        let mended = world.now;
        world.network.mend();
        world.run_for(s(20));
        for n in 0..size {
            assert_eq!(last_verdict(&world, n, mended), None, "n{n}");
        }
    }
}

#[test]
fn who_hears_all_and_is_heard_by_nobody_says_so_and_has_no_quorum() {
    let mut world = settled(6, 12, Config::lan());
    let since = world.now;
    world.network.cut_into_one_way(&[group(1, 12), vec![0]]);
    world.run_for(s(12));
    let mute = world.nodes[0].engine();
    let partition = mute.partition().expect("it notices");
    assert_eq!(partition.kind, PartitionKind::OneWay);
    assert_eq!(partition.unreachable.len(), 11);
    assert!(!mute.has_quorum());
    world.run_for(s(60));
    for number in 1..12 {
        assert_eq!(last_verdict(&world, number, since), None, "n{number}");
        assert!(world.nodes[number].engine().has_quorum(), "n{number}");
    }
    world.network.mend();
    let took = world.run_until(s(10), World::is_converged);
    assert!(took.is_some_and(|t| t < s(2)), "{took:?}");
    world.run_for(s(1));
    assert_eq!(sides_told(&world, 0, since), [2]);
    assert!(world.nodes[0].engine().has_quorum());
}

#[test]
fn a_pause_is_no_partition() {
    let mut world = settled(7, 12, Config::lan());
    let since = world.now;
    world.pause(3);
    world.run_for(s(40));
    world.resume(3);
    world.run_for(s(20));
    let told = world.nodes[3].events.iter().filter(|(at, _)| *at >= since);
    let told: Vec<_> = told
        .filter(|(_, e)| matches!(e, Event::PartitionDetected(_)))
        .collect();
    assert!(told.is_empty(), "{told:?}");
}

/// The sides' quorum in an even split of `size`, and whether the oldest is on the first.
fn even_split(seed: u64, size: usize, tie: QuorumTie) -> (bool, bool, bool) {
    let config = Config {
        quorum_tie: tie,
        ..Config::lan()
    };
    let mut world = settled(seed, size, config);
    world
        .network
        .cut_into(&[group(0, size / 2), group(size / 2, size)]);
    world.run_for(s(30));
    let quorum = |side: std::ops::Range<usize>, world: &World| {
        let all: Vec<_> = side.map(|n| world.nodes[n].engine().has_quorum()).collect();
        assert!(
            all.iter().all(|has| *has == all[0]),
            "a side is at one: {all:?}"
        );
        all[0]
    };
    let age = |n: &usize| {
        let profile = world.nodes[*n].engine().profile();
        (profile.life.incarnation, profile.id())
    };
    let oldest = (0..size).min_by_key(age).expect("there are nodes");
    (
        quorum(0..size / 2, &world),
        quorum(size / 2..size, &world),
        oldest < size / 2,
    )
}

#[test]
fn of_an_even_split_the_side_with_the_oldest_has_quorum_where_that_is_asked() {
    for (seed, size) in [(8, 2), (9, 4), (10, 12), (11, 64)] {
        let (first, second, _) = even_split(seed, size, QuorumTie::None);
        assert!(!first && !second, "of {size}");
        let (first, second, oldest) = even_split(seed, size, QuorumTie::Oldest);
        assert_eq!((first, second), (oldest, !oldest), "of {size}");
    }
}

#[test]
fn a_restart_makes_a_member_the_youngest() {
    let mut config = Config::lan();
    config.quorum_tie = QuorumTie::Oldest;
    let mut world = settled(12, 4, config);
    let age = |world: &World, n: usize| {
        let profile = world.nodes[n].engine().profile();
        (profile.life.incarnation, profile.id())
    };
    let oldest = (0..4)
        .min_by_key(|&n| age(&world, n))
        .expect("there is one");
    world.crash(oldest);
    world.run_for(s(10));
    world.start(oldest);
    let back = world.run_until(s(20), World::is_converged);
    assert!(back.is_some(), "{}", world.describe());
    let next = (0..4)
        .min_by_key(|&n| age(&world, n))
        .expect("there is one");
    assert_ne!(next, oldest);
    let other = (0..4)
        .find(|n| ![next, oldest].contains(n))
        .expect("there is one");
    let rest: Vec<_> = (0..4).filter(|n| ![oldest, other].contains(n)).collect();
    world.network.cut_into(&[vec![oldest, other], rest.clone()]);
    world.run_for(s(30));
    for n in 0..4 {
        let has = world.nodes[n].engine().has_quorum();
        assert_eq!(has, rest.contains(&n), "n{n}");
    }
}
