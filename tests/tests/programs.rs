//! The programs that come with the project run to their end.

use std::process::Command;
use std::time::Duration;

use convoke_tests::{Fleet, run_within};

#[test]
fn the_demo_of_eight_nodes_goes_as_it_must() {
    let fleet = Fleet::new();
    let demo = run_within(
        &mut fleet.command(&["demo", "--nodes", "8"]),
        Duration::from_secs(90),
    );
    demo.expect_code(0).expect_complaint(&[]);
    for step in [
        "join",
        "leave",
        "crash",
        "rejoin",
        "cut",
        "heal",
        "force-leave",
    ] {
        assert!(
            demo.stdout.to_lowercase().contains(step),
            "no {step}: {demo:#?}"
        );
    }
}

#[test]
fn the_chaos_campaign_says_what_it_came_to_and_replays_a_seed() {
    let campaign = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
        run_within(command.args(arguments), Duration::from_secs(60))
    };
    let summary = campaign(&["--seeds", "3", "--first-seed", "7"]);
    summary.expect_code(0).expect_complaint(&[]);
    assert!(
        summary
            .stdout
            .contains("3 seeds (7 to 9), 0 with violations"),
        "{summary:#?}"
    );
    let (one, two) = (campaign(&["--replay", "7"]), campaign(&["--replay", "7"]));
    one.expect_code(0);
    assert_eq!(one.stdout, two.stdout, "a seed is one run");
    assert!(one.stdout.contains("seed 7:"), "{one:#?}");
    assert!(!one.stdout.contains("Some("), "{one:#?}");
    for (wrong, words) in [
        (&["--seeds", "many"][..], "a number of seeds, 1 at least"),
        (&["--seeds", "0"], "a number of seeds, 1 at least"),
        (&["--jobs", "0"], "how many run at a time"),
        (&["--replay", "-1"], "expected a seed"),
        (&["--first-seed", "18446744073709551615"], "go beyond"),
        (&["seeds"], "unexpected argument"),
    ] {
        campaign(wrong).expect_code(2).expect_complaint(&[words]);
    }
}

#[test]
fn the_embedding_example_runs_to_its_end() {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "run",
        "--quiet",
        "--locked",
        "--package",
        "convoke",
        "--example",
        "embed",
    ]);
    let example = run_within(
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")),
        Duration::from_secs(300),
    );
    example.expect_code(0).expect_complaint(&[]);
    assert!(
        !example.stdout.trim().is_empty(),
        "it shows the members: {example:#?}"
    );
    let source = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../transport/examples/embed.rs"
    );
    let source = std::fs::read_to_string(source).expect("the example");
    assert!(source.lines().count() < 40, "under 40 lines");
}
