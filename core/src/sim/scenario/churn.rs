//! Members come and go.

use std::time::Duration;

use super::super::protocol::Protocol;
use super::super::world::World;
use super::stage::Stage;

const LENGTH: Duration = Duration::from_secs(60);
const RECOVERY: Duration = Duration::from_secs(60);
/// The share of the members that something happens to, each minute.
const SHARE: f64 = 0.2;
/// How long one that is gone stays away.
const AWAY: Duration = Duration::from_secs(8);

pub(super) fn play<P: Protocol>(stage: &mut Stage<'_, P>) {
    let time = stage.params.duration.unwrap_or(LENGTH);
    stage.plan(time + Duration::from_secs(40));
    stage.settle();
    stage.measure();
    stage.mark("churn");
    let happenings = (stage.nodes as f64 * stage.params.share.unwrap_or(SHARE)).max(1.0);
    let pause = LENGTH.div_f64(happenings);
    let end = stage.world.now + time;
    let mut away = Vec::new();
    while stage.world.now < end {
        happen(stage, &mut away);
        let pause = pause.mul_f64(0.5 + stage.rng.f64());
        stage.pass(pause);
        come_back(stage, &mut away, false);
    }
    come_back(stage, &mut away, true);
    stage.stop_measuring();
    stage.mark("calm");
    let whole = stage.until(RECOVERY, World::is_converged);
    stage.run.healed.extend(whole);
    stage.run.missed += u64::from(whole.is_none());
    stage.conclude(&stage.world.running(), whole.is_some());
}

/// A member crashes, says goodbye and ends, or a newcomer joins: a third each.
fn happen<P: Protocol>(stage: &mut Stage<'_, P>, away: &mut Vec<(crate::Instant, usize)>) {
    let running = stage.world.running();
    let number = running[stage.rng.usize(..running.len())];
    match stage.rng.u32(..3) {
        0 if running.len() > 2 => {
            stage.world.crash(number);
            away.push((stage.world.now + AWAY, number));
        }
        1 if running.len() > 2 => {
            stage.world.tell(number, Protocol::shut_down);
            stage.pass(Duration::from_secs(1));
            stage.world.crash(number);
            away.push((stage.world.now + AWAY, number));
        }
        _ => {
            let newcomer = stage.world.add();
            stage.world.send_join(newcomer, number);
        }
    }
}

/// Those who have been away for long enough (or all) start again.
fn come_back<P: Protocol>(
    stage: &mut Stage<'_, P>,
    away: &mut Vec<(crate::Instant, usize)>,
    all: bool,
) {
    let now = stage.world.now;
    let due: Vec<_> = away
        .extract_if(.., |(at, _)| all || *at <= now)
        .map(|(_, number)| number)
        .collect();
    for number in due {
        super::restart_all::restart(stage, number);
    }
}
