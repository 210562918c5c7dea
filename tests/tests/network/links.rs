//! Single links that carry nothing, and links that come and go.

use std::time::{Duration, Instant};

use convoke_tests::{Cut, Network, throughout};

use crate::figures;
use crate::ground::{Ground, HOSTS, lasting};

/// Asserts that nobody was suspected of anything anywhere since.
fn expect_no_suspicion(ground: &Ground, marks: &crate::ground::Marks) {
    for n in 1..=HOSTS {
        let mut events = ground.since(marks, n);
        events.retain(|event| !matches!(event.event.as_str(), "member_joined" | "tags_changed"));
        assert!(events.is_empty(), "{} saw {events:?}", Network::name(n));
    }
}

#[test]
fn a_single_pair_that_does_not_meet_makes_nobody_suspect() {
    let ground = Ground::new();
    let marks = ground.mark();
    ground.network.cut(&Cut::between(&(1..=1), &(2..=2)));
    let span = lasting(20, 60);
    throughout("all show all as alive", span, || {
        ground.nodes.iter().try_for_each(|node| {
            let seen = node.status()?;
            let alive = seen.members.iter().filter(|member| member.state == "alive");
            let well = alive.count() == usize::from(HOSTS) && seen.cluster.partition.is_none();
            well.then_some(()).ok_or_else(|| format!("{seen:#?}"))
        })
    });
    assert!(ground.network.dropped() > 0, "the cut was real");
    ground.network.mend();
    ground.wait_until_one(Instant::now());
    expect_no_suspicion(&ground, &marks);
}

#[test]
fn halves_that_come_and_go_every_five_seconds_end_as_one() {
    const PERIOD: Duration = Duration::from_secs(5);
    let ground = Ground::new();
    let marks = ground.mark();
    let sides = [1..=6, 7..=12];
    let began = Instant::now();
    for turn in 1.. {
        if turn % 2 == 1 {
            ground.network.cut(&Cut::sides(&sides));
        } else {
            ground.network.mend();
        }
        // The schedule itself, not luck: a turn lasts five seconds.
        std::thread::sleep((PERIOD * turn).saturating_sub(began.elapsed()));
        if turn % 2 == 0 && began.elapsed() >= lasting(30, 120) {
            break;
        }
    }
    let took = ground.wait_until_one(Instant::now());
    figures::tell(
        "after flapping: one cluster, 5 s into the network's return, after more",
        &[took],
    );
    for side in &sides {
        ground.expect_none_failed_among(side, &marks);
    }
}
