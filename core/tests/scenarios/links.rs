//! What a link must carry: its bandwidth, its queue, and its directions.

use convoke_core::Config;
use convoke_core::sim::{Health, Machine};

use crate::World;
use crate::{count_anew, ms, s, settled, sum, wronged};

#[test]
fn twenty_kilobytes_a_second_are_enough_for_every_member() {
    for (seed, queue) in [(1, 2_000), (2, 20_000)] {
        let mut world = settled(seed, 48, Config::lan());
        world.network.bandwidth = Some(20_000);
        world.network.backlog_bytes_max = queue;
        let since = world.now;
        world.run_for(s(60));
        assert_eq!(world.count("suspected", since), 0, "at rest");
        world.crash(9);
        let took = world.run_until(s(20), |w| w.all_hold(9, Health::Failed));
        assert!(took.is_some_and(|t| t < s(6)), "{took:?}");
        (10..14).for_each(|victim| world.crash(victim));
        let dead = |w: &World| (10..14).all(|victim| w.all_hold(victim, Health::Failed));
        let took = world.run_until(s(30), dead);
        assert!(took.is_some_and(|t| t < s(15)), "{took:?}");
        world.run_for(s(10));
        assert_eq!(world.wrong_failures(since).len(), 0, "with {queue} bytes");
    }
}

#[test]
fn one_whose_link_is_too_narrow_harms_itself_alone_and_is_back_when_it_is_wider() {
    // Two kilobytes a second: eight times what a member at rest sends, but no handshake's worth.
    let mut world = settled(3, 48, Config::lan());
    world.network.host_bandwidth = vec![(7, 2000)];
    world.network.backlog_bytes_max = 64 << 10;
    count_anew(&mut world);
    let since = world.now;
    world.run_for(s(240));
    let (about_it, about_others) = wronged(&world, 7, since);
    assert!(about_it > 0, "its packets wait for half a minute");
    assert_eq!(about_others, 0);
    let dropped = world.nodes[7].dropped;
    assert!(dropped.uplink > 0 && dropped.downlink > 0, "{dropped:?}");
    world.network.host_bandwidth.clear();
    let back = world.run_until(s(10), World::is_converged);
    assert!(back.is_some_and(|t| t < s(1)), "{back:?}");
}

#[test]
fn a_storm_of_joins_goes_through_narrow_links_and_short_queues() {
    // A megabit a second, of which an eighth of a second may wait.
    let mut world = World::new(4);
    world.machine = Machine::MEASURED;
    world.network.bandwidth = Some(125_000);
    world.network.backlog_bytes_max = 16 << 10;
    world.add_many(64);
    (1..64).for_each(|joiner| world.begin_join(joiner, 0));
    let took = world.run_until(s(20), World::is_converged);
    assert!(took.is_some_and(|t| t < s(4)), "{took:?}");
    assert!(sum(&world, |(_, dropped)| dropped.uplink) > 100);
}

#[test]
fn links_of_one_direction_between_single_pairs_raise_not_even_a_suspicion() {
    for (seed, size) in [(5, 3), (6, 4), (7, 16), (8, 64)] {
        let mut world = settled(seed, size, Config::lan());
        let since = world.now;
        world.network.cut_one_way(1, 0);
        world.run_for(s(60));
        assert_eq!(world.count("suspected", since), 0, "one of {size}");
        let cuts = (0..size / 2).map(|n| ((n * 7) % size, (n * 13 + 1) % size));
        for (from, to) in cuts.filter(|(from, to)| from != to) {
            world.network.cut_one_way(from, to);
        }
        world.run_for(s(60));
        assert_eq!(world.count("failed", since), 0, "many of {size}");
    }
}

#[test]
fn of_two_the_one_that_is_not_heard_is_failed_by_the_other() {
    // A stream needs both directions, and there is nobody else to ask.
    let mut world = settled(9, 2, Config::lan());
    world.network.cut_one_way(1, 0);
    let failed = world.run_until(s(20), |w| w.health(0, 1) == Health::Failed);
    assert!(failed.is_some_and(|t| t > s(3)), "{failed:?}");
    world.network.mend();
    let back = world.run_until(s(10), World::is_converged);
    assert!(back.is_some_and(|t| t < ms(8000)), "{back:?}");
}
