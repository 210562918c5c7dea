//! Partitions: what is known of the unreachable, and whether this side may go on.
//!
//! A partition is not "many failures". Published is what is known: who can't be reached, since
//! when, and whether this side still has quorum. The base of the quorum is everyone who has not
//! left or been removed, the failed included, so that no minority becomes its own majority by
//! forgetting the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::{Config, QuorumRule};
use crate::name::NodeId;
use crate::output::PartitionKind;
use crate::time::Instant;

/// So many members that fall silent together look like a cut, or, where they are all, like
/// isolation; a single one is a failure.
const CUT_MIN: usize = 2;
/// A node that heard nobody for this many of the shortest silences that matter is isolated.
const ISOLATED_SILENCES: u32 = 3;

/// Why a partition began or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing changed.
    Same,
    /// A partition stands, or is seen otherwise than before.
    Detected,
    /// Nobody is lost any more because all were removed, left or forgotten: nothing was healed.
    Over,
    /// Those who were lost are back.
    Healed {
        /// How long it stood.
        lasted: Duration,
    },
}

/// A partition that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) kind: PartitionKind,
    pub(crate) since: Instant,
    pub(crate) unreachable: BTreeSet<NodeId>,
    /// Whether somebody came back.
    returned: bool,
}

/// What this node knows about who is lost.
#[derive(Debug, Default)]
pub(crate) struct PartitionWatch {
    /// Members found dead by silence and not back since, by when that was.
    silent: BTreeMap<NodeId, Instant>,
    open: Option<Standing>,
    isolated: bool,
}

/// Whether a side of `present` members has quorum, of whom `failed` more are lost.
pub(crate) fn has_quorum(rule: QuorumRule, present: usize, failed: usize, isolated: bool) -> bool {
    match rule {
        QuorumRule::None => true,
        _ if isolated => false,
        QuorumRule::Majority => present * 2 > present + failed,
        QuorumRule::Static(least) => present >= least as usize,
    }
}

/// Whether silence has lasted so long that the reason may be this node's own.
pub(crate) fn is_deaf(config: &Config, silence: Duration) -> bool {
    silence >= config.silence_min * ISOLATED_SILENCES
}

