//! Nodes come together.

use convoke_core::message::Refusal;
use convoke_core::output::{Change, JoinError};
use convoke_core::{ClusterId, Signal, Target};

use crate::World;
use crate::{ms, s};
use convoke_core::sim::Health;

#[test]
fn a_joiner_knows_everyone_when_its_join_ends_and_everyone_soon_knows_it() {
    let mut world = World::cluster(1, 40);
    let joiner = world.add();
    let begun = world.now;
    assert_eq!(world.join(joiner, 17), Ok(()));
    assert_eq!(
        world.nodes[joiner].engine().size(),
        41,
        "{}",
        world.describe()
    );
    assert!(
        world.now.since(begun) < ms(500),
        "{:?}",
        world.now.since(begun)
    );
    let known = world.run_until(ms(200), World::is_converged);
    assert!(known.is_some(), "{}", world.describe());
}

#[test]
fn a_program_is_asked_to_prepare_before_a_join_and_told_to_resume_after_it() {
    let mut world = World::cluster(2, 3);
    let joiner = world.add();
    world.join(joiner, 0).expect("a join");
    world.run_for(s(1));
    let told = |signal: Signal| {
        world.nodes[joiner]
            .signals
            .iter()
            .position(|(_, s)| *s == signal)
    };
    let prepared = told(Signal::Prepare(Change::Join)).expect("prepare is signalled");
    let resumed = told(Signal::Resume(Change::Join, true)).expect("resume is signalled");
    let ended = told(Signal::JoinEnded(Ok(()))).expect("the end is signalled");
    assert!(prepared < resumed && prepared < ended);
}

#[test]
fn all_members_are_of_the_targets_cluster() {
    let mut world = World::new(3);
    world.add_many(5);
    let target = world.nodes[0].engine().membership().cluster;
    for joiner in 1..5 {
        world.join(joiner, joiner - 1).expect("a join");
    }
    world
        .run_until(s(1), World::is_converged)
        .expect("they converge");
    for node in &world.nodes {
        assert_eq!(node.engine().membership().cluster, target);
        assert_eq!(
            node.memory.membership,
            node.engine().membership(),
            "it was persisted"
        );
    }
}

#[test]
fn joining_oneself_or_a_fellow_member_is_no_join() {
    let mut world = World::cluster(4, 3);
    assert_eq!(world.join(1, 1), Err(JoinError::Myself));
    assert_eq!(world.join(1, 2), Err(JoinError::AlreadyInCluster));
    world.run_for(s(1));
    assert!(world.is_converged());
}

#[test]
fn a_node_of_another_cluster_name_is_refused_and_nothing_of_it_is_seen() {
    let mut world = World::cluster(5, 4);
    let stranger = world.add();
    world.crash(stranger);
    world.nodes[stranger].cluster_name = "other".into();
    world.start(stranger);
    let before = world.nodes[stranger].engine().membership();
    let result = world.join(stranger, 2);
    assert!(
        matches!(
            &result,
            Err(JoinError::Refused {
                refusal: Refusal::ClusterName { .. },
                ..
            })
        ),
        "{result:?}"
    );
    world.run_for(s(20));
    assert!(world.all_hold(stranger, Health::Unknown));
    assert_eq!(world.nodes[stranger].engine().size(), 1);
    assert_eq!(world.nodes[stranger].engine().membership(), before);
    let refused = |(_, signal): &(_, Signal)| matches!(signal, Signal::Refused { .. });
    assert!(
        world.nodes[2].signals.iter().any(refused),
        "the member that refused says so"
    );
}

#[test]
fn a_join_of_a_silent_target_fails_within_its_limit_and_changes_nothing() {
    for refuses in [false, true] {
        let mut world = World::cluster(6, 3);
        world.grow(1);
        let lone = world.add();
        world.run_for(s(1));
        if refuses {
            world.kill(3);
        } else {
            world.crash(3);
        }
        let before = world.nodes[lone].engine().membership();
        let begun = world.now;
        let result = world.join(lone, 3);
        assert!(
            matches!(
                result,
                Err(JoinError::Unreachable(_) | JoinError::Timeout(_))
            ),
            "{result:?}"
        );
        assert!(
            world.now.since(begun) <= ms(10_100),
            "{:?}",
            world.now.since(begun)
        );
        assert_eq!(world.nodes[lone].engine().membership(), before);
    }
}

#[test]
fn a_refused_join_leaves_a_member_in_its_cluster() {
    let mut world = World::cluster(7, 4);
    let other = world.add();
    world.crash(other);
    world.nodes[other].cluster_name = "other".into();
    world.start(other);
    let since = world.now;
    assert!(matches!(
        world.join(2, other),
        Err(JoinError::Refused { .. })
    ));
    world.run_for(s(10));
    assert!(world.agree(&[0, 1, 2, 3]), "{}", world.describe());
    assert_eq!(world.count("left", since) + world.count("failed", since), 0);
}

#[test]
fn a_member_of_one_cluster_leaves_it_gracefully_to_join_another() {
    let mut world = World::cluster(8, 5);
    let first = world.nodes.len();
    world.add_many(4);
    for joiner in first + 1..first + 4 {
        world.join(joiner, first).expect("a join");
    }
    world.run_for(s(3));
    let since = world.now;
    world.join(1, first).expect("a join across clusters");
    world
        .run_until(s(1), |w| w.agree(&[0, 2, 3, 4]))
        .expect("the old cluster goes on without it");
    world.run_for(s(20));
    for stayed in [0, 2, 3, 4] {
        assert_eq!(
            world.history(stayed, 1, since),
            ["left"],
            "seen by n{stayed}"
        );
    }
    assert!(world.agree(&[1, 5, 6, 7, 8]), "{}", world.describe());
}

