//! Across regions, where round trips take up to a quarter of a second.

use convoke_core::Config;
use convoke_core::sim::report::Net;

use crate::World;
use crate::s;

/// A cluster in four regions that settled long ago.
fn across_regions(seed: u64, size: usize) -> World {
    let mut world = World::new(seed);
    world.config = Config::wan();
    world.network.travel(Net::Wan);
    world.settle_cluster(size);
    world.run_for(s(20));
    world
}

#[test]
fn a_crash_is_known_in_all_regions_in_the_time_that_the_profile_promises() {
    let mut took = Vec::new();
    for seed in 0..9 {
        let mut world = across_regions(seed, 32);
        let since = world.now;
        world.crash(5);
        let others: Vec<_> = (0..32).filter(|&n| n != 5).collect();
        let known = world.run_until(s(30), |w| w.agree(&others));
        took.push(known.expect("a crash becomes known"));
        assert_eq!(world.count("failed", since), 31, "and nothing else");
    }
    took.sort();
    assert!(took[4] <= Config::wan().detect_within(), "{took:?}");
    assert!(took[8] < s(17), "{took:?}");
}

#[test]
fn lost_packets_between_regions_cost_nobody_its_place() {
    let mut world = across_regions(3, 32);
    let since = world.now;
    world.network.loss = 0.05;
    world.run_for(s(120));
    assert_eq!(world.count("suspected", since), 0, "{}", world.describe());
    assert!(world.is_converged(), "{}", world.describe());
}
