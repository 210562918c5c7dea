//! Each peer in small: its nodes join, one says goodbye, one falls silent, and all others know.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_convergence"))
        .args(["--nodes", "4", "--quick", "--rounds", "1"])
        .args(["--json", "report.json", "--html", "report.html"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("it was built with this test")
}

/// Where the system lets nobody make namespaces, or lacks a program, that is what it must say.
fn says_what_is_missing(output: &Output) -> bool {
    let complaint = String::from_utf8_lossy(&output.stderr);
    let missing = ["no network of its own can be made", "(install "];
    output.status.code() == Some(1) && missing.iter().any(|words| complaint.contains(words))
}

fn tells(subject: &str, figures: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let wanted = figures.join(",");
    let output = bench(
        folder.path(),
        &["--subjects", subject, "--figures", &wanted],
    );
    if says_what_is_missing(&output) {
        return;
    }
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(folder.path().join("report.json")).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let entries = report["entries"].as_array().expect("a list");
    assert_eq!(entries.len(), figures.len(), "{report:#}");
    for (entry, figure) in entries.iter().zip(figures) {
        assert_eq!(
            (&entry["engine"], &entry["figure"]),
            (&subject.into(), &(*figure).into())
        );
        assert!(entry["rounds"][0]["Ok"].is_object(), "{entry:#}");
        // Every ordered pair; or everybody who stays, of the one that is gone.
        let pairs = match *figure {
            "join" => 12,
            "idle" => 0,
            _ => 3,
        };
        let (samples, never) = (&entry["pairs"]["samples"], &entry["pairs"]["never"]);
        let all = samples == &Value::from(pairs) && never == &Value::from(0);
        assert!(all || *figure == "idle", "{entry:#}");
        if *figure == "idle" {
            costs_something(entry);
        }
    }
}

fn costs_something(entry: &Value) {
    for quantity in entry["summary"].as_array().expect("a list") {
        let (name, value) = (&quantity["quantity"], &quantity["median"]["is"]);
        if ["bytes", "packets", "memory"].iter().any(|is| name == is) {
            assert!(value.as_f64().expect("a number") > 0.0, "{quantity:#}");
        }
    }
}

#[test]
fn nodes_of_foca_know_who_joins_leaves_and_dies() {
    tells("foca", &["join", "idle", "leave", "crash"]);
}

#[test]
fn nodes_of_chitchat_know_who_joins_and_dies() {
    tells("chitchat", &["join", "idle", "crash"]);
}

#[test]
fn nodes_of_memberlist_over_quic_know_who_joins_leaves_and_dies() {
    tells("memberlist-quic", &["join", "idle", "leave", "crash"]);
}

#[test]
fn nodes_of_memberlist_over_tcp_know_who_joins_leaves_and_dies() {
    tells("memberlist-tcp", &["join", "idle", "leave", "crash"]);
}

#[test]
fn nodes_of_memberlist_in_go_know_who_joins_leaves_and_dies() {
    tells("go-memberlist", &["join", "idle", "leave", "crash"]);
}

#[test]
fn nodes_of_serf_know_who_joins_leaves_and_dies() {
    tells("serf", &["join", "idle", "leave", "crash"]);
}

#[test]
fn engines_stand_side_by_side_with_ratios() {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(
        folder.path(),
        &["--subjects", "foca,convoke", "--figures", "join"],
    );
    if says_what_is_missing(&output) {
        return;
    }
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("every pair up"))
        .collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(
        lines[0].contains("  convoke N=4 ") && !lines[0].contains('×'),
        "{text}"
    );
    assert!(
        lines[1].contains("  foca N=4 ") && lines[1].contains("×]"),
        "{text}"
    );
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("foca N=4") && page.contains("×]"), "{page}");
}