impl PartitionWatch {
    /// The partition that stands, if any.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        self.open.as_ref()
    }

    /// Whether this node hears nobody although there should be somebody.
    pub(crate) fn is_isolated(&self) -> bool {
        self.isolated
    }

    /// A member was found dead by its silence. One whose host refused is behind no cut.
    pub(crate) fn on_silent(&mut self, id: NodeId, now: Instant) {
        self.silent.insert(id, now);
    }

    /// A member is back.
    pub(crate) fn on_returned(&mut self, id: NodeId) {
        let was_silent = self.silent.remove(&id).is_some();
        if let Some(open) = self.open.as_mut().filter(|_| was_silent) {
            open.returned = true;
        }
    }

    /// A member left, was removed or forgotten, or is known to have been refused.
    pub(crate) fn on_gone(&mut self, id: NodeId) {
        self.silent.remove(&id);
    }

    /// Looks at what is known. `silence`: for how long nobody was heard; `others`: how many others
    /// this node holds, present or failed.
    pub(crate) fn assess(
        &mut self,
        config: &Config,
        silence: Duration,
        others: usize,
        now: Instant,
    ) -> Verdict {
        self.isolated = others >= CUT_MIN && is_deaf(config, silence);
        let lost: BTreeSet<_> = self.lost(config);
        let kind = match (self.isolated, lost.len() >= CUT_MIN) {
            (true, _) => Some(PartitionKind::Isolated),
            (false, true) => Some(PartitionKind::Cut),
            (false, false) => None,
        };
        match (&mut self.open, kind) {
            (None, None) => Verdict::Same,
            (Some(open), None)
                if open
                    .unreachable
                    .iter()
                    .any(|id| self.silent.contains_key(id)) =>
            {
                open.unreachable.retain(|id| self.silent.contains_key(id));
                Verdict::Same
            }
            (Some(open), None) => {
                let lasted = now.since(open.since);
                let healed = open.returned || open.kind == PartitionKind::Isolated;
                self.open = None;
                if healed {
                    Verdict::Healed { lasted }
                } else {
                    Verdict::Over
                }
            }
            (Some(open), Some(kind)) if open.kind == kind && lost.is_subset(&open.unreachable) => {
                open.unreachable = lost;
                Verdict::Same
            }
            (open, Some(kind)) => {
                let since = open.as_ref().map_or(now, |open| open.since);
                let returned = open.as_ref().is_some_and(|open| open.returned);
                *open = Some(Standing {
                    kind,
                    since,
                    unreachable: lost,
                    returned,
                });
                Verdict::Detected
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Those who fell silent within the window of somebody else who did.
    fn lost(&self, config: &Config) -> BTreeSet<NodeId> {
        let near =
            |at: Instant, other: Instant| at.since(other).max(other.since(at)) <= config.cut_window;
        let together = |(id, at): (&NodeId, &Instant)| {
            let with_another = self
                .silent
                .iter()
                .any(|(other, then)| other != id && near(*at, *then));
            // The last verdicts about a side may take a suspicion longer than the first.
            let in_open = self.open.as_ref().is_some_and(|open| {
                let late = (open.since..=open.since + config.suspicion_max).contains(at);
                open.kind == PartitionKind::Cut && late || open.unreachable.contains(id)
            });
            (with_another || in_open).then_some(*id)
        };
        self.silent.iter().filter_map(together).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(secs)
    }

    const HEARD: Duration = Duration::ZERO;

    #[test]
    fn one_silent_member_is_a_failure_and_two_together_are_a_cut() {
        let (config, mut watch) = (Config::lan(), PartitionWatch::default());
        watch.on_silent(NodeId(1), at(10));
        assert_eq!(watch.assess(&config, HEARD, 9, at(10)), Verdict::Same);
        watch.on_silent(NodeId(2), at(12));
        assert_eq!(watch.assess(&config, HEARD, 9, at(12)), Verdict::Detected);
        assert_eq!(watch.standing().unwrap().kind, PartitionKind::Cut);
        assert_eq!(watch.assess(&config, HEARD, 9, at(13)), Verdict::Same);
    }

    #[test]
    fn the_last_of_those_behind_a_cut_may_be_found_late() {
        let (config, mut watch) = (Config::lan(), PartitionWatch::default());
        watch.on_silent(NodeId(9), at(0));
        watch.on_silent(NodeId(1), at(10));
        watch.on_silent(NodeId(2), at(11));
        watch.assess(&config, HEARD, 9, at(11));
        watch.on_silent(NodeId(3), at(20));
        assert_eq!(watch.assess(&config, HEARD, 9, at(20)), Verdict::Detected);
        assert_eq!(watch.standing().unwrap().unreachable.len(), 3);
        watch.on_silent(NodeId(4), at(60));
        assert_eq!(watch.assess(&config, HEARD, 9, at(60)), Verdict::Same);
    }

    #[test]
    fn two_that_fail_far_apart_are_two_failures() {
        let (config, mut watch) = (Config::lan(), PartitionWatch::default());
        watch.on_silent(NodeId(1), at(10));
        watch.on_silent(NodeId(2), at(100));
        assert_eq!(watch.assess(&config, HEARD, 9, at(100)), Verdict::Same);
    }

    #[test]
    fn a_partition_is_healed_when_the_last_one_is_back() {
        let (config, mut watch) = (Config::lan(), PartitionWatch::default());
        for id in 1..=3 {
            watch.on_silent(NodeId(id), at(10));
        }
        watch.assess(&config, HEARD, 9, at(10));
        watch.on_returned(NodeId(1));
        watch.on_returned(NodeId(2));
        assert_eq!(watch.assess(&config, HEARD, 9, at(60)), Verdict::Same);
        watch.on_returned(NodeId(3));
        assert_eq!(
            watch.assess(&config, HEARD, 9, at(70)),
            Verdict::Healed {
                lasted: Duration::from_secs(60)
            }
        );
        assert!(watch.standing().is_none());
    }

    #[test]
    fn a_partition_whose_lost_members_were_all_removed_was_not_healed() {
        let (config, mut watch) = (Config::lan(), PartitionWatch::default());
        watch.on_silent(NodeId(1), at(10));
        watch.on_silent(NodeId(2), at(10));
        watch.assess(&config, HEARD, 9, at(10));
        watch.on_gone(NodeId(1));
        watch.on_gone(NodeId(2));
        assert_eq!(watch.assess(&config, HEARD, 9, at(20)), Verdict::Over);
    }

    #[test]
    fn who_hears_nobody_is_isolated_and_has_no_quorum() {
        let (config, mut watch) = (Config::lan(), PartitionWatch::default());
        assert_eq!(
            watch.assess(&config, Duration::from_secs(5), 9, at(10)),
            Verdict::Detected
        );
        assert!(watch.is_isolated());
        assert!(!has_quorum(QuorumRule::Majority, 10, 0, true));
        assert!(matches!(
            watch.assess(&config, HEARD, 9, at(20)),
            Verdict::Healed { .. }
        ));
        let mut alone = PartitionWatch::default();
        assert_eq!(
            alone.assess(&config, Duration::from_secs(500), 0, at(500)),
            Verdict::Same
        );
    }

    #[test]
    fn neither_half_of_an_even_split_has_a_majority() {
        let has = |present, failed| has_quorum(QuorumRule::Majority, present, failed, false);
        assert!(has(1, 0) && has(2, 1) && has(5, 4));
        assert!(!has(1, 1) && !has(1, 2) && !has(5, 5));
        assert!(has_quorum(QuorumRule::Static(3), 3, 90, false));
        assert!(!has_quorum(QuorumRule::Static(3), 2, 0, false));
        assert!(has_quorum(QuorumRule::None, 1, 99, true));
    }
}
