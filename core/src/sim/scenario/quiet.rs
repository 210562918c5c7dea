//! Nothing happens, or packets get lost.

use std::time::Duration;

use super::super::protocol::Protocol;
use super::super::world::World;
use super::stage::Stage;

const STEADY: Duration = Duration::from_secs(60);
const LOSS: Duration = Duration::from_secs(600);
const RECOVERY: Duration = Duration::from_secs(60);

pub(super) fn steady<P: Protocol>(stage: &mut Stage<'_, P>) {
    let time = stage.params.duration.unwrap_or(STEADY);
    stage.plan(time + STEADY / 2);
    stage.settle();
    stage.measure();
    stage.pass(time);
    stage.stop_measuring();
    stage.conclude(&stage.world.running(), true);
}

pub(super) fn loss<P: Protocol>(stage: &mut Stage<'_, P>) {
    let time = stage.params.duration.unwrap_or(LOSS);
    stage.plan(time + STEADY / 2);
    stage.settle();
    stage.measure();
    stage.mark(format!("{:.0} % loss", stage.world.network.loss * 100.0));
    stage.pass(time);
    stage.stop_measuring();
    stage.world.network.loss = 0.0;
    stage.mark("no loss");
    let whole = stage.until(RECOVERY, World::is_converged);
    stage.conclude(&stage.world.running(), whole.is_some());
}
