//! Clocks that jump, stand still, run fast or slow, or are years wrong.

use convoke_core::sim::Health;
use convoke_core::{ClusterId, Config};

use crate::World;
use crate::{ms, s, settled, wronged};

const YEAR_MS: i64 = 365 * 86_400_000;

#[test]
fn a_clock_that_jumps_forward_makes_nobody_suspect() {
    for jump in [ms(500), s(2), s(10), s(60), s(3600), s(86_400)] {
        let mut world = settled(1, 16, Config::lan());
        world.checks = true;
        let since = world.now;
        world.set_clock_forward(7, jump);
        world.run_for(s(30));
        assert_eq!(world.count("suspected", since), 0, "by {jump:?}");
        assert!(world.is_converged(), "{}", world.describe());
        assert_eq!(world.checked.violations, []);
    }
}

#[test]
fn a_host_that_is_suspended_and_does_not_know_it_is_back_at_once() {
    for time in [2, 20, 600] {
        let mut world = settled(2, 16, Config::lan());
        let since = world.now;
        world.suspend(7);
        world.run_for(s(time));
        world.resume(7);
        let back = world.run_until(s(10), World::is_converged);
        assert!(back.is_some_and(|t| t < ms(100)), "{time} s: {back:?}");
        world.run_for(s(20));
        assert_eq!(world.count("failed", since) > 0, time > 3, "{time} s");
        let (_, about_others) = wronged(&world, 7, since);
        assert_eq!(about_others, 0, "{time} s");
        assert!(world.is_converged(), "{time} s");
    }
}

#[test]
fn a_clock_that_runs_a_third_fast_or_slow_wrongs_nobody() {
    for ppm in [300_000, -300_000] {
        let mut world = World::new(3);
        world.add_many(15);
        let odd = world.add_down();
        world.nodes[odd].drift_ppm = ppm;
        world.start(odd);
        (1..16).for_each(|joiner| world.begin_join(joiner, 0));
        world.run_for(s(30));
        assert!(world.is_converged(), "{}", world.describe());
        let since = world.now;
        world.run_for(s(200));
        assert_eq!(world.count("suspected", since), 0, "{ppm}");
        world.crash(9);
        let took = world.run_until(s(20), |w| w.all_hold(9, Health::Failed));
        assert!(took.is_some_and(|t| t < s(6)), "{ppm}: {took:?}");
        assert_eq!(world.wrong_failures(since).len(), 0, "{ppm}");
    }
}

#[test]
fn a_restart_outranks_its_former_life_whatever_the_wall_clock_says() {
    let jumps = [(0, -50), (10, 0), (10, -1)];
    for (before, after) in jumps {
        for forgets in [false, true] {
            let mut world = World::cluster(4, 8);
            world.checks = true;
            world.shut_down(4);
            world.nodes[4].wall_offset_ms = before * YEAR_MS;
            world.start(4);
            world.run_for(s(10));
            let former = world.nodes[4].engine().profile().life;
            world.crash(4);
            world.nodes[4].wall_offset_ms = after * YEAR_MS;
            if forgets {
                world.forget(4, ClusterId(99));
            }
            world.start(4);
            if forgets {
                assert_eq!(world.join(4, 0), Ok(()));
            }
            let back = world.run_until(s(5), World::is_converged);
            assert!(back.is_some_and(|t| t < ms(100)), "{back:?}");
            assert!(world.nodes[4].engine().profile().life > former);
            assert_eq!(world.checked.violations, []);
        }
    }
}
