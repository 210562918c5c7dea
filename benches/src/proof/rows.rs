//! The criteria, each with its lines.

use std::ops::RangeInclusive;
use std::time::Duration;

use convoke_core::Config;
use convoke_core::config::Tuning;
use convoke_core::sim::report::{Anomaly, Cut, Params, Scenario};

use super::plan::{Case, Cells, Plan};
use super::reading::{self, Reading};
use super::scale::{Grid, Scale, Size};

/// The numbers of the criteria.
pub const ROWS: RangeInclusive<i64> = 1..=9;

/// Fast detection, as an operator asks for it.
const FAST: Duration = Duration::from_millis(2500);
/// Loss under which an ordinary network still works.
const LITTLE_LOSS: f64 = 0.05;

type Fill = fn(&mut Plan, &Scale);

/// Titles of the criteria, and what fills them.
const CRITERIA: [(u8, &str, Fill); 9] = [
    (1, "One member says goodbye", leave),
    (2, "One member dies without a word", crash),
    (3, "Many die at the same moment", mass_crash),
    (4, "Slow members: Lifeguard's grids", anomalies),
    (5, "Bad links", loss),
    (6, "The network falls apart, and is whole again", partition),
    (7, "Everybody at once", storm),
    (8, "At rest", steady),
    (
        9,
        "Across four regions, round trips of up to 290 ms",
        regions,
    ),
];

/// What a criterion is about.
pub(super) fn title(row: u8) -> &'static str {
    let found = CRITERIA.iter().find(|(number, ..)| *number == row);
    found.map_or("", |(_, title, _)| title)
}

/// Adds all criteria that are asked for.
pub(super) fn fill(plan: &mut Plan, scale: &Scale) {
    for (number, _, fill) in CRITERIA {
        if plan.request.rows.is_empty() || plan.request.rows.contains(&number) {
            fill(plan, scale);
        }
    }
}

fn leave(plan: &mut Plan, scale: &Scale) {
    let targets = ["≤ 15 ms", "≤ 20 ms", "≤ 30 ms"];
    let cells = scale.fleets.map(|size| {
        let case = Case::new("leave", Scenario::Leave, size);
        (size, plan.side_by_side(&case))
    });
    let what = "known by all";
    for ((size, cells), target) in cells.into_iter().zip(targets) {
        plan.line(1, what, size, cells, reading::known, target);
    }
    let lossy = Case {
        loss: LITTLE_LOSS,
        ..Case::new("leave, 5 % loss", Scenario::Leave, scale.lossy)
    };
    let what = "known by all at 5 % loss, 99th percentile";
    let lossy = plan.side_by_side(&lossy);
    plan.line(1, what, scale.lossy, lossy, reading::known_p99, "≤ 40 ms");
    for (size, cells) in cells {
        let what = "messages a node";
        plan.line(1, what, size, cells, reading::messages, "≤ 5");
    }
}

fn crash(plan: &mut Plan, scale: &Scale) {
    for size in scale.fleets {
        let cells = plan.side_by_side(&Case::new("crash", Scenario::Crash, size));
        let what = "failed everywhere";
        plan.line(2, what, size, cells, reading::failed, "≤ 5 s / < 7 s");
    }
    fast_detection(plan, scale);
}

/// The same with `detect_within`, and what that costs.
fn fast_detection(plan: &mut Plan, scale: &Scale) {
    let fast = |case: Case| Case {
        what: format!("{}, detect_within = 2.5 s", case.what),
        config: fast(),
        ..case
    };
    for size in scale.fleets {
        let cells = plan.convoke_alone(&fast(Case::new("crash", Scenario::Crash, size)));
        let what = "with `detect_within = 2.5s`: failed everywhere";
        plan.line(2, what, size, cells, reading::failed, "< 2.5 s");
    }
    let size = scale.fleets[0];
    let cells = plan.convoke_alone(&fast(Case::new("steady", Scenario::Steady, size)));
    let what = "its price: load of a node at rest";
    plan.line(2, what, size, cells, reading::bytes_per_s, "shown");
    let size = scale.losing;
    let losing = losing(scale, 5);
    let fast = plan.convoke_alone(&fast(losing.clone()));
    let what = "its price: suspicions in all, at 5 % loss";
    plan.line(2, what, size, fast, reading::suspicions, "shown");
    let what = "its price: false failures, at 5 % loss";
    plan.line(2, what, size, fast, reading::false_failures, "shown");
    let usual = plan.side_by_side(&losing);
    let what = "for comparison, as shipped: suspicions in all, at 5 % loss";
    plan.line(2, what, size, usual, reading::suspicions, "–");
}

fn fast() -> Config {
    let tuning = Tuning {
        detect_within: Some(FAST),
        ..Tuning::default()
    };
    let tuned = Config::lan().tuned(tuning);
    tuned.expect("2.5 s is more than the least that is possible on a LAN: a test asks for it")
}

