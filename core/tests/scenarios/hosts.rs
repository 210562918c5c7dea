//! What a host must be able to do: its CPU, and the buffers of its sockets.

use convoke_core::Config;
use convoke_core::sim::{Health, Machine};

use crate::World;
use crate::{count_anew, ms, s, settled, sum, wronged};

#[test]
fn a_member_at_rest_needs_less_than_a_ten_thousandth_of_a_core() {
    let mut world = settled(1, 64, Config::lan());
    world.machine = Machine::MEASURED;
    count_anew(&mut world);
    world.run_for(s(120));
    let most = world.nodes.iter().map(|node| node.sent.cpu).max();
    assert!(most < Some(ms(12)), "{most:?} in two minutes");
}

#[test]
fn a_cpu_that_takes_ten_milliseconds_a_packet_is_still_a_member() {
    // A thousand times slower than the one that was measured.
    let mut world = settled(2, 64, Config::lan());
    world.machine = Machine {
        slow: Some((7, 1000)),
        ..Machine::MEASURED
    };
    let since = world.now;
    world.run_for(s(120));
    assert_eq!(wronged(&world, 7, since), (0, 0));
    assert!(world.is_converged(), "{}", world.describe());
}

#[test]
fn a_cpu_that_takes_a_tenth_of_a_second_a_packet_harms_itself_alone() {
    let mut world = settled(4, 64, Config::lan());
    world.machine = Machine {
        slow: Some((7, 10_000)),
        ..Machine::MEASURED
    };
    let since = world.now;
    world.run_for(s(120));
    let (about_it, about_others) = wronged(&world, 7, since);
    assert!(about_it > 0, "more than it can do");
    assert_eq!(about_others, 0);
}

#[test]
fn what_overflows_the_socket_of_a_frozen_process_is_learned_by_comparing() {
    let mut world = settled(4, 32, Config::lan());
    world.socket_packets_max = 4;
    world.add_many(24);
    count_anew(&mut world);
    world.pause(7);
    for newcomer in 32..56 {
        world.begin_join(newcomer, newcomer % 6);
        world.run_for(ms(80));
    }
    assert!(sum(&world, |(_, dropped)| dropped.socket) > 20);
    assert!(world.health(7, 55) == Health::Unknown);
    world.resume(7);
    let took = world.run_until(s(10), World::is_converged);
    assert!(took.is_some_and(|t| t < s(1)), "{took:?}");
}

#[test]
fn a_frozen_process_is_sent_little_that_waits_for_it() {
    let mut world = settled(5, 64, Config::lan());
    world.socket_packets_max = 100;
    count_anew(&mut world);
    world.pause(7);
    world.run_for(s(120));
    assert_eq!(world.nodes[7].dropped.socket, 0);
    world.resume(7);
    let took = world.run_until(s(10), World::is_converged);
    assert!(took.is_some_and(|t| t < ms(100)), "{took:?}");
}
