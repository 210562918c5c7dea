use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::member::{Instance, Life};
use crate::message::Range;
use crate::reconcile::Facts;

pub(crate) fn life(admission: u32, incarnation: u64) -> Life {
    Life {
        admission: Admission(admission),
        incarnation: Incarnation(incarnation),
    }
}

pub(crate) fn profile(name: &str, life: Life) -> Arc<Profile> {
    Arc::new(Profile {
        name: name.parse().unwrap(),
        life,
        instance: Instance::new(1, 1),
        address: "10.0.0.1:4370".parse().unwrap(),
        rpc_port: 5370,
        version: "0.1.0".into(),
        side: None,
        tags: BTreeMap::new(),
    })
}

pub(crate) fn member(name: &str, incarnation: u64) -> Member {
    let life = life(1, incarnation);
    Member {
        profile: profile(name, life),
        standing: Standing::alive(life),
        suspected: false,
        since: Instant::ORIGIN,
        refused: false,
        heard: false,
        held: false,
    }
}

const NOW: Instant = Instant::ORIGIN;
const ALL: Range = Range { prefix: 0, bits: 0 };
const A: &str = "a@10.0.0.1";

fn alive(admission: u32, incarnation: u64) -> Rumor {
    Rumor::Alive(profile(A, life(admission, incarnation)))
}

fn failed(admission: u32, incarnation: u64) -> Rumor {
    Rumor::Failed(Failed {
        id: id(),
        life: life(admission, incarnation),
        by: NodeId(1),
        accusers: 3,
        doubtful: false,
        refused: false,
        heard: false,
    })
}

fn left(admission: u32, incarnation: u64) -> Rumor {
    Rumor::Left {
        id: id(),
        life: life(admission, incarnation),
    }
}

fn removed(admission: u32) -> Rumor {
    Rumor::Removed {
        id: id(),
        admission: Admission(admission),
    }
}

fn id() -> NodeId {
    profile(A, Life::ZERO).id()
}

fn after(rumors: &[Rumor]) -> Roster {
    let mut roster = Roster::new(&Config::lan());
    for rumor in rumors {
        roster.apply(NOW, rumor);
    }
    roster
}

/// What a roster says, without the order in which it learned it.
fn said(roster: &mut Roster) -> (Vec<(NodeId, Standing)>, Fingerprint, usize) {
    (
        roster.compared(NOW).within(ALL),
        roster.fingerprint(),
        roster.present(),
    )
}

#[test]
fn the_order_of_facts_about_a_known_member_does_not_matter() {
    let first = alive(1, 1);
    let facts = [
        alive(1, 2),
        failed(1, 2),
        left(1, 1),
        removed(1),
        alive(2, 1),
        failed(2, 1),
        alive(2, 3),
    ];
    for a in &facts {
        for b in &facts {
            for c in &facts {
                let mut one = after(&[first.clone(), a.clone(), b.clone(), c.clone()]);
                let mut other = after(&[first.clone(), c.clone(), a.clone(), b.clone(), a.clone()]);
                // A bare verdict about somebody unknown is no fact; reconciliation brings it.
                let bare = |r: &Rumor| matches!(r, Rumor::Failed(_) | Rumor::Left { .. });
                let unknown = [a, b, c].iter().any(|r| **r == removed(1))
                    && [a, b, c].iter().any(|r| bare(r));
                if !unknown {
                    assert_eq!(said(&mut one), said(&mut other), "{a:?} {b:?} {c:?}");
                }
            }
        }
    }
}

#[test]
fn the_fingerprint_is_that_of_the_present_members() {
    assert_eq!(
        after(&[alive(1, 1), failed(1, 1)]).fingerprint(),
        Fingerprint::default()
    );
    assert_eq!(
        after(&[alive(1, 1), failed(1, 1), alive(1, 2)]).fingerprint(),
        after(&[alive(1, 2)]).fingerprint()
    );
    assert_ne!(
        after(&[alive(1, 1)]).fingerprint(),
        after(&[alive(1, 2)]).fingerprint()
    );
}

#[test]
fn a_removed_member_does_not_come_back_by_its_own_word() {
    let mut roster = after(&[alive(1, 1), removed(1)]);
    assert!(matches!(
        roster.apply(NOW, &alive(1, 99)),
        Transition::Stale
    ));
    assert_eq!(roster.present(), 0);
    assert_eq!(roster.tombstone(id()), Some(Admission(1)));
    assert!(matches!(
        roster.apply(NOW, &alive(2, 1)),
        Transition::Joined { was: None }
    ));
    assert_eq!(roster.tombstone(id()), None);
}

#[test]
fn what_was_forgotten_does_not_come_back_by_an_old_copy() {
    let mut roster = after(&[alive(1, 5), failed(1, 5)]);
    roster.forget(id()).unwrap();
    assert!(matches!(
        roster.apply(NOW, &alive(1, 5)),
        Transition::BelowFloor(_)
    ));
    assert!(matches!(
        roster.apply(NOW, &alive(1, 6)),
        Transition::Joined { was: None }
    ));
}

