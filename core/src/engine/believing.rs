//! Believing: what becomes of somebody else's verdict.
//!
//! A verdict is passed on at once and believed a moment later, so that the accused hears of it and
//! can object before anybody counts it out. It costs the moment once, not once a hop. Without it,
//! sides that meet again after some seconds would each hear from the other that some of their own
//! are dead, and believe it until those refute.
//!
//! Who passes it on counts as much as who came to it. Where one half can't hear the other, all that
//! some nodes hear comes from the deaf half, which finds everybody dead; the others don't pass
//! that on, so that the accused never hear of it.

use std::time::Duration;

use super::Engine;
use crate::member::{Life, Standing};
use crate::message::{Failed, Rumor, Suspect};
use crate::name::NodeId;
use crate::time::Instant;
use crate::timers::Timer;

/// The accused has this part of a gossip interval to object: 0.1 s on a LAN. That a verdict gets there
/// and what refutes it comes back takes half of it.
const OBJECTION_DIVISOR: u32 = 2;
/// For so long after an objection others that are said to be dead are asked by this node itself.
const OBJECTION_WEIGHS: Duration = Duration::from_secs(1);

/// A verdict that is not believed yet.
#[derive(Debug)]
pub(super) struct Pending {
    failed: Failed,
    from: NodeId,
}

impl Engine {
    /// Somebody's verdict: believed with a quorum of accusers, an accusation otherwise.
    pub(super) fn on_verdict(&mut self, now: Instant, from: NodeId, failed: &Failed) {
        let Some(member) = self.roster.member(failed.id) else {
            self.stats.stale_rumors += 1;
            return;
        };
        let accusation = Suspect {
            id: failed.id,
            life: failed.life,
            refused: failed.refused,
        };
        let present = member.is_present();
        if Standing::failed(failed.life) <= member.standing {
            let same = Standing::failed(failed.life) == member.standing;
            let believed = same && !self.is_disbelieved(failed.by);
            if believed
                && self
                    .roster
                    .learn_how(failed.id, failed.refused, failed.heard)
            {
                self.on_failure_known(now, from, failed);
            } else {
                self.gossip.on_heard_again(&Rumor::Failed(failed.clone()));
                self.stats.stale_rumors += 1;
            }
        } else if self.is_disbelieved(failed.by) || self.is_disbelieved(from) {
            self.stats.unbelieved += 1;
        } else if present && failed.doubtful && !self.is_doubtful(now) {
            // Who hears hardly anybody may be deaf. Observers look for themselves.
            if self.refreshed_rings().subjects().contains(&failed.id) {
                self.on_accusation(now, &accusation, failed.by, Some(from));
            }
        } else if present
            && (failed.accusers < self.verdict_quorum()
                || self.may_be_apart(now, failed.by)
                || self.may_be_apart(now, from))
        {
            self.on_accusation(now, &accusation, failed.by, Some(from));
        } else if present && !failed.refused {
            self.wait_for_objection(now, from, failed);
        } else {
            self.accept(now, &Rumor::Failed(failed.clone()), Some(from), true);
        }
    }

    /// How a failed member was lost is known better than before: all are to know it alike.
    pub(super) fn on_failure_known(&mut self, now: Instant, from: NodeId, failed: &Failed) {
        let since = self.roster.member(failed.id).map(|member| member.since);
        let ago = since.map_or(Duration::ZERO, |at| now.since(at));
        self.watch_failed(now, failed.id, ago);
        self.changed.insert(failed.id);
        self.spread(now, Rumor::Failed(failed.clone()), Some(from), false);
    }

    /// Passes a verdict on, and believes it when the accused has had time to object.
    fn wait_for_objection(&mut self, now: Instant, from: NodeId, failed: &Failed) {
        let rumor = Rumor::Failed(failed.clone());
        if self.awaits_objection(failed.id, failed.life) {
            self.gossip.on_heard_again(&rumor);
            self.stats.stale_rumors += 1;
            return;
        }
        let pending = Pending {
            failed: failed.clone(),
            from,
        };
        self.pending.insert(failed.id, pending);
        self.timers.set(
            Timer::Believe(failed.id),
            now + self.config.gossip_interval / OBJECTION_DIVISOR,
        );
        self.spread(now, rumor, Some(from), false);
    }

    /// Whether a verdict about this life is known and not believed yet.
    pub(super) fn awaits_objection(&self, id: NodeId, life: Life) -> bool {
        let pending = self.pending.get(&id);
        pending.is_some_and(|pending| pending.failed.life >= life)
    }

    /// A member speaks that was to be believed dead: so may others, of whom that was said with it.
    pub(super) fn note_objection(&mut self, now: Instant, id: NodeId, life: Life) {
        let objects = |pending: &Pending| pending.failed.life < life;
        if self.pending.get(&id).is_some_and(objects) {
            self.pending.remove(&id);
            self.timers.stop(Timer::Believe(id));
            self.objected = Some(now);
        }
    }

    /// A member lives that was held dead: its objection came too late, and weighs as much.
    pub(super) fn note_late_objection(&mut self, now: Instant) {
        self.objected = Some(now);
    }

    /// Nobody objected.
    pub(super) fn on_no_objection(&mut self, now: Instant, id: NodeId) {
        let Some(Pending { failed, from }) = self.pending.remove(&id) else {
            return;
        };
        if !self.is_present(id) || self.is_disbelieved(failed.by) || self.is_disbelieved(from) {
            return;
        }
        let objected = self.objected.map(|at| now.since(at));
        let contested = objected.is_some_and(|ago| ago < OBJECTION_WEIGHS);
        if contested || self.may_be_apart(now, failed.by) || self.may_be_apart(now, from) {
            self.challenge(id, failed.life);
            self.challenge_next(now);
            return;
        }
        let rumor = Rumor::Failed(failed);
        if self.accept(now, &rumor, Some(from), false) {
            self.gossip.cover(&rumor);
        }
    }

    /// Whether a member came back just now, or is suspected itself, so that it may be on another
    /// side of the network: a verdict that it comes to or brings was found over there.
    fn may_be_apart(&self, now: Instant, id: NodeId) -> bool {
        let returned = self.returned.get(&id);
        let came_back = returned.is_some_and(|&at| now.since(at) < self.config.bridge);
        came_back || self.suspicions.contains_key(&id)
    }
}
