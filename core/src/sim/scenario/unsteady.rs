//! Some nodes whose links are bad (Rapid §7): nobody else may be harmed.

use std::time::Duration;

use super::super::protocol::Protocol;
use super::super::report::Cut;
use super::super::world::World;
use super::stage::Stage;

const LENGTH: Duration = Duration::from_secs(120);
const RECOVERY: Duration = Duration::from_secs(60);
/// The share of the nodes that is hit.
const SHARE: f64 = 0.01;
/// What is lost on their links.
const LOST: f64 = 0.8;
/// For how long a node does not hear, and then hears.
const FLIP_FLOP: Duration = Duration::from_secs(20);
/// For how long a flapping node is cut off, and then is not.
const FLAP: Duration = Duration::from_secs(5);

/// One node in a hundred loses four packets of five (`lossy`, the default), or does not hear by
/// turns of 20 s (`one-way`).
pub(super) fn asymmetric<P: Protocol>(stage: &mut Stage<'_, P>) {
    let hit = begin(stage);
    if stage.params.cut == Some(Cut::OneWay) {
        by_turns(stage, &hit, FLIP_FLOP, true);
    } else {
        let lossy = hit.iter().map(|&host| (host, LOST, LOST)).collect();
        stage.world.network.host_loss = lossy;
        stage.pass(stage.params.duration.unwrap_or(LENGTH));
        stage.world.network.host_loss.clear();
    }
    end(stage);
}

/// One node is cut off by turns of 5 s.
pub(super) fn flapping<P: Protocol>(stage: &mut Stage<'_, P>) {
    stage.params.share.get_or_insert(0.0);
    let hit = begin(stage);
    let one_way = stage.params.cut == Some(Cut::OneWay);
    by_turns(stage, &hit, FLAP, one_way);
    end(stage);
}

fn begin<P: Protocol>(stage: &mut Stage<'_, P>) -> Vec<usize> {
    let time = stage.params.duration.unwrap_or(LENGTH);
    stage.plan(time + Duration::from_secs(40));
    stage.settle();
    stage.measure();
    let share = stage.params.share.unwrap_or(SHARE);
    let count = (stage.nodes as f64 * share).round() as usize;
    let hit = stage.draw(count.clamp(1, stage.nodes - 1));
    stage.world.ledger.unwell = hit.iter().copied().collect();
    stage.mark(match hit.len() {
        1 => "one node has bad links".to_owned(),
        count => format!("{count} nodes have bad links"),
    });
    hit
}

fn by_turns<P: Protocol>(stage: &mut Stage<'_, P>, hit: &[usize], turn: Duration, one_way: bool) {
    let end = stage.world.now + stage.params.duration.unwrap_or(LENGTH);
    let mut bad = true;
    while stage.world.now < end {
        if bad {
            // What is sent to them is lost; else all that passes between them and others.
            let others: Vec<_> = (0..stage.nodes).filter(|n| !hit.contains(n)).collect();
            let network = &mut stage.world.network;
            let groups = [hit.to_vec(), others];
            if one_way {
                network.cut_into_one_way(&groups);
            } else {
                network.cut_into(&groups);
            }
        } else {
            stage.world.network.mend();
        }
        bad = !bad;
        stage.pass(turn);
    }
    stage.world.network.mend();
}

fn end<P: Protocol>(stage: &mut Stage<'_, P>) {
    stage.stop_measuring();
    stage.mark("links are well");
    let healed = stage.until(RECOVERY, World::is_converged);
    stage.run.healed.extend(healed);
    stage.run.missed += u64::from(healed.is_none());
    stage.conclude(&stage.world.running(), healed.is_some());
}
