//! The convergence bench in small, so that it measures when somebody needs it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_convergence"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("it was built with this test")
}

/// Where the system lets nobody make namespaces, or lacks nftables, that is what it must say.
fn says_what_is_missing(output: &Output) -> bool {
    let complaint = String::from_utf8_lossy(&output.stderr);
    let missing = ["no network of its own can be made", "(install "];
    output.status.code() == Some(1) && missing.iter().any(|words| complaint.contains(words))
}

#[test]
fn joins_rests_and_leaves_of_four_nodes_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--nodes",
        "4",
        "--figures",
        "join,idle,leave",
        "--quick",
        "--rounds",
        "1",
    ];
    let files = ["--json", "report.json", "--html", "report.html"];
    let output = bench(folder.path(), &[&arguments[..], &files[..]].concat());
    if says_what_is_missing(&output) {
        return;
    }
    assert!(output.status.success(), "{output:?}");
    let read = |file| std::fs::read_to_string(folder.path().join(file)).unwrap();
    let report: Value = serde_json::from_str(&read("report.json")).unwrap();
    let entries = report["entries"].as_array().unwrap();
    let figures: Vec<&str> = entries
        .iter()
        .filter_map(|e| e["figure"].as_str())
        .collect();
    assert_eq!(figures, ["join", "idle", "leave"]);
    for entry in entries {
        assert!(entry["rounds"][0]["Ok"].is_object(), "{entry:#}");
    }
    // Every ordered pair; and everybody who stays, of the one that left.
    for (entry, pairs) in [(0, 12), (2, 3)] {
        let measured = &entries[entry]["pairs"];
        assert_eq!(
            (&measured["samples"], &measured["never"]),
            (&pairs.into(), &0.into())
        );
        assert!(measured["max"].as_f64().unwrap() > 0.0, "{measured:#}");
    }
    for quantity in entries[1]["summary"].as_array().unwrap() {
        let (name, value) = (
            &quantity["quantity"],
            quantity["median"]["is"].as_f64().unwrap(),
        );
        let none = name == "false-failures" || name == "wrongly-failed";
        assert_eq!(value == 0.0, none, "{quantity:#}");
    }
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("12 pairs: p50 ") && text.contains("B/node/s "),
        "{text}"
    );
    let page = read("report.html");
    assert_eq!(page.matches("<svg ").count(), 2, "{page}");
}

#[cfg(not(feature = "peers"))]
#[test]
fn a_peer_that_is_not_in_the_build_is_said_to_need_its_feature() {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(folder.path(), &["--subjects", "convoke,foca"]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        complaint.contains("foca is not in this build"),
        "{complaint}"
    );
    assert!(complaint.contains("--features peers"), "{complaint}");
}

#[test]
fn without_the_program_to_kill_nothing_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(
        folder.path(),
        &["--figures", "kill", "--program", "no/such"],
    );
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(
        complaint.trim(),
        "no/such is not there: cargo build --release -p convoke-cli"
    );
}