#[test]
fn a_live_members_name_is_not_given_to_another_address() {
    let mut world = World::cluster(9, 5);
    let name = world.nodes[2].name.clone();
    let twin = world.add_named(name, "10.1.0.1:4370".parse().unwrap());
    let result = world.join(twin, 0);
    assert!(
        matches!(
            &result,
            Err(JoinError::Refused {
                refusal: Refusal::NameInUse { .. },
                ..
            })
        ),
        "{result:?}"
    );
    world.run_for(s(10));
    assert!(world.agree(&[0, 1, 2, 3, 4]), "{}", world.describe());
    assert_eq!(world.nodes[twin].engine().size(), 1);
}

#[test]
fn a_dead_members_name_is_given_to_a_newcomer_at_another_address() {
    let mut world = World::cluster(10, 5);
    world.crash(2);
    let name = world.nodes[2].name.clone();
    let heir = world.add_named(name, "10.1.0.1:4370".parse().unwrap());
    assert_eq!(world.join(heir, 0), Ok(()));
    world
        .run_until(s(2), World::is_converged)
        .expect("the newcomer took its place");
    for number in world.running() {
        let member = world.nodes[number]
            .engine()
            .member(world.nodes[heir].id())
            .unwrap();
        assert_eq!(member.profile.address, world.nodes[heir].address);
    }
    let since = world.now;
    world.run_for(s(20));
    assert_eq!(world.wrong_failures(since).len(), 0);
}

#[test]
fn a_storm_of_joins_on_one_seed_converges() {
    for (size, limit) in [(64, ms(1000)), (128, ms(1500)), (256, ms(2500))] {
        let mut world = World::new(11);
        world.add_many(size);
        (1..size).for_each(|joiner| world.begin_join(joiner, 0));
        let took = world.run_until(limit, World::is_converged);
        assert!(took.is_some(), "{size} nodes:\n{}", world.describe());
        world.run_for(s(15));
        for node in &world.nodes[1..] {
            let well = |(_, s): &(_, Signal)| *s == Signal::JoinEnded(Ok(()));
            assert!(
                node.signals.iter().any(well),
                "{}: {:?}",
                node.name,
                node.signals
            );
        }
        assert_eq!(world.count("failed", Default::default()), 0, "{size} nodes");
    }
}

#[test]
fn a_join_by_address_alone_reaches_whoever_listens_there() {
    let mut world = World::cluster(12, 3);
    let joiner = world.add();
    let target = Target::Address(world.nodes[1].address);
    world
        .tell(joiner, |engine, now| engine.join(now, target))
        .expect("the join is begun");
    assert_eq!(world.join_ended(joiner), Ok(()));
    world
        .run_until(s(1), World::is_converged)
        .expect("they converge");
}

#[test]
fn nodes_that_discovery_brings_together_form_one_cluster() {
    let mut world = World::new(13);
    world.add_many(6);
    for number in 0..6 {
        world.crash(number);
        world.forget(number, ClusterId::from_name("convoke"));
        world.nodes[number].memory.membership.discovery = true;
        world.start(number);
    }
    for number in 0..6 {
        for seed in [0, 3] {
            let seed = Target::Address(world.nodes[seed].address);
            world.tell(number, |engine, now| engine.propose(now, seed));
        }
    }
    world
        .run_until(s(15), World::is_converged)
        .unwrap_or_else(|| panic!("{}", world.describe()));
    world.run_for(s(15));
    assert!(world.is_converged(), "{}", world.describe());
}

#[test]
fn a_node_with_seeds_finds_a_founder_that_does_not_look_for_others() {
    for seed in 0..16 {
        let mut world = World::new(100 + seed);
        world.add_many(2);
        world.tell(1, |engine, _| engine.set_discovery(true));
        let founder = Target::Address(world.nodes[0].address);
        world.tell(1, |engine, now| engine.propose(now, founder));
        world
            .run_until(s(2), World::is_converged)
            .unwrap_or_else(|| panic!("seed {seed}: {}", world.describe()));
    }
}

#[test]
fn of_two_clusters_that_discovery_brings_together_the_smaller_one_joins_the_larger() {
    let mut world = World::cluster(14, 5);
    let first = world.nodes.len();
    world.add_many(3);
    world.join(first + 1, first).expect("a join");
    world.join(first + 2, first).expect("a join");
    world.run_for(s(3));
    let larger = world.nodes[0].engine().membership().cluster;
    let since = world.now;
    for number in world.running() {
        world.tell(number, |engine, _| engine.set_discovery(true));
    }
    // Discovery repeats its proposals; a round each 5 s.
    for _ in 0..6 {
        for number in world.running() {
            for seed in [0, first] {
                let seed = Target::Address(world.nodes[seed].address);
                world.tell(number, |engine, now| engine.propose(now, seed));
            }
        }
        world.run_for(s(5));
    }
    assert!(world.is_converged(), "{}", world.describe());
    for node in &world.nodes {
        assert_eq!(node.engine().membership().cluster, larger);
    }
    assert_eq!(world.wrong_failures(since).len(), 0);
}
