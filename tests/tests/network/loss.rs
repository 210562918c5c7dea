//! A network that loses packets, for a while.

use std::time::{Duration, Instant};

use convoke_tests::throughout;

use crate::ground::{Ground, HOSTS, lasting};

/// A suspicion that the loss raised ends within its maximum, 12 s.
const AFTERMATH: Duration = Duration::from_secs(13);

fn fails_nobody(percent: u8) {
    let ground = Ground::new();
    let marks = ground.mark();
    let nobody_fails = || {
        ground.nodes.iter().try_for_each(|node| {
            let seen = node.status()?;
            let none = seen.stopped_nodes.is_empty();
            none.then_some(()).ok_or_else(|| format!("{seen:#?}"))
        })
    };
    ground.network.lose(percent);
    throughout("nobody is failed", lasting(30, 60), nobody_fails);
    ground.network.lose(0);
    throughout("nor afterwards", AFTERMATH, nobody_fails);
    assert!(ground.network.dropped() > 100, "the loss was real");
    ground.wait_until_one(Instant::now());
    ground.expect_none_failed_among(&(1..=HOSTS), &marks);
}

#[test]
fn twenty_percent_of_loss_fail_nobody() {
    fails_nobody(20);
}

#[test]
fn thirty_percent_of_loss_fail_nobody() {
    fails_nobody(30);
}
