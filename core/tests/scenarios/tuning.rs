//! The two knobs of the detector keep their word.

use std::time::Duration;

use convoke_core::Config;
use convoke_core::config::Tuning;
use convoke_core::sim::Health;

use crate::World;
use crate::{ms, s};

/// Sizes, and of how many seeds each.
const SIZES: [(usize, u64); 4] = [(3, 12), (8, 12), (32, 8), (128, 3)];

/// A data centre's numbers under these knobs: the preset's own, faster ones, the fastest that
/// there are, and slower ones.
fn settings() -> Vec<Config> {
    let knobs: [(Option<u64>, Option<u64>); 6] = [
        (Some(5000), Some(3000)),
        (Some(2500), None),
        (Some(2500), Some(1600)),
        (Some(1480), None),
        (None, Some(6000)),
        (Some(15_000), Some(10_000)),
    ];
    let tuned = |(within, pause): (Option<u64>, Option<u64>)| {
        let tuning = Tuning {
            detect_within: within.map(ms),
            tolerate_pause: pause.map(ms),
        };
        Config::lan().tuned(tuning).expect("it is possible")
    };
    knobs.into_iter().map(tuned).collect()
}

/// A cluster at rest, at some moment between two probes.
fn at_rest(config: &Config, size: usize, seed: u64) -> World {
    let mut world = World::new(seed);
    world.config = config.clone();
    world.grow(size);
    world.run_for(ms(997 * seed));
    world
}

fn each_world(mut look: impl FnMut(&Config, World, usize, &str)) {
    for config in settings() {
        let (within, pause) = (config.detect_within(), config.tolerate_pause());
        for (size, seeds) in SIZES {
            for seed in 0..seeds {
                let subject = (seed as usize * 7 + 1) % size;
                let case = format!("{within:?} {pause:?}, n{subject} of {size}, seed {seed}");
                look(&config, at_rest(&config, size, seed), subject, &case);
            }
        }
    }
}

#[test]
fn a_silent_crash_is_known_everywhere_within_the_time_that_was_asked_for() {
    each_world(|config, mut world, victim, case| {
        world.crash(victim);
        let took = world.run_until(s(60), |w| w.all_hold(victim, Health::Failed));
        assert!(
            took.is_some_and(|took| took <= config.detect_within()),
            "{case}: {took:?}\n{}",
            world.describe()
        );
    });
}

#[test]
fn a_pause_that_is_tolerated_fails_nobody() {
    each_world(|config, mut world, sleeper, case| {
        let since = world.now;
        pause(&mut world, sleeper, config.tolerate_pause());
        assert_eq!(world.count("failed", since), 0, "{case}");
        assert!(world.is_converged(), "{case}:\n{}", world.describe());
    });
}

#[test]
fn a_pause_as_long_as_detection_takes_is_taken_for_a_crash() {
    each_world(|config, mut world, sleeper, case| {
        let since = world.now;
        pause(&mut world, sleeper, config.detect_within());
        assert!(world.count("failed", since) > 0, "{case}");
    });
}

fn pause(world: &mut World, sleeper: usize, time: Duration) {
    world.pause(sleeper);
    world.run_for(time);
    world.resume(sleeper);
    world.run_for(s(10));
}
