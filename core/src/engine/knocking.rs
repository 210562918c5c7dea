//! Knocking at the ports of the silent, and what a refusal changes. What it is worth is
//! [`crate::knock`].

use std::time::Duration;

use super::Engine;
use crate::case::Way;
use crate::knock::Asked;
use crate::message::Contact;
use crate::name::NodeId;
use crate::output::Output;
use crate::probe::Stage;
use crate::time::Instant;
use crate::timers::Timer;

/// A probe whose target is refused waits this long, and two round trips, for helpers and for
/// somebody else's sign of life.
const LAST_ANSWERS: Duration = Duration::from_millis(50);

impl Engine {
    /// The host of a member that this node knocked at ([`Output::Knock`]) says that nothing listens
    /// there.
    pub fn handle_refused(&mut self, now: Instant, at: &Contact) {
        let id = at.id();
        if self.contact_of_old(id).as_ref() != Some(at) || !self.knocks.refuse(id) {
            return;
        }
        self.stats.refusals += 1;
        self.shorten_probe(now, id);
        self.shorten_trial(now, id);
        self.look_beside(now, id);
        let examines = self.prober.is_probing(id) || self.jury.trial(id).is_some();
        if self.accuses(id) && !examines {
            let life = self.suspicions[&id].life;
            self.accuse(now, id, life, Way::Knock, true);
        }
    }

    /// Killed processes rarely come alone, and news that is sent to another one uses up what its host
    /// refuses: probes the other subjects out of their turn.
    fn look_beside(&mut self, now: Instant, refused: NodeId) {
        if !self.knocks.may_look_beside(self.config.probe_interval, now) {
            return;
        }
        let subjects = self.refreshed_rings().subjects().to_vec();
        for target in subjects.into_iter().filter(|&id| id != refused) {
            self.probe_besides(now, target);
        }
    }

    /// Somebody is silent: asks its host why.
    pub(super) fn knock(&mut self, now: Instant, id: NodeId) {
        let Some(contact) = self.contact_of_old(id) else {
            return;
        };
        match self.knocks.ask(id, now) {
            Asked::Now => {
                self.stats.knocks += 1;
                self.out.push_back(Output::Knock(contact));
            }
            Asked::Already => {}
            Asked::TooMany => self.stats.over_limit += 1,
        }
    }

    /// The direct ping had its time, and whoever lives would answer helpers as fast.
    pub(super) fn shorten_probe(&mut self, now: Instant, id: NodeId) {
        let end = now + LAST_ANSWERS + self.prober.round_trip(id) * 2;
        for (&seq, probe) in &self.prober.probes {
            if probe.target == id && matches!(probe.stage, Stage::Indirect { .. }) {
                self.timers.set_by(Timer::ProbeStage(seq), end);
            }
        }
    }

    /// A stream goes on where the datagram was not answered; nothing answers it either.
    fn shorten_trial(&mut self, now: Instant, id: NodeId) {
        let trial = self.jury.trial(id);
        let over = trial.is_some_and(|trial| {
            trial.stage == crate::jury::Stage::Reliable
                && trial.silence != crate::jury::Silence::Confirms
                && self.awareness.is_answered_since(trial.started)
        });
        if over {
            self.timers.set_by(Timer::Trial(id), now);
        }
    }
}
