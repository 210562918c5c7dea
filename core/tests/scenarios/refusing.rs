//! Hosts that live on refuse what is sent to a process that was killed.

use convoke_core::sim::Health;
use convoke_core::{Config, Event};

use crate::World;
use crate::{ms, s, settled};

/// How long it takes until all hold these as failed, who are killed now.
fn kill(world: &mut World, killed: &[usize]) -> std::time::Duration {
    killed.iter().for_each(|&number| world.kill(number));
    let known = |w: &World| {
        killed
            .iter()
            .all(|&number| w.all_hold(number, Health::Failed))
    };
    let took = world.run_until(s(20), known);
    took.unwrap_or_else(|| panic!("{}", world.describe()))
}

/// Whether each verdict since then was by refusal, and what partitions were told.
fn verdicts(world: &World, since: convoke_core::Instant) -> (usize, usize, usize) {
    let told = world.nodes.iter().flat_map(|node| &node.events);
    let mut counts = (0, 0, 0);
    for (_, event) in told.filter(|(at, _)| *at >= since) {
        match event {
            Event::MemberFailed { refused: true, .. } => counts.0 += 1,
            Event::MemberFailed { refused: false, .. } => counts.1 += 1,
            Event::PartitionDetected(_) => counts.2 += 1,
            _ => {}
        }
    }
    counts
}

#[test]
fn a_killed_process_is_failed_everywhere_within_two_seconds() {
    for (size, seeds) in [(2, 4), (3, 4), (4, 4), (5, 4), (12, 8), (128, 4)] {
        let mut all = Vec::new();
        for seed in 0..seeds {
            let mut world = settled(seed, size, Config::lan());
            world.run_for(ms(97) * seed as u32);
            let since = world.now;
            all.push(kill(&mut world, &[seed as usize % size]));
            world.run_for(s(5));
            let (refused, silent, _) = verdicts(&world, since);
            assert_eq!((refused, silent), (size - 1, 0), "of {size}, seed {seed}");
            assert!(world.is_converged(), "{}", world.describe());
        }
        all.sort();
        assert!(all[all.len() / 2] < ms(1700), "of {size}: {all:?}");
        assert!(all[all.len() - 1] < ms(2200), "of {size}: {all:?}");
    }
}

#[test]
fn a_third_that_is_killed_at_once_is_no_partition() {
    for (size, seeds, usual) in [(12, 15, ms(1200)), (48, 7, ms(2600))] {
        let mut all = Vec::new();
        for seed in 0..seeds {
            let mut world = settled(seed, size, Config::lan());
            world.run_for(ms(97) * seed as u32);
            let since = world.now;
            let third: Vec<usize> = (0..size / 3).collect();
            all.push(kill(&mut world, &third));
            world.run_for(s(10));
            let (_, silent, partitions) = verdicts(&world, since);
            assert_eq!((silent, partitions), (0, 0), "of {size}, seed {seed}");
            assert!(world.is_converged(), "{}", world.describe());
        }
        all.sort();
        assert!(all[all.len() / 2] < usual, "of {size}: {all:?}");
        assert!(all[all.len() - 1] < s(3), "of {size}: {all:?}");
    }
}

#[test]
fn a_rack_that_restarts_is_no_partition() {
    let mut world = World::cluster(4, 24);
    let since = world.now;
    for number in 8..16 {
        world.kill(number);
    }
    world.run_for(s(4));
    for number in 8..16 {
        world.start(number);
    }
    let took = world.run_until(s(10), World::is_converged);
    assert!(took.is_some(), "{}", world.describe());
    assert_eq!(verdicts(&world, since).2, 0);
}

#[test]
fn a_process_that_is_back_at_its_port_at_once_stays_a_member() {
    for seed in 0..4 {
        let mut world = World::cluster(5 + seed, 12);
        world.run_for(ms(250) * seed as u32);
        let since = world.now;
        world.kill(3);
        world.run_for(ms(100));
        world.start(3);
        let took = world.run_until(s(5), World::is_converged);
        assert!(took.is_some(), "{}", world.describe());
        world.run_for(s(10));
        let (refused, silent, partitions) = verdicts(&world, since);
        assert_eq!((refused, silent, partitions), (0, 0, 0), "seed {seed}");
    }
}

#[test]
fn who_forges_refusals_fails_nobody() {
    for (seed, loss) in [(1, 0.0), (2, 0.1), (3, 0.3)] {
        let mut world = settled(seed, 24, Config::lan());
        world.network.refusals_forged = true;
        world.network.loss = loss;
        let since = world.now;
        world.run_for(s(60));
        assert_eq!(world.count("failed", since), 0, "{loss}");
        let refusals = world.nodes.iter().map(|n| n.engine().stats().refusals);
        assert_eq!(refusals.sum::<u64>() > 0, loss > 0.0, "{loss}");
    }
}

#[test]
fn a_process_that_stands_still_for_a_second_is_not_failed_by_forged_refusals() {
    let mut world = settled(7, 24, Config::lan());
    world.network.refusals_forged = true;
    let since = world.now;
    for _ in 0..20 {
        world.pause(5);
        world.run_for(ms(300));
        world.resume(5);
        world.run_for(s(2));
    }
    assert_eq!(world.count("failed", since), 0, "{}", world.describe());
}

#[test]
fn a_cut_is_still_called_a_cut() {
    let mut world = settled(8, 24, Config::lan());
    let since = world.now;
    let sides: Vec<Vec<usize>> = vec![(0..16).collect(), (16..24).collect()];
    world.network.cut_into(&sides);
    let apart = world.run_until(s(30), |w| sides.iter().all(|side| w.agree(side)));
    assert!(apart.is_some(), "{}", world.describe());
    world.run_for(s(5));
    let (refused, silent, partitions) = verdicts(&world, since);
    assert!(refused == 0 && silent > 0 && partitions >= 24);
}

#[test]
fn a_host_that_drops_what_it_would_refuse_takes_the_usual_time() {
    let mut world = settled(9, 12, Config::lan());
    let since = world.now;
    world.crash(3);
    let took = world.run_until(s(20), |w| w.all_hold(3, Health::Failed));
    assert!(took.is_some_and(|t| t > s(3)), "{took:?}");
    assert_eq!(verdicts(&world, since), (0, 11, 0));
    let knocks = world.nodes.iter().filter(|node| node.is_up());
    let knocks = knocks.map(|node| node.engine().stats().knocks);
    assert!(knocks.sum::<u64>() > 0);
}
