//! Links that carry one direction only.

use std::time::Instant;

use convoke_tests::{Cut, Hosts, Status, eventually, throughout};

use crate::figures;
use crate::ground::{Ground, HEALED, HOSTS, PATIENCE, lasting, names, rounds};

const LAST: u8 = HOSTS;

/// What the others must show of the last host, which they don't hear or which doesn't hear them.
fn check_others(seen: &Status) -> Result<(), String> {
    let lost = seen.stopped_nodes == names([LAST]) && seen.running_nodes == names(1..LAST);
    (lost && seen.cluster.quorum)
        .then_some(())
        .ok_or_else(|| format!("{} shows {seen:#?}", seen.local))
}

/// What the last host must show of itself.
fn check_lost(seen: &Status, kind: &str) -> Result<(), String> {
    let partition = seen.cluster.partition.as_ref();
    let partition = partition.filter(|partition| partition.kind == kind);
    let unreachable = partition.map(|partition| &partition.unreachable);
    (!seen.cluster.quorum && unreachable == Some(&names(1..LAST)))
        .then_some(())
        .ok_or_else(|| format!("the lost one shows {seen:#?}"))
}

/// One that is cut off in one direction: it alone is lost, and it knows what it has, and that it
/// has no quorum.
fn play_single(what: &str, cut: &Cut, kind: &str) {
    let ground = Ground::new();
    let others: Hosts = 1..=LAST - 1;
    let (mut noticed, mut healed) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        let marks = ground.mark();
        ground.network.cut(cut);
        let began = Instant::now();
        let right = || {
            ground
                .on(&others)
                .try_for_each(|node| check_others(&node.status()?))?;
            check_lost(&ground.nodes[usize::from(LAST) - 1].status()?, kind)
        };
        eventually("every node has the right verdict", PATIENCE, right);
        noticed.push(began.elapsed());
        let rest = lasting(20, 60).saturating_sub(began.elapsed());
        throughout("the verdicts stand while the cut lasts", rest, right);
        ground.network.mend();
        healed.push(ground.wait_until_one(Instant::now()));
        ground.expect_none_failed_among(&others, &marks);
        ground.expect_healed(&(LAST..=LAST), &marks, kind, 2);
        ground.expect_castaway(&others, &marks);
    }
    figures::tell(&format!("{what}: the right verdict everywhere"), &noticed);
    figures::expect(&format!("{what}: one cluster again"), &healed, HEALED);
}

#[test]
fn one_that_hears_nobody() {
    play_single(
        "one hears nobody",
        &Cut::one_way(&(1..=HOSTS), &(LAST..=LAST)),
        "isolated",
    );
}

#[test]
fn one_that_nobody_hears() {
    play_single(
        "nobody hears one",
        &Cut::one_way(&(LAST..=LAST), &(1..=HOSTS)),
        "one-way",
    );
}

#[test]
fn a_half_that_does_not_hear_the_other() {
    let ground = Ground::new();
    let halves: [Hosts; 2] = [1..=6, 7..=12];
    // Whoever hears nothing can't tell it from a cut.
    let kinds = ["one-way", "cut"];
    let (mut noticed, mut healed) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        let marks = ground.mark();
        ground.network.cut(&Cut::one_way(&halves[0], &halves[1]));
        let began = Instant::now();
        let right = |seen: &Status, half: &Hosts, kind: &str| {
            let own = names(half.clone());
            let lost = names((1..=HOSTS).filter(|n| !half.contains(n)));
            let members = seen.running_nodes == own && seen.stopped_nodes == lost;
            let partition = seen.cluster.partition.as_ref();
            let partition = partition.filter(|partition| partition.kind == kind);
            let unreachable = partition.map(|partition| &partition.unreachable);
            let right = members && !seen.cluster.quorum && unreachable == Some(&lost);
            right.then_some(()).ok_or_else(|| format!("{seen:#?}"))
        };
        let all_right = || {
            halves.iter().zip(kinds).try_for_each(|(half, kind)| {
                ground
                    .on(half)
                    .try_for_each(|node| right(&node.status()?, half, kind))
            })
        };
        eventually("every node has the right verdict", PATIENCE, all_right);
        noticed.push(began.elapsed());
        let rest = lasting(20, 60).saturating_sub(began.elapsed());
        throughout("the verdicts stand while the cut lasts", rest, all_right);
        ground.network.mend();
        healed.push(ground.wait_until_one(Instant::now()));
        for (half, kind) in halves.iter().zip(kinds) {
            ground.expect_none_failed_among(half, &marks);
            ground.expect_healed(half, &marks, kind, 2);
        }
    }
    figures::tell(
        "one half deaf to the other: the right verdict everywhere",
        &noticed,
    );
    figures::expect(
        "one half deaf to the other: one cluster again",
        &healed,
        HEALED,
    );
}
