//! Single links that carry nothing, and links that come and go.

use std::time::{Duration, Instant};

use convoke_tests::{Cut, Launch, Network, throughout};

use crate::figures;
use crate::ground::{Ground, HOSTS, Marks, lasting, long};

/// Asserts that nobody was suspected of anything anywhere since.
fn expect_no_suspicion(ground: &Ground, marks: &Marks) {
    for n in 1..=HOSTS {
        let events = ground.since(marks, n);
        assert!(events.is_empty(), "{} saw {events:?}", Network::name(n));
    }
}

/// Waits a second for an answer, so that a process that is slow on a machine that does much else
/// is not taken for one that is not reached. Where figures are wanted: as it ships.
fn unhurried(launch: Launch) -> Launch {
    if long() {
        return launch;
    }
    let launch = launch.env("CONVOKE_DETECTOR_PROBE_TIMEOUT_MIN", "1s");
    launch.env("CONVOKE_DETECTOR_PROBE_TIMEOUT_MAX", "1s")
}

fn suspects_nobody(ground: &Ground, cut: &Cut) {
    let marks = ground.mark();
    let dropped = ground.network.dropped();
    ground.network.cut(cut);
    throughout("all show all as alive", lasting(15, 60), || {
        ground.nodes.iter().try_for_each(|node| {
            let seen = node.status()?;
            let alive = seen.members.iter().filter(|member| member.state == "alive");
            let well = alive.count() == usize::from(HOSTS) && seen.cluster.partition.is_none();
            well.then_some(()).ok_or_else(|| format!("{seen:#?}"))
        })
    });
    assert!(ground.network.dropped() > dropped, "the cut was real");
    ground.network.mend();
    ground.wait_until_one(Instant::now());
    expect_no_suspicion(ground, &marks);
}

#[test]
fn a_single_pair_that_does_not_meet_makes_nobody_suspect() {
    let ground = Ground::start_as(unhurried);
    suspects_nobody(&ground, &Cut::between(&(1..=1), &(2..=2)));
    // Some observe each other, whatever their places on the rings.
    let pairs = (1..HOSTS).step_by(2);
    let pairs = pairs.map(|n| Cut::between(&(n..=n), &(n + 1..=n + 1)));
    let pairs = pairs.fold(Cut::default(), |all, pair| all.and(&pair));
    suspects_nobody(&ground, &pairs);
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
        if turn % 2 == 1 && began.elapsed() >= lasting(25, 115) {
            break;
        }
    }
    ground.network.mend();
    let took = ground.wait_until_one(Instant::now());
    figures::tell("after flapping: one cluster again", &[took]);
    for side in &sides {
        ground.expect_none_failed_among(side, &marks);
    }
}