fn mass_crash(plan: &mut Plan, scale: &Scale) {
    let targets = [
        (10, "< 10 s", "< 4 KB/s"),
        (30, "< 14 s", "< 6 KB/s"),
        (50, "< 16 s", "< 6 KB/s"),
    ];
    let cells = targets.map(|(percent, ..)| {
        let params = Params {
            share: Some(f64::from(percent) / 100.0),
            ..Params::default()
        };
        let what = format!("crash of {percent} %");
        let case = Case::new(what, Scenario::MassCrash, scale.dying);
        plan.side_by_side(&case.with(params))
    });
    for (cells, (percent, target, _)) in cells.into_iter().zip(targets) {
        let what = format!("{percent} % crash: all of them failed everywhere, max");
        plan.line(3, what, scale.dying, cells, reading::failed_last, target);
    }
    for (cells, (percent, _, target)) in cells.into_iter().zip(targets) {
        let what = format!("{percent} % crash: load of a node until then");
        plan.line(3, what, scale.dying, cells, reading::bytes_per_s, target);
    }
}

fn anomalies(plan: &mut Plan, scale: &Scale) {
    let kinds = [("I/O block", Anomaly::IoBlock), ("freeze", Anomaly::Freeze)];
    let cells = kinds.map(|(name, anomaly)| {
        let case = Case {
            params: grid(&scale.grid, anomaly),
            ..Case::new(name, Scenario::Anomalies, scale.slow)
        };
        (name, plan.side_by_side(&case))
    });
    for (name, cells) in cells {
        let what = format!(
            "{name}: healthy members declared failed (verdicts / those of healthy members / members)"
        );
        let reading = reading::false_failures_at_well;
        plan.line(4, what, scale.slow, cells, reading, "0");
    }
    for (name, cells) in cells {
        let what = format!("{name}: stops of 32 s failed everywhere");
        let target = "≤ 5 s / < 7 s";
        plan.line(4, what, scale.slow, cells, reading::failed, target);
    }
}

fn grid(grid: &Grid, anomaly: Anomaly) -> Vec<Params> {
    let mut cells = Vec::new();
    for &anomalous in grid.anomalous {
        for &stop in grid.stops_ms {
            for &run in grid.runs_ms {
                cells.push(Params {
                    anomalous: Some(anomalous),
                    stop: Some(Duration::from_millis(stop)),
                    run: Some(Duration::from_millis(run)),
                    anomaly: Some(anomaly),
                    ..Params::default()
                });
            }
        }
    }
    cells
}

fn loss(plan: &mut Plan, scale: &Scale) {
    for percent in [5, 10, 20, 30] {
        let minutes = scale.loss.as_secs() / 60;
        let what = format!("{percent} % loss for {minutes} minutes: false failures");
        let cells = plan.side_by_side(&losing(scale, percent));
        let reading = reading::false_failures;
        plan.line(5, what, scale.losing, cells, reading, "0");
    }
    let bad = [
        ("1 % of the nodes lose 80 %", Cut::Lossy),
        (
            "1 % of the nodes do not hear, by turns of 20 s",
            Cut::OneWay,
        ),
    ];
    for (name, cut) in bad {
        let case = Case::new(name, Scenario::Asymmetric, scale.unsteady);
        let cells = plan.side_by_side(&case.with(Params {
            cut: Some(cut),
            ..Params::default()
        }));
        let what = format!("{name}: false failures of the others");
        let reading = reading::false_failures;
        plan.line(5, what, scale.unsteady, cells, reading, "0");
    }
}

fn losing(scale: &Scale, percent: u32) -> Case {
    let what = format!("{percent} % loss");
    let case = Case::new(what, Scenario::Loss, scale.losing).with(Params {
        duration: Some(scale.loss),
        ..Params::default()
    });
    Case {
        loss: f64::from(percent) / 100.0,
        ..case
    }
}

fn partition(plan: &mut Plan, scale: &Scale) {
    let minute = Duration::from_secs(60);
    let size = scale.cut;
    for (name, split, cut) in cuts(size) {
        let cells = heal(plan, &format!("{name}, 60 s"), size, &split, cut, minute);
        if cut == Cut::Pairs {
            let what = format!("{name}, 60 s: false failures");
            plan.line(6, what, size, cells, reading::false_failures, "0");
        }
    }
    let large = scale.cut_large;
    for (name, split, cut) in cuts(large) {
        let name = format!("{name}, 60 s");
        if (&split[..], cut) == (&[1, 1], Cut::Both) {
            heal(plan, &name, large, &split, cut, minute);
        } else {
            heal_alone(plan, &name, large, &split, cut, minute);
        }
    }
    let (size, time) = (scale.cut_long, scale.long_cut);
    let minutes = time.as_secs() / 60;
    for (name, split, cut) in cuts(size) {
        let name = format!("{name}, {minutes} minutes");
        if (&split[..], cut) == (&[1, 1], Cut::Both) {
            heal(plan, &name, size, &split, cut, time);
        } else {
            heal_alone(plan, &name, size, &split, cut, time);
        }
    }
}

