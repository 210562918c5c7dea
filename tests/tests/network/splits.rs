//! The network falls into sides, and is whole again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use convoke_tests::{Cut, Hosts, Status, eventually, throughout};

use crate::figures;
use crate::ground::{Ground, HEALED, HOSTS, Marks, PATIENCE, long, names};

/// The nodes of a side come to their verdict within this time of each other.
const SPREAD: Duration = Duration::from_secs(2);

/// What a node of a side of `side` must say once it has noticed.
fn check(seen: &Status, side: &Hosts) -> Result<(), String> {
    let lost = names((1..=HOSTS).filter(|n| !side.contains(n)));
    let own = names(side.clone());
    let alone = own.len() == 1;
    let members = alone || (seen.running_nodes == own && seen.stopped_nodes == lost);
    let quorum = seen.cluster.quorum == (own.len() * 2 > usize::from(HOSTS));
    let partition = match &seen.cluster.partition {
        Some(partition) if alone => partition.kind == "isolated",
        Some(partition) => partition.kind == "cut" && partition.unreachable == lost,
        // A single silent member is a failure.
        None => lost.len() == 1,
    };
    if members && quorum && partition {
        Ok(())
    } else {
        Err(format!("{} of {side:?} shows {seen:#?}", seen.local))
    }
}

/// Whether this side speaks of a partition: a single silent member is a failure.
fn sees_partition(side: &Hosts) -> bool {
    side.len() < usize::from(HOSTS) - 1
}

/// Waits until every node has the right verdict. Says when the last one had it, and how far from
/// each other the nodes of one side were.
fn wait_for_verdicts(ground: &Ground, sides: &[Hosts], since: Instant) -> (Duration, Duration) {
    let mut found: BTreeMap<u8, Duration> = BTreeMap::new();
    eventually("every node has the right verdict", PATIENCE, || {
        let mut wrong = Ok(());
        for side in sides {
            for (n, node) in side.clone().zip(ground.on(side)) {
                if found.contains_key(&n) {
                    continue;
                }
                match node.status().and_then(|seen| check(&seen, side)) {
                    Ok(()) => drop(found.insert(n, since.elapsed())),
                    Err(reason) => wrong = Err(reason),
                }
            }
        }
        wrong
    });
    let spread = |side: &Hosts| {
        let times = || side.clone().map(|n| found[&n]);
        times()
            .max()
            .zip(times().min())
            .map(|(last, first)| last - first)
    };
    let spread = sides.iter().filter_map(spread).max();
    let last = found.into_values().max();
    (last.unwrap_or_default(), spread.unwrap_or_default())
}

/// Every node that saw a partition saw it heal, and no side lost anybody of its own.
fn check_events(ground: &Ground, sides: &[Hosts], marks: &Marks) {
    for side in sides {
        ground.expect_none_failed_among(side, marks);
        if !sees_partition(side) {
            ground.expect_castaway(side, marks);
        } else if side.len() == 1 {
            // Who was alone can't tell how the others were parted.
            ground.expect_healed(side, marks, "isolated", 2);
        } else {
            ground.expect_healed(side, marks, "cut", sides.len());
        }
    }
}

fn play(what: &str, sides: &[Hosts], spans: &[u64]) {
    let ground = Ground::new();
    let (mut noticed, mut apart, mut healed) = (Vec::new(), Vec::new(), Vec::new());
    for span in spans {
        let marks = ground.mark();
        ground.network.cut(&Cut::sides(sides));
        let began = Instant::now();
        let (last, spread) = wait_for_verdicts(&ground, sides, began);
        noticed.push(last);
        apart.push(spread);
        let rest = Duration::from_secs(*span).saturating_sub(began.elapsed());
        throughout("the verdicts stand while the cut lasts", rest, || {
            let of_side = |side| {
                ground
                    .on(side)
                    .try_for_each(|node| check(&node.status()?, side))
            };
            sides.iter().try_for_each(of_side)
        });
        ground.network.mend();
        healed.push(ground.wait_until_one(Instant::now()));
        check_events(&ground, sides, &marks);
    }
    assert!(ground.network.dropped() > 100, "the cut was real");
    figures::tell(&format!("{what}: the right verdict everywhere"), &noticed);
    figures::expect(&format!("{what}: nodes of a side apart"), &apart, SPREAD);
    figures::expect(&format!("{what}: one cluster again"), &healed, HEALED);
}

/// How many seconds each of the cuts lasts, the last of many so long.
fn spans(last: u64) -> Vec<u64> {
    if long() {
        vec![60, 60, 60, 60, last]
    } else {
        vec![20]
    }
}

#[test]
fn two_halves() {
    play("two halves", &[1..=6, 7..=12], &spans(600));
}

#[test]
fn eleven_and_one() {
    play("eleven and one", &[1..=11, 12..=12], &spans(60));
}

#[test]
fn a_half_and_two_quarters() {
    play(
        "a half and two quarters",
        &[1..=6, 7..=9, 10..=12],
        &spans(60),
    );
}

#[test]
fn ten_and_two_single_ones() {
    play("ten, one and one", &[1..=10, 11..=11, 12..=12], &spans(60));
}

#[test]
fn three_thirds() {
    play("three thirds", &[1..=4, 5..=8, 9..=12], &spans(60));
}
