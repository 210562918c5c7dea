//! Processes that die on hosts that live.

use std::time::{Duration, Instant};

use convoke_tests::{Launch, Status, eventually, throughout};

use crate::figures;
use crate::ground::{Ground, PATIENCE, lasting, long, names, rounds};

/// By when all know of processes that were killed.
const KNOWN: Duration = Duration::from_secs(2);

/// So patient with the silent that, on the slowest machine, only refusals can be what is acted on.
/// Where figures are wanted: as it ships.
fn patient(launch: Launch) -> Launch {
    if long() {
        return launch;
    }
    let launch = launch.env("CONVOKE_DETECTOR_SUSPICION_MIN", "120s");
    launch.env("CONVOKE_DETECTOR_SUSPICION_MAX", "480s")
}

#[test]
fn four_killed_at_once_are_a_crash_and_no_partition() {
    let mut ground = Ground::start_as(patient);
    let mut known = Vec::new();
    for _ in 0..rounds() {
        let marks = ground.mark();
        for node in &mut ground.nodes[8..] {
            node.kill();
        }
        let killed = Instant::now();
        let (living, dead) = (names(1..=8), names(9..=12));
        let never_a_partition = |seen: &Status| {
            assert!(
                seen.cluster.partition.is_none() && seen.cluster.quorum,
                "{seen:#?}"
            );
        };
        eventually("the four are failed everywhere", PATIENCE, || {
            ground.nodes[..8].iter().try_for_each(|node| {
                let seen = node.status()?;
                never_a_partition(&seen);
                let known = seen.stopped_nodes == dead && seen.running_nodes == living;
                known.then_some(()).ok_or_else(|| format!("{seen:#?}"))
            })
        });
        known.push(killed.elapsed());
        throughout("it stays a crash", lasting(5, 10), || {
            for node in &ground.nodes[..8] {
                never_a_partition(&node.status()?);
            }
            Ok(())
        });
        ground.expect_no_partition(&(1..=8), &marks);
        ground.expect_none_failed_among(&(1..=8), &marks);
        for node in &mut ground.nodes[8..] {
            node.restart();
        }
        ground.wait_until_one(Instant::now());
    }
    figures::expect("four of twelve killed: known to all", &known, KNOWN);
}
