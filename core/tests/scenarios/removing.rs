//! Operators remove members; two processes claim one name.

use convoke_core::message::{Message, Rumor};
use convoke_core::output::{Change, ForceLeaveError};
use convoke_core::{Event, Signal, Target};

use crate::World;
use crate::{ms, s};
use convoke_core::sim::Health;

fn force_leave(world: &mut World, by: usize, subject: usize) -> Result<(), ForceLeaveError> {
    let name = world.nodes[subject].name.clone();
    world.tell(by, |engine, now| engine.force_leave(now, &name))
}

fn was_removed(world: &World, number: usize) -> bool {
    world.nodes[number]
        .signals
        .iter()
        .any(|(_, signal)| *signal == Signal::Removed)
}

#[test]
fn a_failed_member_is_removed_everywhere_at_once() {
    let mut world = World::cluster(1, 32);
    world.crash(5);
    world
        .run_until(s(20), |w| w.all_hold(5, Health::Failed))
        .expect("it is found dead");
    let since = world.now;
    assert_eq!(force_leave(&mut world, 2, 5), Ok(()));
    let took = world.run_until(s(2), |w| w.all_rid_of(5));
    assert!(
        took.is_some_and(|t| t < ms(100)),
        "{took:?}\n{}",
        world.describe()
    );
    world.run_for(s(30));
    assert!(
        world.all_rid_of(5) && world.is_converged(),
        "{}",
        world.describe()
    );
    for number in world.running() {
        assert_eq!(
            world.history(number, 5, since),
            ["removed"],
            "seen by n{number}"
        );
    }
}

#[test]
fn a_running_member_is_told_and_goes_on_alone() {
    let mut world = World::cluster(2, 16);
    world.tell(5, |engine, _| engine.set_discovery(true));
    let before = world.nodes[5].engine().membership();
    let since = world.now;
    assert_eq!(force_leave(&mut world, 2, 5), Ok(()));
    let others: Vec<usize> = (0..16).filter(|&n| n != 5).collect();
    let took = world.run_until(s(2), |w| w.agree(&others) && was_removed(w, 5));
    assert!(
        took.is_some_and(|t| t < ms(200)),
        "{took:?}\n{}",
        world.describe()
    );
    let after = world.nodes[5].engine().membership();
    assert_ne!(after.cluster, before.cluster);
    assert!(!after.discovery && !after.admitted);
    assert_eq!(world.nodes[5].engine().size(), 1);
    let prepare = Signal::Prepare(Change::Removed);
    assert!(
        world.nodes[5]
            .signals
            .iter()
            .any(|(_, signal)| *signal == prepare)
    );
    for _ in 0..4 {
        let seed = Target::Address(world.nodes[0].address);
        world.tell(5, |engine, now| engine.propose(now, seed));
        world.run_for(s(10));
    }
    assert!(
        world.agree(&others),
        "it does not come back by itself:\n{}",
        world.describe()
    );
    assert_eq!(world.count("failed", since), 0);
}

#[test]
fn an_unknown_name_and_oneself_are_not_removed() {
    let mut world = World::cluster(3, 3);
    let stranger = world.add();
    assert_eq!(
        force_leave(&mut world, 0, stranger),
        Err(ForceLeaveError::NotInCluster)
    );
    assert_eq!(force_leave(&mut world, 0, 0), Err(ForceLeaveError::Myself));
    world.run_for(s(1));
    assert!(world.agree(&[0, 1, 2]));
}

#[test]
fn one_that_was_removed_while_it_was_down_learns_it_when_it_returns() {
    let mut world = World::cluster(4, 8);
    world.crash(5);
    world
        .run_until(s(20), |w| w.all_hold(5, Health::Failed))
        .expect("it is found dead");
    force_leave(&mut world, 2, 5).expect("it is removed");
    world.run_for(s(60));
    let since = world.now;
    let before = world.nodes[5].memory.membership.cluster;
    world.start(5);
    let told = world.run_until(s(15), |w| was_removed(w, 5));
    assert!(told.is_some(), "{}", world.describe());
    world.run_for(s(20));
    assert_eq!(world.nodes[5].engine().size(), 1);
    assert_ne!(world.nodes[5].memory.membership.cluster, before);
    assert!(world.agree(&[0, 1, 2, 3, 4, 6, 7]), "{}", world.describe());
    assert_eq!(
        world.count("joined", since),
        0,
        "nobody took it for a member"
    );
}

