//! `convoke simulate` as scripts see it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn simulate(folder: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_convoke"))
        .arg("simulate")
        .args(line.split_whitespace())
        .env_clear()
        .current_dir(folder)
        .output()
        .expect("the program is built")
}

/// Stdout and stderr of a command that must end with this code.
fn expect(code: i32, line: &str) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let output = simulate(folder.path(), line);
    let [out, err] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
    assert_eq!(output.status.code(), Some(code), "{line}\n{out}\n{err}");
    (out, err)
}

#[test]
fn one_seed_gives_the_same_object_every_time_and_another_a_different_one() {
    let line = "crash --nodes 24 --seeds 3 --json";
    let (first, err) = expect(0, line);
    assert!(err.is_empty(), "no progress where nobody looks: {err}");
    assert_eq!(first, expect(0, line).0);
    let json: Value = serde_json::from_str(&first).expect("one object");
    for key in [
        "scenario",
        "protocol",
        "nodes",
        "seeds",
        "loss",
        "trace_hash",
    ] {
        assert!(!json[key].is_null(), "{key}");
    }
    let result = &json["result"];
    for key in [
        "known_by_all_ms",
        "first_suspected_ms",
        "first_failed_ms",
        "failed_everywhere_ms",
    ] {
        let [p50, p99, max] = ["p50", "p99", "max"].map(|of| result[key][of].as_f64());
        assert!(
            p50 > Some(0.0) && p50 <= p99 && p99 <= max,
            "{key}: {result}"
        );
    }
    assert!(result["healed_ms"]["max"].is_null());
    assert_eq!(
        (&result["false_failed_events"], &result["converged"]),
        (&0.into(), &true.into())
    );
    let other: Value =
        serde_json::from_str(&expect(0, &format!("{line} --first-seed 9")).0).expect("one object");
    assert_ne!(json["trace_hash"], other["trace_hash"]);
}

#[test]
fn what_is_set_is_what_is_simulated() {
    let failed = |set: &str| {
        let (out, _) = expect(0, &format!("crash --nodes 24 --json {set}"));
        let json: Value = serde_json::from_str(&out).expect("one object");
        json["result"]["failed_everywhere_ms"]["max"]
            .as_f64()
            .expect("a sample")
    };
    let slow = "--set suspicion_min=9s --set detector.suspicion_max=20s";
    assert!(failed(slow) > failed("") + 4000.0);
}

#[test]
fn a_plot_is_the_same_picture_every_time() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let draw = |name: &str| {
        let line = format!("mass-crash --nodes 24 --set share=0.2 --plot {name}");
        let output = simulate(folder.path(), &line);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        std::fs::read_to_string(folder.path().join(name)).expect("the plot is there")
    };
    let (first, second) = (draw("a.svg"), draw("b.svg"));
    assert!(first.starts_with("<svg") && first.trim_end().ends_with("</svg>"));
    assert!(!first.contains("NaN"));
    assert_eq!(first, second);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_would() {
    for (line, expected) in [
        ("", "SCENARIO"),
        ("crash", "--nodes"),
        ("fire --nodes 8", "restart-all"),
        ("crash --nodes 1", "2 to 100000"),
        (
            "crash --nodes 8 --seeds 0",
            "a number of seeds, 1 to 1000000",
        ),
        ("crash --nodes 8 --loss 5", "5%"),
        (
            "crash --nodes 8 --set suspicon_min=2s",
            "did you mean suspicion_min?",
        ),
        ("crash --nodes 8 --set suspicion_min=1ms", "out of range"),
        (
            "crash --nodes 8 --protocol swim --set suspicion_min=2s",
            "numbers of its own",
        ),
        ("partition --nodes 8 --set split=9", "9:1"),
        (
            "crash --nodes 8 --plot none/a.svg",
            "there is no folder none",
        ),
        ("crash --nodes 8 --plot a.png", ".svg"),
        ("crash --nodes 8 --node a", "does not take --node"),
    ] {
        let (out, err) = expect(2, line);
        assert!(out.is_empty() && err.contains(expected), "{line}: {err}");
        assert!(!err.contains("panicked"), "{line}: {err}");
    }
}