/// How a network falls apart.
fn cuts(size: Size) -> [(&'static str, Vec<u32>, Cut); 6] {
    let rest = u32::try_from(size.nodes - 2).expect("a cluster of some hundred");
    [
        ("halves", vec![1, 1], Cut::Both),
        ("90 % and 10 %", vec![9, 1], Cut::Both),
        ("two single nodes and the rest", vec![rest, 1, 1], Cut::Both),
        ("thirds", vec![1, 1, 1], Cut::Both),
        ("halves, one way", vec![1, 1], Cut::OneWay),
        ("single pairs of nodes", vec![1, 1], Cut::Pairs),
    ]
}

fn heal(plan: &mut Plan, name: &str, size: Size, split: &[u32], cut: Cut, time: Duration) -> Cells {
    let cells = plan.side_by_side(&healing(name, size, split, cut, time));
    healed(plan, name, size, cells);
    cells
}

/// Without the others, which take minutes of one core for each.
fn heal_alone(plan: &mut Plan, name: &str, size: Size, split: &[u32], cut: Cut, time: Duration) {
    let cells = plan.convoke_alone(&healing(name, size, split, cut, time));
    healed(plan, name, size, cells);
}

fn healing(name: &str, size: Size, split: &[u32], cut: Cut, time: Duration) -> Case {
    Case::new(name, Scenario::Partition, size).with(Params {
        duration: Some(time),
        split: Some(split.to_vec()),
        cut: Some(cut),
        ..Params::default()
    })
}

fn healed(plan: &mut Plan, name: &str, size: Size, cells: Cells) {
    let what = format!("{name}: until one cluster again");
    plan.line(6, what, size, cells, reading::healed, "≤ 1 s / ≤ 5 s");
}

fn storm(plan: &mut Plan, scale: &Scale) {
    let size = scale.storm;
    let costs = [
        ("with CPU costs", None, "< 2 s"),
        ("without CPU costs", Some(false), "< 1 s"),
    ];
    let cells = costs.map(|(name, cpu, target)| {
        let what = format!("all join one node, {name}");
        let case = Case::new(&what, Scenario::JoinStorm, size).with(Params {
            cpu,
            ..Params::default()
        });
        let cells = plan.side_by_side(&case);
        let what = format!("{what}: full views");
        plan.line(7, what, size, cells, reading::known, target);
        cells
    });
    let what = "all join one node: sent by the busiest node, max";
    plan.line(7, what, size, cells[0], reading::busiest, "≤ 5 MB");
    let cells = plan.side_by_side(&Case::new("all restart", Scenario::RestartAll, size));
    let what = "all restart within a second: full views, from the first one's end";
    plan.line(7, what, size, cells, reading::healed, "≤ 3 s");
}

fn steady(plan: &mut Plan, scale: &Scale) {
    let cells = scale.fleets.map(|size| {
        let case = Case::new("steady", Scenario::Steady, size);
        (size, plan.side_by_side(&case))
    });
    for (size, cells) in cells {
        let what = "bytes of a node, with all headers";
        plan.line(8, what, size, cells, reading::bytes_per_s, "≤ 260 B/s");
    }
    for (size, cells) in cells {
        let what = "messages of a node a second";
        plan.line(8, what, size, cells, reading::messages_per_s, "≤ 2.1");
    }
}

fn regions(plan: &mut Plan, scale: &Scale) {
    let size = scale.regions;
    let lines: [(&str, Scenario, Reading, &str); 3] = [
        (
            "a leave: known by all",
            Scenario::Leave,
            reading::known,
            "shown",
        ),
        (
            "a crash: failed everywhere",
            Scenario::Crash,
            reading::failed,
            "≤ 12.3 s / < 17 s",
        ),
        (
            "at rest: bytes of a node, with all headers",
            Scenario::Steady,
            reading::bytes_per_s,
            "≤ 260 B/s",
        ),
    ];
    for (what, scenario, reading, target) in lines {
        let case = Case::new(what, scenario, size).across_regions();
        let cells = plan.side_by_side(&case);
        plan.line(9, what, size, cells, reading, target);
    }
    let case = losing(scale, 2).across_regions();
    let cells = plan.side_by_side(&case);
    let minutes = scale.loss.as_secs() / 60;
    let what = format!("2 % loss for {minutes} minutes: false failures");
    let reading = reading::false_failures;
    plan.line(9, what, scale.losing, cells, reading, "0");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_criteria_are_numbered_in_order_and_titled() {
        let numbers: Vec<i64> = CRITERIA.iter().map(|(n, ..)| i64::from(*n)).collect();
        assert_eq!(numbers, ROWS.collect::<Vec<_>>());
        assert!(CRITERIA.iter().all(|(row, ..)| !title(*row).is_empty()));
    }

    #[test]
    fn fast_detection_is_possible() {
        let within = fast().detect_within();
        assert!(within <= FAST && within > FAST.mul_f64(0.95), "{within:?}");
    }
}
