//! The chaos itself is tested: schedules are drawn and made smaller as they should be, and each
//! thing that must hold at the end is broken on purpose, and noticed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::minimise::minimise_by;
use super::storm::Storm;
use super::*;
use crate::output::Signal;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn schedule(steps: impl Into<Vec<(Duration, Step)>>) -> Schedule {
    Schedule {
        seed: 1,
        nodes: 6,
        forgets_after: s(300),
        steps: steps.into(),
    }
}

/// A calm cluster, as it is before it is judged.
fn calm() -> Storm {
    let schedule = schedule([]);
    let mut storm = Storm::new(&schedule, schedule.config());
    storm.begin();
    storm
}

fn broken(storm: &Storm) -> BTreeSet<Invariant> {
    let violations = storm.world.checked.violations.iter();
    violations.map(|violation| violation.invariant).collect()
}

/// The halves of a cluster of six.
fn halves() -> Vec<Vec<usize>> {
    vec![vec![0, 1, 2], vec![3, 4, 5]]
}

// ---- schedules ----

#[test]
fn a_seed_is_one_schedule_and_one_run() {
    let schedule = Schedule::draw(7);
    assert_eq!(schedule, Schedule::draw(7));
    assert_ne!(schedule, Schedule::draw(8));
    let (one, other) = (run(&schedule), run(&schedule));
    assert_eq!((one.trace, one.story), (other.trace, other.story));
}

#[test]
fn every_fault_is_drawn_and_most_steps_make_sense() {
    let (mut kinds, mut steps, mut applied) = (BTreeSet::new(), 0, 0);
    for seed in 0..60 {
        let schedule = Schedule::draw(seed);
        steps += schedule.steps.len();
        applied += run(&schedule).applied;
        for (_, step) in schedule.steps {
            let kind = format!("{step:?}");
            kinds.insert(kind.split([' ', '(']).next().unwrap_or_default().to_owned());
        }
    }
    let all = [
        "Backlog",
        "Bandwidth",
        "Block",
        "Crash",
        "Cut",
        "CutDatagrams",
        "CutLink",
        "CutOneWay",
        "CutPair",
        "Drift",
        "ForceLeave",
        "Freeze",
        "HoldUp",
        "HostBandwidth",
        "HostLoss",
        "Join",
        "Jump",
        "Kill",
        "Leave",
        "Loss",
        "Mend",
        "Quicken",
        "Repeat",
        "Resume",
        "Shutdown",
        "Slow",
        "Socket",
        "Start",
        "Suspend",
        "Travel",
    ];
    assert!(kinds.iter().eq(all.iter()), "{kinds:?}");
    assert!(applied * 3 > steps * 2, "{applied} of {steps} steps");
}

#[test]
fn a_schedule_without_some_of_its_steps_keeps_the_times_of_the_others() {
    let crash = |node| (s(1), Step::Crash(node));
    let whole = schedule([crash(0), crash(1), crash(2), crash(3)]);
    let part = whole.without(|step| step == 0 || step == 2);
    let (two, one) = ((s(2), Step::Crash(1)), (s(2), Step::Crash(3)));
    assert_eq!(part.steps, [two, one]);
}

#[test]
fn a_step_that_makes_no_sense_is_skipped() {
    let steps = [
        Step::Resume(1),
        Step::Crash(1),
        Step::Crash(1),
        Step::Leave(1),
        Step::Freeze(1),
        Step::Join { node: 7, by: 1 },
        Step::ForceLeave { node: 2, by: 1 },
        Step::Start {
            node: 9,
            place: Place::Same,
            forgets: false,
            clock: None,
        },
        Step::Mend,
    ];
    let outcome = run(&schedule(steps.map(|step| (s(1), step))));
    assert_eq!((outcome.applied, outcome.violations), (2, Vec::new()));
}

// ---- making smaller ----

