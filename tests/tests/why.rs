//! `convoke why`: the account of a member's end, asked of a node that need not have seen it itself.

use std::time::Duration;

use convoke_tests::{Fleet, Node, eventually};
use serde_json::Value;

/// The detector's bound for a silent crash, with the tests' machine under load.
const DETECTED: Duration = Duration::from_secs(10);

fn account(of: &str, by: &Node) -> Value {
    let run = by.convoke(&["why", of, "--json"]);
    run.expect_code(0);
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"))
}

fn texts<'a>(values: &'a Value, key: &str) -> Vec<&'a str> {
    let values = values.as_array().expect("a list");
    values
        .iter()
        .filter_map(|value| value[key].as_str())
        .collect()
}

/// The findings of a kind.
fn of_kind<'a>(account: &'a Value, kind: &str) -> Vec<&'a Value> {
    let findings = account["findings"].as_array().expect("a list");
    findings
        .iter()
        .filter(|found| found["finding"] == kind)
        .collect()
}

#[test]
fn a_killed_node_is_accounted_for_from_the_accusation_to_the_verdict() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(6);
    let mut dead = members.pop().expect("six members");
    let mut names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    names.sort_unstable();
    dead.kill();
    for member in &members {
        member.wait_for_state(&dead.name, "failed", DETECTED);
    }

    for asked in &members {
        let told = account(&dead.name, asked);
        assert_eq!(told["member"]["state"], "failed");
        let mut witnesses = texts(&told["asked"], "name");
        assert_eq!(witnesses[0], asked.name);
        witnesses.sort_unstable();
        assert_eq!(witnesses, names, "all are asked, the dead one is not");
        assert_eq!(texts(&told["asked"], "error"), [""; 0]);
        assert!(texts(&told["findings"], "at").is_sorted(), "{told:#}");

        // Somebody probed it, and every accuser whom a verdict names has said how it found out.
        let accusers = of_kind(&told, "silent");
        assert!(accusers.iter().any(|one| one["way"] == "probe"), "{told:#}");
        let accusers: Vec<&str> = accusers
            .iter()
            .filter_map(|one| one["node"].as_str())
            .collect();
        let verdicts = of_kind(&told, "convicted");
        assert!(!verdicts.is_empty(), "{told:#}");
        for verdict in verdicts {
            let named = verdict["accusers"].as_array().expect("a list");
            assert!(!named.is_empty(), "{told:#}");
            let known = |name: &Value| accusers.contains(&name.as_str().expect("a name"));
            assert!(named.iter().all(known), "{told:#}");
        }
    }

    let words = members[0].convoke(&["why", &dead.name]);
    words.expect_code(0);
    let first = format!("{} is failed since ", dead.name);
    assert!(words.stdout.starts_with(&first), "{words:#?}");
    for said in [
        "accuses it: no answer to a datagram and to a stream",
        "found it failed: accused by",
    ] {
        assert!(words.stdout.contains(said), "no {said:?} in {words:#?}");
    }

    // What is no member any more is accounted for as well, as long as somebody remembers.
    members[1]
        .convoke(&["cluster", "force-leave", &dead.name])
        .expect_code(0);
    eventually("the others know of the removal", DETECTED, || {
        let told = account(&dead.name, &members[0]);
        let removed = of_kind(&told, "removed").len();
        (told["member"].is_null() && removed == members.len())
            .then_some(())
            .ok_or_else(|| format!("{told:#}"))
    });
    let words = members[0].convoke(&["why", &dead.name]);
    let first = format!("{} is not in the cluster.", dead.name);
    assert!(words.stdout.starts_with(&first), "{words:#?}");
    assert!(words.stdout.contains("was told to remove it"), "{words:#?}");
}

#[test]
fn a_node_that_was_accused_and_lives_says_so_itself() {
    let fleet = Fleet::new();
    let members = fleet.start_cluster(4);
    let name = &members[3].name;
    members[3].freeze();
    members[0].wait_for_state(name, "suspect", DETECTED);
    members[3].thaw();
    eventually("the accused has answered", DETECTED, || {
        let told = account(name, &members[0]);
        let denied = of_kind(&told, "denied");
        let denied = denied.iter().any(|one| one["node"] == name.as_str());
        let cleared = ["refuted", "answered_late", "returned"]
            .iter()
            .any(|kind| !of_kind(&told, kind).is_empty());
        let done = told["member"]["state"] == "alive" && denied && cleared;
        done.then_some(()).ok_or_else(|| format!("{told:#}"))
    });
}

#[test]
fn of_a_name_that_nobody_knows_there_is_no_account() {
    let fleet = Fleet::new();
    let members = fleet.start_cluster(2);
    let unknown = fleet.name(77);
    members[0]
        .convoke(&["why", &unknown])
        .expect_code(1)
        .expect_complaint(&["not in the cluster", &unknown]);
    let quiet = members[0].convoke(&["why", &members[1].name]);
    quiet.expect_code(0);
    assert!(quiet.stdout.contains("Nothing was found"), "{quiet:#?}");
    fleet
        .convoke(&["--node", &unknown, "why", &members[0].name])
        .expect_code(3);
}
