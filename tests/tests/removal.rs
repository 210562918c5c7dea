//! Removal by force-leave, in the cases that are more than one command on a healthy cluster: the
//! dead that come back, those who know of the removal restarted meanwhile, nobody there to hear it.

use std::time::Duration;

use convoke_tests::{Fleet, Node, eventually, throughout};

const SECONDS_10: Duration = Duration::from_secs(10);
/// The detector's bound for a silent crash, with the tests' machine under load.
const DETECTED: Duration = Duration::from_secs(10);

/// Kills the last of the members, and waits until the others have found it dead.
#[track_caller]
fn lose_the_last(members: &mut Vec<Node>) -> Node {
    let mut dead = members.pop().expect("a cluster has members");
    dead.kill();
    for member in members.iter() {
        member.wait_for_state(&dead.name, "failed", DETECTED);
    }
    dead
}

#[track_caller]
fn remove(by: &Node, name: &str) {
    by.convoke(&["cluster", "force-leave", name]).expect_code(0);
}

/// Waits until none of these shows a member of this name, and fails when one shows it later.
#[track_caller]
fn expect_gone(nodes: &[Node], name: &str) {
    let gone = || {
        for node in nodes {
            let seen = node.status()?;
            if seen.member(name).is_some() {
                return Err(format!("{seen:#?}"));
            }
        }
        Ok(())
    };
    eventually(&format!("{name} is gone"), SECONDS_10, gone);
    throughout("it stays out", Duration::from_secs(4), gone);
}

/// Waits until a node goes on alone, in another cluster than this one.
#[track_caller]
fn wait_until_apart(node: &Node, cluster: &str) {
    let what = format!(
        "{} learns that it was removed, and goes on alone",
        node.name
    );
    eventually(&what, SECONDS_10, || {
        let seen = node.status()?;
        let alone = seen.running_nodes == [node.name.as_str()] && seen.stopped_nodes.is_empty();
        if alone && seen.cluster.id != cluster {
            Ok(())
        } else {
            Err(format!("{seen:#?}"))
        }
    });
    assert!(
        node.log().contains("removed from its cluster"),
        "it is told why: {}",
        node.log()
    );
}

#[test]
fn one_that_comes_back_after_weeks_when_only_tombstones_are_left_of_it_learns_that_it_was_removed()
{
    let fleet = Fleet::new();
    let hasty = |n| fleet.launch(n).env("CONVOKE_CLUSTER_AUTOCLEAN", "2s");
    let mut members: Vec<Node> = (1..=4).map(|n| hasty(n).start()).collect();
    for node in &members[1..] {
        node.join(&members[0].name);
    }
    Node::wait_until_one(&members.iter().collect::<Vec<_>>());
    let cluster = members[0].view().cluster.id;
    let mut dead = lose_the_last(&mut members);
    remove(&members[1], &dead.name);

    // What the weeks bring: the time of autoclean passes, and every holder of the removal restarts,
    // one after the other, the one that was told to remove it first.
    expect_gone(&members, &dead.name);
    for n in [1, 0, 2] {
        members[n].kill();
        members[n].restart();
        Node::wait_until_one(&members.iter().collect::<Vec<_>>());
    }

    dead.restart();
    wait_until_apart(&dead, &cluster);
    expect_gone(&members, &dead.name);
    Node::wait_until_one(&members.iter().collect::<Vec<_>>());

    // Nor does its next start bring it back; a new join does.
    assert_eq!(dead.terminate().0, Some(0));
    dead.restart();
    expect_gone(&members, &dead.name);
    dead.join(&members[2].name);
    members.push(dead);
    Node::wait_until_one(&members.iter().collect::<Vec<_>>());
}

#[test]
fn a_removal_outlives_a_power_cut_that_follows_the_command_at_once() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(3);
    let cluster = members[0].view().cluster.id;
    let mut dead = lose_the_last(&mut members);
    remove(&members[0], &dead.name);
    members.iter_mut().for_each(Node::kill);
    // The one that was told alone: what it was told is on its disk when the command ends.
    members[0].restart();
    dead.restart();
    wait_until_apart(&dead, &cluster);
    members[1].restart();
    expect_gone(&members, &dead.name);
    Node::wait_until_one(&members.iter().collect::<Vec<_>>());
}

