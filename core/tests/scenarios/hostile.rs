//! Members that say what no honest member says.

#[path = "../messages/mod.rs"]
mod messages;

use convoke_core::message::Message;
use proptest::prelude::*;

use crate::World;
use crate::{ms, s};

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
        .map(convoke_core::message::Rumor::Alive)
        .collect();
    world.forge(0, 1, vec![Message::Records(rumors)]);
    world.run_for(ms(100));
    let held = world.nodes[1].engine().members().count();
    assert!(held <= 64, "{held} members are held");
}
