//! Names and addresses that are used again.

use std::net::SocketAddr;

use convoke_core::ClusterId;
use convoke_core::sim::Health;

use crate::World;
use crate::s;

/// How long the dead are dead before somebody takes their place.
const GAPS: [u64; 3] = [0, 2, 10];

fn checked(seed: u64, size: usize) -> World {
    let mut world = World::cluster(seed, size);
    world.checks = true;
    world
}

fn is_one_and_stays_so(world: &mut World, seconds: u64) {
    let took = world.run_until(s(seconds), World::is_converged);
    assert!(took.is_some(), "{}", world.describe());
    world.run_for(s(20));
    assert!(world.is_converged(), "{}", world.describe());
    assert_eq!(world.checked.violations, []);
}

#[test]
fn a_newcomer_at_the_address_of_a_dead_member_is_a_member_of_its_own() {
    for gap in GAPS {
        let mut world = checked(1, 8);
        let address = world.nodes[4].address;
        world.crash(4);
        world.run_for(s(gap));
        let since = world.now;
        let newcomer = world.add_named("newcomer@10.7.7.7".parse().unwrap(), address);
        assert_eq!(world.join(newcomer, 0), Ok(()));
        is_one_and_stays_so(&mut world, 8);
        assert!(world.all_hold(4, Health::Failed), "and the dead is dead");
        assert_eq!(world.wrong_failures(since).len(), 0);
    }
}

#[test]
fn two_that_swap_their_addresses_are_found_at_the_new_ones() {
    for gap in GAPS {
        let mut world = checked(2, 8);
        let (a, b) = (world.nodes[4].address, world.nodes[5].address);
        world.crash(4);
        world.crash(5);
        (world.nodes[4].address, world.nodes[5].address) = (b, a);
        world.run_for(s(gap));
        world.start(4);
        world.start(5);
        is_one_and_stays_so(&mut world, 5);
    }
}

#[test]
fn a_fleet_that_restarts_with_each_others_addresses_finds_together() {
    // Some come together in small groups first: whoever is alone asks at once, a group now and then.
    for (seed, gap) in (3..13).flat_map(|seed| GAPS.map(|gap| (seed, gap))) {
        let mut world = checked(seed, 8);
        let addresses: Vec<SocketAddr> = world.nodes.iter().map(|node| node.address).collect();
        for number in 0..8 {
            world.crash(number);
            world.nodes[number].address = addresses[(number + 1) % 8];
        }
        world.run_for(s(gap));
        (0..8).for_each(|number| world.start(number));
        is_one_and_stays_so(&mut world, 45);
    }
}

#[test]
fn a_name_whose_host_and_disk_are_new_is_the_same_member() {
    for gap in GAPS {
        let mut world = checked(4, 8);
        world.crash(4);
        world.forget(4, ClusterId(99));
        world.nodes[4].address = "10.9.9.9:4370".parse().unwrap();
        world.run_for(s(gap));
        world.start(4);
        assert_eq!(world.join(4, 0), Ok(()));
        is_one_and_stays_so(&mut world, 1);
    }
}
