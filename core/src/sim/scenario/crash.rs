//! Members die without a word.

use std::time::Duration;

use super::super::protocol::{Health, Protocol};
use super::stage::Stage;

const LIMIT: Duration = Duration::from_secs(120);
/// The last one judges nobody for minutes: it may be itself that hears nobody.
const LIMIT_OF_THE_LAST: Duration = Duration::from_secs(300);
const ONE_IN: f64 = 0.1;

pub(super) fn one<P: Protocol>(stage: &mut Stage<'_, P>) {
    die(stage, 1);
}

pub(super) fn many<P: Protocol>(stage: &mut Stage<'_, P>) {
    let share = stage.params.share.unwrap_or(ONE_IN);
    let count = (stage.nodes as f64 * share).round() as usize;
    die(stage, count.clamp(1, stage.nodes - 1));
}

fn die<P: Protocol>(stage: &mut Stage<'_, P>, count: usize) {
    stage.plan(Duration::from_secs(40));
    stage.settle();
    // At any moment of the probes' round.
    let phase = Duration::from_micros(stage.rng.u64(..1_000_000));
    stage.pass(phase);
    stage.measure();
    let dead = stage.draw(count);
    stage.mark(match dead.len() {
        1 => "crash".to_owned(),
        count => format!("{count} of {} crash", stage.nodes),
    });
    let now = stage.world.now;
    for &number in &dead {
        if stage.params.refused {
            stage.world.kill(number);
        } else {
            stage.world.crash(number);
        }
        stage.world.ledger.watch(number, Health::Failed, now);
    }
    let living = stage.world.running();
    let limit = match living.len() {
        1 => LIMIT_OF_THE_LAST,
        _ => LIMIT,
    };
    stage.await_news(&living, limit);
    stage.stop_measuring();
    stage.pass(Duration::from_secs(5));
    stage.conclude(&living, true);
}