#[test]
fn one_that_was_removed_while_it_was_asleep_learns_it_when_it_wakes() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(4);
    let cluster = members[0].view().cluster.id;
    let sleeper = members.pop().expect("four members");
    sleeper.freeze();
    // It is held as alive still.
    remove(&members[2], &sleeper.name);
    let gone = || {
        members
            .iter()
            .all(|m| m.view().member(&sleeper.name).is_none())
    };
    eventually("it is removed everywhere", SECONDS_10, || {
        gone().then_some(()).ok_or_else(String::new)
    });
    sleeper.thaw();
    wait_until_apart(&sleeper, &cluster);
    expect_gone(&members, &sleeper.name);
}

/// A process of node 4's name at another address, on another machine, joins the cluster.
fn add_heir(fleet: &Fleet, members: &mut Vec<Node>) -> String {
    let elsewhere = fleet.address(30);
    let place = format!("{elsewhere}:4999");
    let heir = fleet
        .launch(4)
        .at_home_with_secret("heir")
        .env("CONVOKE_NODE_LISTEN", &place)
        .env("CONVOKE_NODE_RPC_LISTEN", format!("{elsewhere}:5999"))
        .start();
    heir.join(&members[1].name);
    members.push(heir);
    Node::wait_until_one(&members.iter().collect::<Vec<_>>());
    place
}

#[track_caller]
fn expect_heir_stays(members: &[Node], place: &str, cluster: &str) {
    let heir = members.last().expect("it is a member");
    throughout("the heir keeps the name", Duration::from_secs(4), || {
        for member in members {
            let seen = member.status()?;
            let held = seen.member(&heir.name).filter(|held| held.state == "alive");
            if held.is_none_or(|held| held.address != place) || seen.cluster.id != cluster {
                return Err(format!("{seen:#?}"));
            }
        }
        Ok(())
    });
}

#[test]
fn a_removed_name_that_joined_anew_elsewhere_is_not_given_back_to_the_dead() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(4);
    let cluster = members[0].view().cluster.id;
    let mut dead = lose_the_last(&mut members);
    remove(&members[0], &dead.name);
    let place = add_heir(&fleet, &mut members);
    dead.restart();
    wait_until_apart(&dead, &cluster);
    expect_heir_stays(&members, &place, &cluster);
}

#[test]
fn a_removed_name_that_joined_anew_elsewhere_is_not_given_back_to_the_sleeper() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(4);
    let cluster = members[0].view().cluster.id;
    let sleeper = members.pop().expect("four members");
    sleeper.freeze();
    remove(&members[0], &sleeper.name);
    let place = add_heir(&fleet, &mut members);
    sleeper.thaw();
    wait_until_apart(&sleeper, &cluster);
    expect_heir_stays(&members, &place, &cluster);
}

#[test]
fn a_removal_that_nobody_could_hear_says_so_and_is_told_to_whoever_comes() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(3);
    let cluster = members[0].view().cluster.id;
    // A goodbye has a node write down whom it knew.
    for member in &mut members[..2] {
        assert_eq!(member.terminate().0, Some(0));
    }
    members[2].kill();
    members[0].restart();
    let (missing, rest) = (members[2].name.clone(), members[1].name.clone());
    let removed = members[0].convoke(&["cluster", "force-leave", &missing]);
    removed.expect_code(0);
    assert!(
        removed
            .stdout
            .contains("Remove the node from cluster successfully.")
            && removed.stdout.contains("nobody else"),
        "{removed:#?}"
    );

    members[1].restart();
    members[0].wait_for_state(&rest, "alive", SECONDS_10);
    Node::wait_until_one(&[&members[0], &members[1]]);
    eventually(
        "the first one that came has heard of it",
        SECONDS_10,
        || {
            let told = members[1].convoke(&["why", &missing]);
            let heard = told.stdout.contains("heard that it was removed");
            heard.then_some(()).ok_or_else(|| format!("{told:#?}"))
        },
    );
    // The one that was told is gone; the other one knows.
    members[0].kill();
    members[2].restart();
    wait_until_apart(&members[2], &cluster);
    expect_gone(&members[1..2], &missing);
}

#[test]
fn a_removal_and_a_goodbye_right_after_it_reach_the_others_both() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(4);
    let cluster = members[0].view().cluster.id;
    let mut dead = lose_the_last(&mut members);
    let remover = members.pop().expect("three members");
    remove(&remover, &dead.name);
    remover.convoke(&["cluster", "leave"]).expect_code(0);
    expect_gone(&members, &dead.name);
    for member in &members {
        member.wait_for_state(&remover.name, "left", SECONDS_10);
    }
    dead.restart();
    wait_until_apart(&dead, &cluster);
    expect_gone(&members, &dead.name);
}
