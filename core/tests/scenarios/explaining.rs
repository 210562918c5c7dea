//! Why a member is held as it is: what nodes find is what happened.

use convoke_core::case::{FINDINGS_A_MEMBER_MAX, FINDINGS_MAX, Way, What};
use convoke_core::{Instant, NodeName};

use crate::{World, ms, s};
use convoke_core::sim::Health;

/// What a node found about another one, with the times.
fn found(world: &World, by: usize, about: usize) -> Vec<(Instant, What)> {
    let name = &world.nodes[about].name;
    let findings = world.nodes[by].engine().findings();
    let findings = findings.filter(|finding| finding.about == *name);
    findings
        .map(|finding| (finding.at, finding.what.clone()))
        .collect()
}

fn whats(world: &World, by: usize, about: usize) -> Vec<What> {
    let found = found(world, by, about);
    found.into_iter().map(|(_, what)| what).collect()
}

/// The nodes that found something of this kind about another one, and when first.
fn finders(
    world: &World,
    about: usize,
    kind: impl Fn(&What) -> bool + Copy,
) -> Vec<(NodeName, Instant)> {
    let first = |by: usize| {
        found(world, by, about)
            .into_iter()
            .find(|(_, what)| kind(what))
    };
    let running = world.running().into_iter();
    let finders = running.filter_map(|by| Some((world.nodes[by].name.clone(), first(by)?.0)));
    finders.collect()
}

#[test]
fn where_nothing_happens_nothing_is_found() {
    let mut world = World::cluster(1, 16);
    let made = |w: &World| {
        w.nodes
            .iter()
            .map(|n| n.engine().findings_made())
            .sum::<u64>()
    };
    let before = made(&world);
    world.run_for(s(120));
    assert_eq!(made(&world), before);
}

