//! The limits of every table and queue that a node keeps, for who checks them at each step.

use super::{Engine, TOLD_MAX, admitting, healing, joining, spreading};
use crate::case::FINDINGS_MAX;
use crate::suspicion::Suspicion;

/// A table: what is in it, how much, and how much may be.
pub(crate) type Limit = (&'static str, usize, usize);

impl Engine {
    /// Whether every queue keeps its limit, and the sums agree with what they are sums of.
    pub(crate) fn check_limits(&self) -> Result<(), String> {
        let limits = self.own_limits().into_iter();
        let limits = limits
            .chain(self.prober.limits(self.config.members_max))
            .chain(self.jury.limits(self.config.members_max))
            .chain(self.suspicions.values().flat_map(Suspicion::limits))
            .chain([
                self.questions.limit(),
                self.flaps.limit(),
                self.knocks.limit(),
                self.divergence.limit(),
                self.newcomer.limit(),
            ]);
        for (what, len, max) in limits {
            if len > max {
                return Err(format!("{len} {what}, more than {max}"));
            }
        }
        self.roster.check_sums()
    }

    fn own_limits(&self) -> [Limit; 13] {
        let config = &self.config;
        let (members, book) = (config.members_max, config.address_book_max);
        let tombstones = self.roster.tombstones().count();
        [
            ("rumors", self.gossip.len(), config.rumors_max),
            ("relays", self.questions.relays(), config.relays_max),
            ("members", self.roster.len(), members),
            ("answers to the unbelieved", self.told.len(), TOLD_MAX),
            ("suspicions", self.suspicions.len(), members),
            ("verdicts not believed yet", self.pending.len(), members),
            ("bridges", self.bridges.len(), healing::BRIDGES_MAX),
            ("returned", self.returned.len(), spreading::RETURNED_MAX),
            ("findings", self.cases.len(), FINDINGS_MAX),
            ("doubts", self.doubts.len(), admitting::DOUBTS_MAX),
            ("proposals", self.proposals.len(), joining::PROPOSALS_MAX),
            ("mates", self.mates.len(), members + book),
            ("tombstones", tombstones, config.tombstones_max),
        ]
    }
}
