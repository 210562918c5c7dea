//! What connections cost: handshakes, their number over time, and those that fall idle.

use convoke_core::{Config, Departure};

use crate::World;
use crate::{count_anew, ms, s, settled, sum};

/// Handshakes since counting began; both ends count each.
fn handshakes(world: &World) -> u64 {
    sum(world, |(sent, _)| sent.handshakes) / 2
}

#[test]
fn at_rest_a_member_makes_one_handshake_in_160_seconds() {
    // For its random probe: one in 160. Ring neighbours stay warm.
    let mut world = settled(1, 64, Config::lan());
    world.run_for(s(100));
    count_anew(&mut world);
    world.run_for(s(240));
    let made = handshakes(&world) as f64 / 64.0;
    assert!((1.0..=2.0).contains(&made), "{made} in four minutes");
}

#[test]
fn a_join_takes_handshakes_with_the_ring_neighbours_alone() {
    for (seed, size) in [(2, 16), (3, 128)] {
        let mut world = settled(seed, size, Config::lan());
        let joiner = world.add();
        count_anew(&mut world);
        assert_eq!(world.join(joiner, 0), Ok(()));
        world.run_for(s(8));
        let made = handshakes(&world);
        assert!((8..=24).contains(&made), "{made} of {size}");
        count_anew(&mut world);
        world.leave(joiner, Departure::Leave);
        assert_eq!(handshakes(&world), 0, "a leave makes none");
    }
}

#[test]
fn a_restart_opens_the_connections_of_one_member_again_and_no_others() {
    let mut world = settled(4, 64, Config::lan());
    count_anew(&mut world);
    world.crash(3);
    world.run_for(s(10));
    world.start(3);
    let back = world.run_until(s(10), World::is_converged);
    assert!(back.is_some_and(|t| t < ms(100)), "{back:?}");
    world.run_for(s(5));
    // Its sixteen neighbours get new ones while it is gone, and have it back.
    assert!(handshakes(&world) < 100, "{}", handshakes(&world));
}

#[test]
fn connections_fall_idle_only_where_probes_are_a_minute_apart() {
    // QUIC gives a connection up after 30 s of silence; an observer comes again every eight
    // intervals, and after 25.5 s at the latest.
    let per_minute = |interval: u64| {
        let mut config = Config::lan();
        config.probe_interval = s(interval);
        config.random_probe_every = 0;
        let mut world = settled(5, 32, config);
        world.run_for(s(60));
        count_anew(&mut world);
        world.run_for(s(240));
        handshakes(&world) as f64 / 32.0 / 4.0
    };
    assert_eq!((per_minute(1), per_minute(5)), (0.0, 0.0));
    let cold = per_minute(60);
    assert!((8.0..=20.0).contains(&cold), "{cold} a minute");
}

#[test]
fn the_dead_are_hailed_and_few_of_them_dialed() {
    let mut config = Config::lan();
    config.random_probe_every = 0;
    let mut world = settled(6, 32, config);
    (0..8).for_each(|n| world.crash(n));
    world.run_for(s(30));
    count_anew(&mut world);
    // Twenty-four members call one of the dead every five seconds each.
    world.run_for(s(120));
    let calls = sum(&world, |(sent, _)| sent.hails) / 3;
    let dials = sum(&world, |(sent, _)| sent.dials);
    assert!((400..=700).contains(&calls), "{calls}");
    assert!(
        (calls / 10..=calls / 6).contains(&dials),
        "{dials} of {calls}"
    );
    (0..8).for_each(|n| world.start(n));
    let back = world.run_until(s(10), World::is_converged);
    assert!(back.is_some(), "{}", world.describe());
}
