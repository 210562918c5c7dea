//! Death, sleep and return, in clusters of eight processes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use convoke_tests::{Fleet, Node, eventually, throughout};

const SIX_SECONDS: Duration = Duration::from_secs(6);

fn all_but_last(members: &[Node]) -> &[Node] {
    &members[..members.len() - 1]
}

/// Asserts it on the observers' whole history.
#[track_caller]
fn expect_nobody_failed(observers: &[Node], members: &[Node]) {
    for observer in observers {
        let mut failed = observer.events();
        failed.retain(|event| event.event == "member_failed");
        failed.retain(|event| {
            members
                .iter()
                .any(|member| event.node.as_ref() == Some(&member.name))
        });
        assert!(failed.is_empty(), "{} saw {failed:?}", observer.name);
    }
}

#[test]
fn a_killed_process_is_failed_in_the_eyes_of_all_seven_others_within_six_seconds() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(8);
    let victim = members[7].name.clone();
    members[7].kill();
    let killed = Instant::now();
    for other in all_but_last(&members) {
        other.wait_for_state(
            &victim,
            "failed",
            SIX_SECONDS.saturating_sub(killed.elapsed()),
        );
    }
    for other in all_but_last(&members) {
        let seen = other.view();
        assert_eq!(seen.stopped_nodes, [victim.as_str()]);
        assert_eq!(seen.running_nodes.len(), 7);
        assert!(
            seen.cluster.quorum && seen.cluster.partition.is_none(),
            "a failure, no partition: {seen:#?}"
        );
    }
    eventually("the survivors agree", SIX_SECONDS, || {
        let prints = all_but_last(&members)
            .iter()
            .map(|m| m.status().map(|s| s.cluster.fingerprint));
        let prints = prints.collect::<Result<BTreeSet<_>, _>>()?;
        if prints.len() == 1 {
            Ok(())
        } else {
            Err(format!("{prints:?}"))
        }
    });
    expect_nobody_failed(all_but_last(&members), all_but_last(&members));
}

#[test]
fn a_pause_of_two_seconds_is_no_failure() {
    let fleet = Fleet::new();
    let members = fleet.start_cluster(8);
    members[7].freeze();
    throughout(
        "nobody shows the frozen one as failed",
        Duration::from_secs(2),
        || {
            for other in all_but_last(&members) {
                let seen = other.status()?;
                if !seen.stopped_nodes.is_empty() {
                    return Err(format!("{seen:#?}"));
                }
            }
            Ok(())
        },
    );
    members[7].thaw();
    // A suspicion that the pause raised would end, at the latest, within its maximum.
    throughout("nor afterwards", Duration::from_secs(13), || {
        for other in all_but_last(&members) {
            let seen = other.status()?;
            if !seen.stopped_nodes.is_empty() {
                return Err(format!("{seen:#?}"));
            }
        }
        Ok(())
    });
    Node::wait_until_one(&members.iter().collect::<Vec<_>>());
    expect_nobody_failed(&members, &members);
}

#[test]
fn a_pause_of_twenty_seconds_is_a_failure_that_mends_itself() {
    let fleet = Fleet::new();
    let members = fleet.start_cluster(8);
    let sleeper = &members[7];
    sleeper.freeze();
    let frozen = Instant::now();
    for other in all_but_last(&members) {
        other.wait_for_state(&sleeper.name, "failed", Duration::from_secs(10));
    }
    throughout(
        "it stays failed until it wakes",
        Duration::from_secs(20).saturating_sub(frozen.elapsed()),
        || {
            let seen = members[0].status()?;
            if seen.state_of(&sleeper.name) == "failed" {
                Ok(())
            } else {
                Err(format!("{seen:#?}"))
            }
        },
    );
    sleeper.thaw();
    let woken = Instant::now();
    for other in all_but_last(&members) {
        other.wait_for_state(
            &sleeper.name,
            "alive",
            Duration::from_secs(3).saturating_sub(woken.elapsed()),
        );
    }
    Node::wait_until_one(&members.iter().collect::<Vec<_>>());
    // The one that slept must not have taken its own sleep for the death of all others.
    expect_nobody_failed(&members, all_but_last(&members));
}

#[test]
fn a_killed_process_that_starts_again_at_once_is_back_with_no_command() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(8);
    let name = members[7].name.clone();
    let before = members[0]
        .view()
        .member(&name)
        .expect("a member")
        .incarnation;
    members[7].kill();
    members[7].restart();
    eventually(
        "it is back with a higher incarnation everywhere",
        Duration::from_secs(10),
        || {
            for member in &members {
                let seen = member.status()?;
                let back = seen
                    .member(&name)
                    .is_some_and(|m| m.incarnation > before && m.state == "alive");
                if !back || seen.running_nodes.len() != 8 {
                    return Err(format!("{seen:#?}"));
                }
            }
            Ok(())
        },
    );
    Node::wait_until_one(&members.iter().collect::<Vec<_>>());
}

#[test]
fn a_fleet_that_is_killed_whole_comes_back_whole() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(4);
    let cluster = members[0].view().cluster.id;
    for member in &mut members {
        member.kill();
    }
    for member in &mut members {
        member.restart();
    }
    Node::wait_until_one_within(&members.iter().collect::<Vec<_>>(), Duration::from_secs(30));
    assert_eq!(members[0].view().cluster.id, cluster);
}
