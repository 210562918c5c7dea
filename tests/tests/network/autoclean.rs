//! Who is failed for long is forgotten, and comes back as a member.

use std::time::{Duration, Instant};

use convoke_tests::{Launch, eventually, throughout};

use crate::figures;
use crate::ground::{Ground, HOSTS, PATIENCE, lasting};

const AUTOCLEAN: Duration = Duration::from_secs(10);
/// Whoever failed is forgotten everywhere within this time of its death, as a rule …
const FORGOTTEN: Duration = Duration::from_secs(15);
/// … and a member everywhere within this time of its next start.
const BACK: Duration = Duration::from_secs(3);

/// Kills the last node, waits until all others have forgotten it, and for a while longer. Says how
/// long they took.
fn kill_until_forgotten(ground: &mut Ground) -> Duration {
    let (victim, others) = ground.nodes.split_last_mut().expect("twelve nodes");
    victim.kill();
    let killed = Instant::now();
    let forgotten = || {
        others.iter().try_for_each(|node| {
            let seen = node.status()?;
            let unknown = seen.state_of(&victim.name) == "unknown";
            unknown.then_some(()).ok_or_else(|| format!("{seen:#?}"))
        })
    };
    eventually("all have forgotten it", PATIENCE + AUTOCLEAN, forgotten);
    let took = killed.elapsed();
    let rest = lasting(20, 60).saturating_sub(killed.elapsed());
    throughout("nothing brings it back", rest, forgotten);
    took
}

/// Starts the last node again in this way: it must be a member by itself.
fn return_as(ground: &mut Ground, what: &str, change: impl FnOnce(Launch) -> Launch) {
    let victim = ground.nodes.last_mut().expect("twelve nodes");
    let began = Instant::now();
    victim.restart_as(change);
    let took = ground.wait_until_one(began);
    figures::expect(
        &format!("back after it was forgotten, {what}: a member everywhere"),
        &[took],
        BACK,
    );
}

#[test]
fn the_forgotten_come_back_with_any_clock() {
    let mut ground = Ground::start_as(|launch| launch.env("CONVOKE_CLUSTER_AUTOCLEAN", "10s"));
    let mut took = vec![kill_until_forgotten(&mut ground)];
    return_as(&mut ground, "same clock", |launch| launch);
    for (what, offset) in [("an hour behind", -3600), ("an hour ahead", 3600)] {
        took.push(kill_until_forgotten(&mut ground));
        return_as(&mut ground, what, |launch| launch.with_clock(offset));
        expect_offset(&ground, offset);
    }
    figures::expect(
        "autoclean of 10 s: forgotten everywhere, after the crash",
        &took,
        FORGOTTEN,
    );
    let marks = ground.mark();
    throughout("it stays", Duration::from_secs(10), || {
        let seen = ground.nodes[0].status()?;
        let all = seen.running_nodes.len() == usize::from(HOSTS);
        all.then_some(()).ok_or_else(|| format!("{seen:#?}"))
    });
    ground.expect_none_failed_among(&(1..=HOSTS), &marks);
}

/// The last node's clock is off indeed: by the times of its own events.
fn expect_offset(ground: &Ground, offset_secs: i64) {
    let victim = ground.nodes.last().expect("twelve nodes");
    // It may be a member before whoever follows its events has heard of any.
    let event = eventually("others joined since its start", PATIENCE, || {
        victim.events().pop().ok_or_else(|| victim.log())
    });
    let at: jiff::Timestamp = event.at.parse().expect("RFC 3339");
    let off = at.as_second() - jiff::Timestamp::now().as_second();
    assert!(
        (off - offset_secs).abs() < 300,
        "{off} s and not {offset_secs} s: {event:?}"
    );
}
