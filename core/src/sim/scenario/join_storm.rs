//! All others join one node at the same moment.

use std::time::Duration;

use super::super::protocol::Protocol;
use super::super::world::World;
use super::stage::Stage;

const LIMIT: Duration = Duration::from_secs(120);
/// Of the load over time: a small cluster takes a few of them.
const BIN: Duration = Duration::from_millis(1);

pub(super) fn play<P: Protocol>(stage: &mut Stage<'_, P>) {
    stage.plan(Duration::from_secs(10));
    let nodes = stage.nodes;
    stage.world.add_many(nodes);
    stage.pass(Duration::from_secs(1));
    stage.bin = BIN;
    stage.measure();
    stage.mark("join");
    for joiner in 1..nodes {
        stage.world.send_join(joiner, 0);
    }
    let took = stage.until(LIMIT, World::is_converged);
    stage.run.known_by_all.extend(took);
    stage.run.missed += u64::from(took.is_none());
    stage.stop_measuring();
    stage.pass(Duration::from_secs(5));
    stage.conclude(&stage.world.running(), took.is_some());
}