#[test]
fn one_that_was_removed_while_it_was_down_is_not_let_in_by_discovery_either() {
    let mut world = World::cluster(14, 8);
    for number in 0..8 {
        world.tell(number, |engine, _| engine.set_discovery(true));
    }
    world.crash(5);
    world
        .run_until(s(20), |w| w.all_hold(5, Health::Failed))
        .expect("it is found dead");
    force_leave(&mut world, 2, 5).expect("it is removed");
    // Until whoever removed it no longer tries to tell it so.
    world.run_for(s(30));
    // Nothing but discovery leads it back.
    world.nodes[5].memory.contacts.clear();
    world.start(5);
    world.run_for(s(5));
    assert!(!was_removed(&world, 5), "nobody knows that it is back");
    for _ in 0..4 {
        let seed = Target::Address(world.nodes[0].address);
        world.tell(5, |engine, now| engine.propose(now, seed));
        world.run_for(s(5));
        assert_eq!(world.nodes[5].engine().size(), 1, "{}", world.describe());
    }
    assert!(was_removed(&world, 5), "it is told");
    assert!(world.agree(&[0, 1, 2, 3, 4, 6, 7]), "{}", world.describe());
}

#[test]
fn one_that_was_removed_while_it_was_cut_off_learns_it_when_the_cut_ends() {
    let mut world = World::cluster(5, 12);
    let others: Vec<usize> = (0..12).filter(|&n| n != 5).collect();
    world.network.cut_into(&[vec![5], others.clone()]);
    world.run_for(s(20));
    force_leave(&mut world, 2, 5).expect("it is removed");
    world.run_for(s(40));
    world.network.mend();
    let told = world.run_until(s(20), |w| was_removed(w, 5));
    assert!(told.is_some(), "{}", world.describe());
    world.run_for(s(20));
    assert!(world.agree(&others), "{}", world.describe());
    assert_eq!(world.nodes[5].engine().size(), 1);
}

#[test]
fn nothing_that_was_said_of_an_ended_stay_brings_it_back() {
    let mut world = World::cluster(6, 8);
    let profile = world.nodes[5].engine().profile().clone();
    force_leave(&mut world, 2, 5).expect("it is removed");
    world.run_for(s(5));
    let mut later = (*profile).clone();
    later.life = later.life.above(convoke_core::Incarnation(u64::MAX / 2));
    for rumor in [Rumor::Alive(profile), Rumor::Alive(later.into())] {
        world.forge(
            3,
            4,
            vec![Message::Records(vec![rumor.clone()]), Message::Rumor(rumor)],
        );
        world.run_for(s(2));
        assert!(world.agree(&[0, 1, 2, 3, 4, 6, 7]), "{}", world.describe());
    }
}

#[test]
fn one_that_was_removed_comes_back_by_a_new_join() {
    let mut world = World::cluster(7, 8);
    let old = world.nodes[5].engine().membership().admission;
    force_leave(&mut world, 2, 5).expect("it is removed");
    world.run_for(s(5));
    assert_eq!(world.join(5, 3), Ok(()));
    assert!(world.nodes[5].engine().membership().admission > old);
    let took = world.run_until(s(2), World::is_converged);
    assert!(took.is_some(), "{}", world.describe());
    world.run_for(s(20));
    assert!(world.is_converged(), "{}", world.describe());
}

#[test]
fn removals_on_both_sides_of_a_cut_hold_after_it() {
    let mut world = World::cluster(8, 16);
    let (one, two): (Vec<usize>, Vec<usize>) = ((0..8).collect(), (8..16).collect());
    world.network.cut_into(&[one, two]);
    world.run_for(s(25));
    force_leave(&mut world, 0, 12).expect("it is removed by the other side");
    force_leave(&mut world, 8, 3).expect("it is removed by the other side");
    world.run_for(s(5));
    world.network.mend();
    let stay: Vec<usize> = (0..16).filter(|n| ![3, 12].contains(n)).collect();
    let took = world.run_until(s(20), |w| w.agree(&stay));
    assert!(took.is_some(), "{}", world.describe());
    world.run_for(s(20));
    assert!(was_removed(&world, 3) && was_removed(&world, 12));
    assert!(world.agree(&stay), "{}", world.describe());
}