#[test]
fn a_schedule_is_made_as_small_as_what_it_breaks_needs() {
    let needed = [Step::Crash(3), Step::Leave(5)];
    let breaks = |schedule: &Schedule| {
        let has = |step| schedule.steps.iter().any(|(_, other)| other == step);
        let violation = Violation {
            invariant: Invariant::NothingPanics,
            at: crate::Instant::ORIGIN,
            what: String::new(),
        };
        Outcome {
            violations: Vec::from_iter(needed.iter().all(has).then_some(violation)),
            ..Outcome::default()
        }
    };
    let mut steps: Vec<_> = (0..40).map(|_| (s(1), Step::Mend)).collect();
    steps[7].1 = needed[0].clone();
    steps[31].1 = needed[1].clone();
    let minimised = minimise_by(&schedule(steps), breaks).expect("it breaks something");
    let times = [s(8), s(24)];
    let expected: Vec<_> = times.into_iter().zip(needed.clone()).collect();
    assert_eq!(minimised.schedule.steps, expected);
    assert!(minimised.runs < 60, "{} runs", minimised.runs);
    assert!(minimise_by(&schedule([]), breaks).is_none());
}

// ---- judging ----

#[test]
fn a_calm_cluster_breaks_nothing() {
    let outcome = run(&schedule([]));
    assert_eq!(outcome.violations, []);
    assert_eq!(outcome.converged_after, Some(Duration::ZERO));
}

#[test]
fn those_who_do_not_find_together_are_noticed() {
    let schedule = schedule([]);
    let expect_less = |storm: &mut Storm| {
        storm.inside.remove(&3);
    };
    let outcome = run_with(&schedule, schedule.config(), expect_less);
    let invariant = outcome.violations[0].invariant;
    assert_eq!(invariant, Invariant::TheyFindTogether, "{}", outcome.story);
}

#[test]
fn the_healthy_who_stay_out_are_noticed() {
    let schedule = schedule([(s(0), Step::Cut(halves())), (s(40), Step::Mend)]);
    let config = Config {
        autoheal: false,
        ..schedule.config()
    };
    let outcome = run_with(&schedule, config, |_| {});
    let invariant = outcome.violations[0].invariant;
    assert_eq!(invariant, Invariant::TheHealthyStayIn, "{}", outcome.story);
    assert_eq!(run(&schedule).violations, [], "healing is what brings them");
}

#[test]
fn those_who_fall_apart_again_are_noticed() {
    let schedule = schedule([]);
    let cut = |storm: &mut Storm| storm.world.network.cut_into(&halves());
    let outcome = run_with(&schedule, schedule.config(), cut);
    let broken: BTreeSet<_> = outcome.violations.iter().map(|v| v.invariant).collect();
    assert!(broken.contains(&Invariant::TheyStayTogether), "{broken:?}");
}

#[test]
fn those_who_have_something_left_to_say_are_noticed() {
    let mut storm = calm();
    let tags = [("a".to_owned(), "b".to_owned())].into();
    let told = storm
        .world
        .tell(2, |engine, now| engine.set_tags(now, tags));
    told.expect("the tags fit");
    storm.judge_node(2);
    assert_eq!(broken(&storm), [Invariant::TheyComeToRest].into());
}

#[test]
fn one_who_is_removed_by_mistake_is_noticed() {
    let mut storm = calm();
    let name = storm.world.nodes[3].name.clone();
    let done = storm
        .world
        .tell(0, |engine, now| engine.force_leave(now, &name));
    done.expect("it is a member");
    storm.pass(s(5));
    storm.judge_node(3);
    assert_eq!(broken(&storm), [Invariant::NobodyIsEvicted].into());
}

#[test]
fn one_who_is_out_and_not_alone_is_noticed() {
    let mut storm = calm();
    storm.inside.remove(&3);
    storm.judge_node(3);
    assert_eq!(broken(&storm), [Invariant::TheGoneStayAway].into());
}

#[test]
fn a_command_that_does_not_end_is_noticed() {
    let mut storm = calm();
    storm.inside.remove(&3);
    storm.note_joining(3, 0);
    storm.pass(s(40));
    assert_eq!(broken(&storm), [Invariant::CommandsEnd].into());
}

#[test]
fn a_command_that_did_not_do_what_it_says_is_noticed() {
    let mut storm = calm();
    storm.apply(&Step::Leave(3));
    storm.note_joining(3, 0);
    let ended = Signal::JoinEnded(Ok(()));
    storm.world.nodes[3].signals.push((storm.world.now, ended));
    storm.pass(s(1));
    assert_eq!(broken(&storm), [Invariant::CommandsEnd].into());
}

#[test]
fn a_panic_is_noticed_and_told() {
    let schedule = schedule([]);
    let outcome = run_with(&schedule, schedule.config(), |_| panic!("on purpose"));
    assert_eq!(outcome.violations[0].invariant, Invariant::NothingPanics);
    assert_eq!(outcome.violations[0].what, "on purpose");
}