#[test]
fn who_was_failed_before_a_restart_is_shown_again_and_who_was_forgotten_is_not() {
    let gone = |incarnation| Rumor::Absent {
        profile: profile(A, life(1, incarnation)),
        standing: Standing::failed(life(1, incarnation)),
        age: 60,
        refused: false,
        heard: false,
    };
    let learned = |forgotten, rumor: &Rumor| {
        let mut roster = Roster::new(&Config::lan());
        let held = after(&[alive(1, 5), failed(1, 5)]);
        let entry = held.acquaintances(NodeId(1)).remove(0);
        roster.remember(Acquaintance { forgotten, ..entry });
        let transition = roster.apply(NOW, rumor);
        assert!(
            matches!(transition, Transition::Learned | Transition::Stale),
            "{transition:?}"
        );
        roster.failed() == 1
    };
    assert!(learned(false, &gone(5)));
    assert!(!learned(false, &gone(4)));
    assert!(!learned(true, &gone(5)));
}

#[test]
fn a_stale_copy_does_not_bring_back_one_who_said_that_it_is_elsewhere() {
    let mut roster = after(&[alive(1, 5), left(1, 5)]);
    roster.forget(id()).unwrap();
    roster.strike(id());
    assert!(matches!(
        roster.apply(NOW, &alive(1, 5)),
        Transition::BelowFloor(_)
    ));
    let mut rng = fastrand::Rng::with_seed(1);
    assert_eq!(
        roster.random_acquaintance(&mut rng, |_| true),
        None,
        "nobody to call"
    );
    assert_eq!(roster.strangers(), 0);
    assert!(matches!(
        roster.apply(NOW, &alive(1, 6)),
        Transition::Joined { was: None }
    ));
}

#[test]
fn the_removal_of_an_earlier_stay_leaves_the_floor_of_a_later_one() {
    let mut roster = after(&[alive(2, 5), failed(2, 5)]);
    roster.forget(id()).unwrap();
    roster.apply(NOW, &removed(1));
    assert!(matches!(
        roster.apply(NOW, &alive(2, 5)),
        Transition::BelowFloor(_)
    ));
}

#[test]
fn a_member_of_the_past_that_was_alive_is_taken_at_the_same_life() {
    let mut roster = Roster::new(&Config::lan());
    roster.remember(acquaintance(&member(A, 5)));
    assert!(matches!(
        roster.apply(NOW, &alive(1, 5)),
        Transition::Joined { was: None }
    ));
}

#[test]
fn shelves_are_bounded() {
    let config = Config {
        members_max: 3,
        tombstones_max: 2,
        address_book_max: 2,
        ..Config::lan()
    };
    let mut roster = Roster::new(&config);
    for i in 0..5 {
        roster.apply(
            NOW,
            &Rumor::Alive(profile(&format!("n{i}@10.0.0.1"), life(1, 1))),
        );
        roster.apply(
            NOW,
            &Rumor::Removed {
                id: NodeId(i),
                admission: Admission(1),
            },
        );
        roster.remember(acquaintance(&member(&format!("b{i}@10.0.0.1"), 1)));
    }
    assert_eq!(
        (roster.len(), roster.tombstones().count(), roster.book.len()),
        (3, 2, 2)
    );
    assert!(roster.is_full());
}

#[test]
fn those_about_to_be_forgotten_are_not_compared() {
    let config = Config::lan();
    let mut roster = after(&[alive(1, 1), failed(1, 1)]);
    roster.sweep(NOW);
    assert_ne!(roster.absent_digest(), 0);
    let later = NOW + config.autoclean.unwrap() / 2;
    roster.sweep(later);
    assert_eq!(roster.absent_digest(), 0);
    assert!(roster.compared(later).within(ALL).is_empty());
    assert_eq!(roster.forgettable(NOW + config.autoclean.unwrap()), [id()]);
}

#[test]
fn random_picks_reach_everybody() {
    let rumors: Vec<_> = (0..20)
        .map(|i| Rumor::Alive(profile(&format!("n{i}@10.0.0.1"), life(1, 1))))
        .collect();
    let roster = after(&rumors);
    let mut rng = fastrand::Rng::with_seed(1);
    let picked: BTreeSet<_> = (0..1000)
        .filter_map(|_| roster.random_present(&mut rng, |_, _| true))
        .collect();
    assert_eq!(picked.len(), 20);
    assert_eq!(roster.random_present(&mut rng, |_, _| false), None);
}

#[test]
fn a_member_is_what_it_is_since_its_process_started() {
    let mut roster = Roster::new(&Config::lan());
    roster.apply(NOW, &alive(1, 1));
    let later = NOW + Duration::from_secs(9);
    roster.apply(later, &alive(1, 2));
    let since = |roster: &Roster| roster.member(id()).map(|member| member.since);
    assert_eq!(since(&roster), Some(NOW), "it refuted something");
    let anew = Profile {
        instance: Instance::new(2, 1),
        ..(*profile(A, life(1, 3))).clone()
    };
    roster.apply(later, &Rumor::Alive(Arc::new(anew)));
    assert_eq!(since(&roster), Some(later));
}