#[test]
fn a_removed_name_that_joined_anew_elsewhere_is_not_given_back() {
    // To the dead one that comes back, nor to the one that was only asleep.
    for asleep in [false, true] {
        let mut world = World::cluster(20, 6);
        let (old, name) = (3, world.nodes[3].name.clone());
        if asleep {
            world.pause(old);
        } else {
            world.crash(old);
        }
        force_leave(&mut world, 0, old).expect("it is a member");
        world.run_for(s(1));
        let heir = world.add_named(name, "10.1.0.1:4370".parse().unwrap());
        world.send_join(heir, 1);
        let id = world.nodes[heir].id();
        let address = world.nodes[heir].address;
        let held_by_all = |w: &World| {
            [0, 1, 2, 4, 5].iter().all(|&n| {
                let member = w.nodes[n].engine().member(id);
                member.is_some_and(|m| m.is_present() && m.profile.address == address)
            })
        };
        let took = world.run_until(s(5), held_by_all);
        assert!(took.is_some(), "{}", world.describe());
        if asleep {
            world.resume(old);
        } else {
            world.start(old);
        }
        let apart = world.run_until(s(15), |w| was_removed(w, old));
        assert!(apart.is_some(), "asleep {asleep}:\n{}", world.describe());
        world.run_for(s(20));
        assert!(
            held_by_all(&world),
            "asleep {asleep}:\n{}",
            world.describe()
        );
        assert_eq!(world.nodes[old].engine().size(), 1, "asleep {asleep}");
        assert_eq!(world.nodes[heir].engine().size(), 6, "asleep {asleep}");
    }
}

#[test]
fn a_removal_is_passed_on_though_the_remover_leaves_in_the_same_moment() {
    let mut world = World::cluster(21, 8);
    force_leave(&mut world, 0, 5).expect("it is a member");
    world
        .tell(0, |engine, now| {
            engine.leave(now, convoke_core::Departure::Leave)
        })
        .expect("it is in a cluster");
    let rest = [1, 2, 3, 4, 6, 7];
    let id = world.nodes[5].id();
    let rid = |w: &World| {
        rest.iter()
            .all(|&n| w.nodes[n].engine().member(id).is_none())
    };
    let took = world.run_until(s(2), rid);
    assert!(took.is_some(), "{}", world.describe());
}

#[test]
fn a_removal_that_nobody_could_hear_is_told_to_the_first_that_comes_at_once() {
    let mut world = World::cluster(22, 3);
    world.run_for(s(10));
    (0..3).for_each(|n| world.crash(n));
    world.start(0);
    world.run_for(s(1));
    force_leave(&mut world, 0, 2).expect("it was a member");
    world.start(1);
    let met = world.run_until(s(20), |w| w.health(0, 1) == Health::Alive);
    assert!(met.is_some(), "{}", world.describe());
    world.run_for(ms(50));
    world.crash(0);
    world.start(2);
    let told = world.run_until(s(20), |w| was_removed(w, 2));
    assert!(told.is_some(), "{}", world.describe());
}

#[test]
fn of_two_processes_of_one_name_the_one_that_started_later_goes_on_alone() {
    // A data directory was copied: both return to the cluster as the same member.
    for seed in 0..4 {
        let mut world = World::cluster(10 + seed, 6);
        let name = world.nodes[2].name.clone();
        let twin = world.add_named(name, "10.1.0.1:4370".parse().unwrap());
        world.crash(twin);
        world.nodes[twin].memory = world.nodes[2].memory.clone();
        world.nodes[twin].memory.contacts = world.nodes[0].engine().acquaintances();
        let since = world.now;
        world.start(twin);
        let apart = world.run_until(s(20), |w| w.nodes[twin].engine().size() == 1);
        assert!(apart.is_some(), "seed {seed}:\n{}", world.describe());
        world.run_for(s(30));
        assert_eq!(
            world.nodes[twin].engine().size(),
            1,
            "seed {seed}: it goes on alone"
        );
        let told = |(at, signal): &(_, Signal)| {
            let told = matches!(signal, Signal::NameConflict { .. } | Signal::Refused { .. });
            *at >= since && told
        };
        assert!(
            world.nodes[twin].signals.iter().any(told),
            "seed {seed}: it is told why"
        );
        let mut ends = world.nodes[twin]
            .events
            .iter()
            .filter(|(at, _)| *at >= since);
        let removed = ends.any(|(_, event)| {
            matches!(event, Event::MemberRemoved(member) if member.name == world.nodes[twin].name)
        });
        assert!(!removed, "seed {seed}: no operator removed it");
        assert!(
            world.agree(&[0, 1, 2, 3, 4, 5]),
            "seed {seed}:\n{}",
            world.describe()
        );
        for number in [0, 1, 3, 4, 5] {
            let member = world.nodes[number]
                .engine()
                .member(world.nodes[2].id())
                .unwrap();
            assert_eq!(
                member.profile.address, world.nodes[2].address,
                "seed {seed}: n{number}"
            );
        }
    }
}
