//! Nodes in four regions of the world, up to 120 ms apart one way.

use convoke_core::sim::Health;
use convoke_core::sim::report::Net;
use convoke_core::{Config, Departure};

use crate::World;
use crate::{ms, s};

fn worldwide(seed: u64, size: usize, config: Config) -> World {
    let mut world = World::empty(seed, config);
    world.network.travel(Net::Wan);
    world.settle_cluster(size);
    world.run_for(s(30));
    world
}

#[test]
fn regions_know_of_a_join_and_a_leave_within_a_third_of_a_second() {
    for (seed, size) in [(1, 16), (2, 64)] {
        let mut world = worldwide(seed, size, Config::wan());
        let joiner = world.add();
        world.begin_join(joiner, 0);
        let took = world.run_until(s(10), World::is_converged);
        assert!(took.is_some_and(|t| t < ms(350)), "a join: {took:?}");
        world.run_for(s(5));
        let leave = world.tell(joiner, |engine, now| engine.leave(now, Departure::Leave));
        assert_eq!(leave, Ok(()));
        let left = |w: &World| (0..size).all(|n| w.health(n, joiner) == Health::Left);
        let took = world.run_until(s(10), left);
        assert!(took.is_some_and(|t| t < ms(350)), "a leave: {took:?}");
    }
}

#[test]
fn regions_find_a_crash_by_the_settings_of_either_profile_and_suspect_nobody_else() {
    for (config, limit) in [(Config::lan(), ms(5000)), (Config::wan(), ms(12_300))] {
        let mut world = worldwide(3, 48, config);
        let since = world.now;
        world.run_for(s(120));
        assert_eq!(world.count("suspected", since), 0);
        world.crash(5);
        let took = world.run_until(s(30), |w| w.all_hold(5, Health::Failed));
        assert!(took.is_some_and(|t| t <= limit), "{took:?}");
        assert_eq!(world.wrong_failures(since).len(), 0);
    }
}

#[test]
fn two_regions_that_were_cut_off_are_back_within_seconds() {
    for (seed, config) in [(4, Config::lan()), (5, Config::wan())] {
        let mut world = worldwide(seed, 32, config);
        let side = |half| (0..32).filter(|n| n % 4 / 2 == half).collect::<Vec<_>>();
        let sides = [side(0), side(1)];
        world.network.cut_into(&sides);
        let apart = world.run_until(s(60), |w| sides.iter().all(|side| w.agree(side)));
        assert!(apart.is_some(), "{}", world.describe());
        world.run_for(s(20));
        world.network.mend();
        let took = world.run_until(s(20), World::is_converged);
        assert!(took.is_some_and(|t| t < s(4)), "{took:?}");
    }
}
