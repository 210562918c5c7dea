//! Members that say what no honest member says.

#[path = "../messages/mod.rs"]
mod messages;

use convoke_core::message::{Failed, Message, Rumor, Suspect};
use convoke_core::sim::Health;
use convoke_core::{Admission, ClusterId, Config, Incarnation};
use proptest::prelude::*;

use crate::World;
use crate::{ms, s, settled};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_member_says_nobody_panics(
        said in prop::collection::vec((1..5usize, messages::any_message()), 1..40),
    ) {
        let mut world = World::cluster(1, 5);
        for (to, message) in said {
            world.forge(0, to, vec![message]);
            world.run_for(ms(20));
        }
        world.run_for(s(30));
    }
}

#[test]
fn a_flood_of_invented_members_is_bounded() {
    let mut world = World::new(2);
    world.config.members_max = 64;
    world.grow(4);
    let rumors: Vec<_> = (0..500)
        .map(|n| messages::profile(&format!("ghost{n}@10.66.0.1"), 1))
        .map(Rumor::Alive)
        .collect();
    world.forge(0, 1, vec![Message::Records(rumors)]);
    world.run_for(ms(100));
    let held = world.nodes[1].engine().members().count();
    assert!(held <= 64, "{held} members are held");
}

/// Says something in a member's name to all others.
fn tell_all(world: &mut World, liar: usize, message: &Message) {
    for to in (0..world.nodes.len()).filter(|&to| to != liar) {
        world.forge(liar, to, vec![message.clone()]);
    }
}

#[test]
fn false_accusations_fell_nobody_however_many_members_make_them() {
    for liars in [1, 2, 5] {
        let mut world = settled(3, 32, Config::lan());
        let (since, id) = (world.now, world.nodes[9].id());
        for _ in 0..20 {
            let life = world.nodes[9].engine().profile().life;
            for liar in 0..liars {
                tell_all(
                    &mut world,
                    liar,
                    &Message::Suspect(Suspect {
                        id,
                        life,
                        refused: false,
                    }),
                );
            }
            world.run_for(s(1));
        }
        assert_eq!(world.count("failed", since), 0, "{liars} liars");
        assert!(world.is_converged(), "{}", world.describe());
    }
}

/// Somebody's verdict about n9 in its present life.
fn verdict(world: &World, accusers: u8) -> Message {
    Message::Rumor(Rumor::Failed(Failed {
        id: world.nodes[9].id(),
        life: world.nodes[9].engine().profile().life,
        by: world.nodes[0].id(),
        accusers,
        doubtful: false,
        refused: false,
        heard: false,
    }))
}

#[test]
fn a_made_up_verdict_is_refuted_before_anybody_believes_it() {
    let mut world = settled(4, 64, Config::lan());
    let since = world.now;
    let alone = verdict(&world, 1);
    tell_all(&mut world, 0, &alone);
    world.run_for(s(10));
    assert_eq!(world.count("failed", since), 0, "the word of one");
    let claimed = verdict(&world, 200);
    tell_all(&mut world, 0, &claimed);
    world.run_for(s(10));
    assert_eq!(world.count("failed", since), 0, "of however many it claims");
    // It was heard: whoever does not object is failed by it.
    let claimed = verdict(&world, 200);
    world.crash(9);
    tell_all(&mut world, 0, &claimed);
    let known = world.run_until(s(3), |w| w.all_hold(9, Health::Failed));
    assert!(known.is_some(), "{}", world.describe());
}

#[test]
fn a_life_that_was_made_up_is_outranked_by_its_owner() {
    let mut world = settled(5, 64, Config::lan());
    let mut invented = (**world.nodes[9].engine().profile()).clone();
    invented.address = "10.66.0.1:4370".parse().unwrap();
    invented.life.incarnation.0 += 1000 * 365 * 86_400_000;
    let rumor = Rumor::Alive(invented.into());
    tell_all(&mut world, 0, &Message::Rumor(rumor));
    let (id, address) = (world.nodes[9].id(), world.nodes[9].address);
    let right = |w: &World| {
        let others = (0..64).filter(|&n| n != 9);
        let mut held = others.map(|n| w.nodes[n].engine().member(id));
        held.all(|m| m.is_some_and(|m| m.is_present() && m.profile.address == address))
    };
    world.run_for(ms(1));
    assert!(!right(&world), "everyone looks for it elsewhere");
    let took = world.run_until(s(20), right);
    assert!(took.is_some_and(|t| t < s(8)), "{took:?}");
}

#[test]
fn a_life_beyond_which_there_is_none_shuts_a_name_out() {
    // What a member of the cluster can do to another one: as much as an operator, who can remove it.
    let mut world = settled(6, 16, Config::lan());
    let (id, mut life) = (world.nodes[9].id(), world.nodes[9].engine().profile().life);
    life.incarnation = Incarnation(u64::MAX);
    tell_all(&mut world, 0, &Message::Rumor(Rumor::Left { id, life }));
    world.run_for(s(60));
    assert!(!world.is_converged(), "it cannot say more");
    world.forget(9, ClusterId(77));
    world.crash(9);
    world.forget(9, ClusterId(77));
    world.start(9);
    assert_eq!(world.join(9, 1), Ok(()), "a new admission outranks it");
    let back = world.run_until(s(5), World::is_converged);
    assert!(back.is_some(), "{}", world.describe());
    let admission = Admission(u32::MAX);
    tell_all(
        &mut world,
        0,
        &Message::Rumor(Rumor::Removed { id, admission }),
    );
    world.run_for(s(5));
    let _ = world.join(9, 1);
    world.run_for(s(20));
    assert!(!world.is_converged(), "there is no later one");
}

#[test]
fn members_that_were_made_up_are_found_dead_and_no_others() {
    let mut world = settled(7, 24, Config::lan());
    let since = world.now;
    let ghost = |n: u32| messages::profile(&format!("ghost{n}@10.66.0.{}", n % 250 + 1), 1);
    let ghosts = (0..100).map(|n| {
        let mut ghost = (*ghost(n)).clone();
        ghost.address = format!("10.66.0.{}:4371", n + 1).parse().unwrap();
        Rumor::Alive(ghost.into())
    });
    let records = Message::Records(ghosts.collect());
    world.forge(0, 1, vec![records]);
    world.run_for(s(2));
    assert_eq!(world.nodes[5].engine().size(), 124, "they are believed");
    let gone = |w: &World| w.nodes.iter().all(|node| node.engine().size() == 24);
    let took = world.run_until(s(60), gone);
    assert!(took.is_some_and(|t| t < s(40)), "{took:?}");
    assert_eq!(world.wrong_failures(since).len(), 0);
}
