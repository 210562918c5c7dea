//! One member says goodbye.

use std::time::Duration;

use super::super::protocol::{Health, Protocol};
use super::stage::Stage;

const QUIET: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(60);

/// Messages and bytes are those above what the cluster sends at rest.
pub(super) fn play<P: Protocol>(stage: &mut Stage<'_, P>) {
    stage.plan(QUIET * 4);
    stage.settle();
    stage.measure();
    stage.pass(QUIET);
    let (messages, bytes) = stage.sent();
    stage.measure();
    let leaver = stage.draw(1)[0];
    let others: Vec<_> = (0..stage.nodes).filter(|&n| n != leaver).collect();
    stage.mark("leave");
    let now = stage.world.now;
    stage.world.ledger.watch(leaver, Health::Left, now);
    stage.world.tell(leaver, Protocol::leave);
    stage.await_news(&others, LIMIT);
    let took = stage.world.now - now;
    stage.pass(QUIET.saturating_sub(took));
    stage.stop_measuring();
    let at_rest = (stage.world.now - now).as_secs_f64() / QUIET.as_secs_f64();
    let above = |total: u64, rest: u64| total.saturating_sub((rest as f64 * at_rest) as u64);
    stage.run.messages = above(stage.run.messages, messages);
    stage.run.bytes = above(stage.run.bytes, bytes);
    stage.conclude(&others, true);
}
