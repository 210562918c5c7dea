//! Some members stop again and again, for a while each time: slow processes, the false alarms of
//! the field (Lifeguard §5).
//!
//! All anomalous members stop at the same moments, for D, and run for I in between, over two
//! minutes. A member is well if it is not among them; nobody may declare a well one failed.

use std::time::Duration;

use super::super::protocol::{Health, Protocol};
use super::super::report::Anomaly;
use super::super::world::World;
use super::stage::Stage;

/// For how long they stop and run, at least.
const LENGTH: Duration = Duration::from_secs(120);
/// How long the cluster may take to be whole again.
const RECOVERY: Duration = Duration::from_secs(60);
/// A stop that is this long is a failure, and the time until it is found is measured.
const LONG_STOP: Duration = Duration::from_secs(16);

/// The coarse grid: how many stop, for how long, and for how long they run in between.
const COUNTS: [usize; 3] = [4, 16, 32];
const STOPS_MS: [u64; 3] = [512, 8192, 32_768];
const RUNS_MS: [u64; 3] = [1, 64, 4096];

struct Cell {
    count: usize,
    stop: Duration,
    run: Duration,
}

pub(super) fn play<P: Protocol>(stage: &mut Stage<'_, P>) {
    let cells = cells(stage);
    let mut whole = true;
    let length = stage.params.duration.unwrap_or(LENGTH);
    stage.plan(length * 3 / 2);
    for (number, cell) in cells.iter().enumerate() {
        if number > 0 {
            stage.begin_anew();
        }
        whole &= stop_and_go(stage, cell, length);
    }
    stage.run.converged = whole;
}

/// The whole grid, narrowed by what is set.
fn cells<P: Protocol>(stage: &Stage<'_, P>) -> Vec<Cell> {
    let params = &stage.params;
    let most = stage.nodes.saturating_sub(1).max(1);
    let counts = params
        .anomalous
        .map_or(COUNTS.to_vec(), |count| vec![count]);
    let durations = |set: Option<Duration>, grid: [u64; 3]| {
        set.map_or(grid.map(Duration::from_millis).to_vec(), |set| vec![set])
    };
    let mut cells = Vec::new();
    for &count in &counts {
        for &stop in &durations(params.stop, STOPS_MS) {
            for &run in &durations(params.run, RUNS_MS) {
                let count = count.min(most);
                cells.push(Cell { count, stop, run });
            }
        }
    }
    cells
}

/// One cell; whether the cluster is whole after it.
fn stop_and_go<P: Protocol>(stage: &mut Stage<'_, P>, cell: &Cell, length: Duration) -> bool {
    stage.settle();
    stage.measure();
    let anomalous = stage.draw(cell.count);
    stage.world.ledger.unwell = anomalous.iter().copied().collect();
    stage.mark(format!(
        "{} stop for {:?}, run for {:?}",
        cell.count, cell.stop, cell.run
    ));
    let now = stage.world.now;
    if cell.stop >= LONG_STOP {
        for &number in &anomalous {
            stage.world.ledger.watch(number, Health::Failed, now);
        }
    }
    let end = now + length;
    let freeze = stage.params.anomaly == Some(Anomaly::Freeze);
    while stage.world.now < end {
        for &number in &anomalous {
            if freeze {
                stage.world.pause(number);
            } else {
                stage.world.block(number);
            }
        }
        stage.pass(cell.stop);
        anomalous.iter().for_each(|&n| stage.world.resume(n));
        stage.pass(cell.run);
    }
    note_detection(stage, &anomalous);
    stage.stop_measuring();
    let whole = stage.until(RECOVERY, World::is_converged);
    let whole = stage.conclude(&stage.world.running(), whole.is_some());
    stage.close_ledger();
    whole
}

/// How soon those who were well found the ones that stood still; of those that nobody found there
/// is no sample at all.
fn note_detection<P: Protocol>(stage: &mut Stage<'_, P>, anomalous: &[usize]) {
    let well = |n: &usize| !anomalous.contains(n);
    let well: Vec<_> = (0..stage.nodes).filter(well).collect();
    for &number in anomalous {
        let Some(watch) = stage.world.ledger.news_of(number) else {
            continue;
        };
        let mine = well.iter().filter_map(|o| watch.known.get(o));
        let Some(first) = mine.min() else {
            continue;
        };
        stage.run.first_suspected.extend(watch.suspected());
        stage.run.first_failed.push(first.since(watch.since));
        let everywhere = watch.known_by(well.iter().copied());
        stage.run.failed_everywhere.extend(everywhere);
    }
}
