use std::time::Duration;

use super::super::report::{Cut, Params};
use super::*;
use crate::config::Config;

fn setup(scenario: Scenario, nodes: usize, params: Params) -> Setup {
    Setup {
        scenario,
        protocol: Contender::Convoke,
        nodes,
        loss: 0.0,
        net: Net::Lan,
        config: Config::lan(),
        params,
    }
}

fn played(setup: &Setup) -> Run {
    run(setup, 1, &mut |_| {})
}

/// Disturbed for so long.
fn lasting(seconds: u64) -> Params {
    Params {
        duration: Some(Duration::from_secs(seconds)),
        ..Params::default()
    }
}

#[test]
fn a_loss_of_nothing_loses_nothing() {
    let lossless = setup(Scenario::Loss, 8, lasting(20));
    let lossy = Setup {
        loss: 0.3,
        ..lossless.clone()
    };
    let run = played(&lossless);
    assert_eq!((run.suspicions, run.converged), (0, true));
    assert!(run.marks.iter().any(|(_, what)| what == "0 % loss"));
    assert_ne!(played(&lossy).trace, run.trace);
}

#[test]
fn what_lossy_links_lose_ends_with_the_partition() {
    let params = Params {
        cut: Some(Cut::Lossy),
        ..lasting(20)
    };
    let run = played(&setup(Scenario::Partition, 8, params));
    assert!(run.converged && run.healed.len() == 1, "{:?}", run.healed);
}

#[test]
fn a_suspicion_on_its_way_at_the_end_is_no_disagreement() {
    let lossy = |seed| {
        let setup = Setup {
            loss: 0.4,
            ..setup(Scenario::Crash, 32, Params::default())
        };
        run(&setup, seed, &mut |_| {})
    };
    let waited = |run: &Run| run.marks.iter().any(|(_, what)| what == "no loss");
    let runs: Vec<Run> = (1..=6).map(lossy).collect();
    assert!(runs.iter().any(waited), "else this shows nothing");
    for run in &runs {
        assert!(run.converged, "seed {}: {:?}", run.seed, run.differences);
        assert!(run.refutations <= run.suspicions);
    }
}

#[test]
fn the_last_survivor_judges_in_the_end() {
    let params = Params {
        share: Some(0.99),
        ..Params::default()
    };
    let run = played(&setup(Scenario::MassCrash, 4, params));
    assert!(run.converged && run.missed == 0, "{:?}", run.differences);
    assert!(run.marks.iter().any(|(_, what)| what == "3 of 4 crash"));
}

#[test]
fn a_run_without_agreement_says_who_is_held_as_what() {
    let setup = Setup {
        protocol: Contender::Lifeguard,
        ..setup(Scenario::Partition, 8, lasting(60))
    };
    let run = played(&setup);
    assert!(!run.converged && run.healed.is_empty() && run.missed == 1);
    assert!(
        run.differences[0].contains("which runs, is held"),
        "{:?}",
        run.differences
    );
}

#[test]
fn the_load_of_a_short_run_is_all_in_its_bins() {
    let run = played(&setup(Scenario::JoinStorm, 8, Params::default()));
    let sent: u64 = run.load.bins.iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(sent, run.bytes);
    assert_eq!(run.load.length(), run.measured);
}
