//! All nodes restart within a second: a rolling update that did not roll.

use std::time::Duration;

use super::super::protocol::Protocol;
use super::super::world::World;
use super::stage::Stage;

const WITHIN: Duration = Duration::from_secs(1);
/// How long a process is away.
const AWAY: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(120);

pub(super) fn play<P: Protocol>(stage: &mut Stage<'_, P>) {
    stage.plan(Duration::from_secs(40));
    stage.settle();
    stage.measure();
    stage.mark("restart");
    let begin = stage.world.now;
    let mut happenings = Vec::new();
    for number in 0..stage.nodes {
        let at = begin + WITHIN.mul_f64(stage.rng.f64());
        happenings.extend([(at, number, false), (at + AWAY, number, true)]);
    }
    happenings.sort_unstable();
    for (at, number, starts) in happenings {
        stage.pass(at - stage.world.now);
        if starts {
            restart(stage, number);
        } else {
            stage.world.kill(number);
        }
    }
    stage.mark("all run again");
    let whole = stage.until(LIMIT, World::is_converged);
    stage.run.known_by_all.extend(whole);
    stage
        .run
        .healed
        .extend(whole.map(|_| stage.world.now - begin));
    stage.run.missed += u64::from(whole.is_none());
    stage.stop_measuring();
    stage.pass(Duration::from_secs(10));
    stage.conclude(&stage.world.running(), whole.is_some());
}

/// Starts a node again. Those that remember find back by themselves; the others are told whom to
/// join, as their operators would do.
pub(super) fn restart<P: Protocol>(stage: &mut Stage<'_, P>, number: usize) {
    stage.world.start(number);
    if !P::remembers() {
        let running = stage.world.running();
        let others: Vec<_> = running.into_iter().filter(|&n| n != number).collect();
        if let Some(&target) = stage.rng.choice(&others) {
            stage.world.send_join(number, target);
        }
    }
}