#[test]
fn a_crash_is_told_from_the_first_probe_to_the_last_one_that_believes_it() {
    for seed in 0..4 {
        let mut world = World::cluster(10 + seed, 16);
        let (victim, since) = (5, world.now);
        world.crash(victim);
        world
            .run_until(s(20), |w| w.all_hold(victim, Health::Failed))
            .expect("it is found dead");

        let probed = |what: &What| {
            matches!(
                what,
                What::Silent {
                    way: Way::Probe { .. },
                    ..
                }
            )
        };
        let silent = |what: &What| matches!(what, What::Silent { .. });
        let convicted = |what: &What| matches!(what, What::Convicted { .. });
        let accusers = finders(&world, victim, silent);
        let convictors = finders(&world, victim, convicted);
        assert!(!finders(&world, victim, probed).is_empty(), "seed {seed}");
        assert!(accusers.len() >= 3, "seed {seed}: a quorum: {accusers:?}");
        assert!(!convictors.is_empty(), "seed {seed}");

        for by in world.running() {
            let told = found(&world, by, victim);
            assert!(told.iter().all(|(at, _)| *at >= since), "seed {seed}");
            assert!(told.is_sorted_by_key(|(at, _)| *at), "seed {seed}");
            for (at, what) in told {
                match what {
                    What::Silent {
                        way:
                            Way::Probe {
                                heard_nothing,
                                said_nothing,
                            },
                        ..
                    } => {
                        let helpers = heard_nothing.len() + said_nothing.len();
                        assert!(helpers > 0, "seed {seed}: others were asked");
                        assert!(!said_nothing.contains(&world.nodes[by].name));
                    }
                    What::Accused { by, .. } => {
                        let by = by.expect("every accuser is a member");
                        let accused = accusers.iter().find(|(name, _)| *name == by);
                        assert!(
                            accused.is_some_and(|(_, when)| *when <= at),
                            "seed {seed}: {by}"
                        );
                    }
                    What::Convicted {
                        accusers: named, ..
                    } => {
                        assert!(named.len() >= 3, "seed {seed}: {named:?}");
                        let known = |name| accusers.iter().any(|(accuser, _)| accuser == name);
                        assert!(named.iter().all(known), "seed {seed}: {named:?}");
                    }
                    What::Believed {
                        by: Some(judge),
                        accusers,
                        ..
                    } => {
                        let judged = convictors.iter().find(|(name, _)| *name == judge);
                        assert!(judged.is_some_and(|(_, when)| *when <= at), "seed {seed}");
                        assert!(accusers >= 3, "seed {seed}");
                    }
                    What::Silent {
                        way: Way::Trial, ..
                    } => {}
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
            let last = whats(&world, by, victim).pop();
            let verdict = |what| matches!(what, What::Convicted { .. } | What::Believed { .. });
            assert!(last.is_some_and(verdict), "seed {seed}: n{by}");
        }
    }
}

#[test]
fn a_suspicion_that_did_not_hold_says_what_ended_it() {
    let mut world = World::cluster(50, 16);
    let others: Vec<usize> = (0..16).filter(|&n| n != 7).collect();
    world.network.cut_into(&[vec![7], others.clone()]);
    let suspected = |w: &World| others.iter().any(|&o| w.health(o, 7) == Health::Suspect);
    world.run_until(s(10), suspected).expect("it is suspected");
    world.run_for(ms(300));
    world.network.mend();
    world
        .run_until(s(5), |w| w.all_hold(7, Health::Alive))
        .expect("it is cleared");
    let mut cleared = 0;
    for &by in &others {
        let told = whats(&world, by, 7);
        let held = told
            .iter()
            .any(|what| matches!(what, What::Silent { .. } | What::Accused { .. }));
        let ended = told.last().is_some_and(|what| {
            matches!(
                what,
                What::Refuted | What::AnsweredLate | What::Withdrawn | What::Answered
            )
        });
        assert!(!held || ended, "n{by}: {told:?}");
        cleared += usize::from(held);
    }
    assert!(cleared > 0);
    let own = whats(&world, 7, 7);
    assert!(
        own.iter()
            .any(|what| matches!(what, What::Denied { by: Some(_) })),
        "{own:?}"
    );
}

#[test]
fn goodbyes_removals_and_returns_are_told() {
    let mut world = World::cluster(3, 8);
    world.run_for(s(20));
    let name = world.nodes[2].name.clone();
    world
        .tell(4, |engine, now| engine.force_leave(now, &name))
        .expect("it is a member");
    world
        .tell(6, |engine, now| {
            engine.leave(now, convoke_core::Departure::Shutdown)
        })
        .expect("a shutdown always begins");
    world.run_for(s(5));
    world.crash(6);
    world.start(6);
    world.run_for(s(10));
    assert_eq!(whats(&world, 4, 2), [What::Removed { via: None }]);
    assert!(matches!(
        whats(&world, 2, 2)[..],
        [What::Removed { via: Some(_) }]
    ));
    for by in [0, 1, 3, 5, 7] {
        // Who is told that it was removed says goodbye, which some hear first.
        let told = whats(&world, by, 2);
        let told = told.strip_prefix(&[What::Left]).unwrap_or(&told);
        assert!(
            matches!(told, [What::Removed { via: Some(_) }]),
            "n{by}: {told:?}"
        );
        assert_eq!(whats(&world, by, 6), [What::Left, What::Returned], "n{by}");
    }
}

#[test]
fn one_that_comes_and_goes_all_night_is_remembered_within_limits() {
    let mut world = World::cluster(5, 8);
    for _ in 0..60 {
        world.crash(3);
        world
            .run_until(s(30), |w| w.all_hold(3, Health::Failed))
            .expect("it is found dead");
        world.start(3);
        world
            .run_until(s(30), |w| w.all_hold(3, Health::Alive))
            .expect("it is back");
    }
    for by in [0, 1, 2, 4, 5, 6, 7] {
        assert_eq!(whats(&world, by, 3).len(), FINDINGS_A_MEMBER_MAX, "n{by}");
        assert!(world.nodes[by].engine().findings().count() <= FINDINGS_MAX);
    }
}
