//! Partitions: what is known of the unreachable, and whether this side may go on.
//!
//! A partition is not "many failures". Published is what is known: who can't be reached, since
//! when, what it looks like, and whether this side still has quorum.
//!
//! ```text
//!                      this node hears nobody ................. isolated
//!   others, and it hears, but nobody answers it, the sooner so
//!   where they accuse it ...................................... one-way
//!   members were found dead by their silence, two or more
//!   within a window ┬ and most of them are heard all the same . one-way
//!                   └ and they are not ........................ cut
//!   a single one, or those whose ports refuse ................. no partition: failures
//! ```
//!
//! A single one may have crashed, or be cut off: nobody can tell, until it comes back as the process
//! that it was and names the side that it was on. That was a partition, and is told when it is over.
//!
//! What makes a verdict is told to everybody (who was found dead, and who of them is heard), so
//! that all nodes of a side come to the same one. The base of the quorum is everyone who has not
//! left or been removed, the failed included, so that no minority becomes its own majority by
//! forgetting the rest.
//!
//! Every change costs the logarithm of the number of the lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::Config;
use crate::name::NodeId;
use crate::output::PartitionKind;
use crate::time::Instant;

/// So many members that fall silent together look like a cut, or, where they are all, like
/// isolation; a single one is a failure.
const CUT_MIN: usize = 2;
/// A node that heard nobody for this many of the shortest silences that matter is isolated.
const ISOLATED_SILENCES: u32 = 3;
/// A node that hears others, whom nobody answered for so many of them, is not heard. Twice as
/// many: answers get lost where news do not, for they take two packets.
const UNHEARD_SILENCES: u32 = 6;

/// … and so many are enough where others accuse it, for they miss its answers.
const UNHEARD_ACCUSED_SILENCES: u32 = 3;
/// Who refuted an accusation so long ago, and whom nobody answered since, is not heard.
const REFUTED_PATIENCE: Duration = Duration::from_millis(1500);

/// Who is heard and does not answer for so long does not hear. A round trip is far shorter.
const HEARD_PATIENCE: Duration = Duration::from_secs(2);
/// The most that a node tells of at a time.
const HEARD_TOLD_MAX: usize = 64;

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
        /// Into how many groups the network had fallen, as far as this node can tell.
        sides: usize,
    },
}

/// How well this node hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hearing {
    /// For how long it heard nobody.
    pub(crate) silence: Duration,
    /// For how long nobody answered what it asked.
    pub(crate) unanswered: Duration,
    /// For how long others have accused it meanwhile.
    pub(crate) accused: Duration,
}

/// How a lost member came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Return {
    /// As another process: it was on no side meanwhile.
    Restarted,
    /// As the process that it was, from the side that it names.
    Lived(Option<NodeId>),
}

/// A partition that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) kind: PartitionKind,
    /// When the first of the lost was found, or somebody was last heard.
    pub(crate) since: Instant,
    /// When it last looked otherwise than before.
    pub(crate) changed: Instant,
    /// Whether it took anybody away; if not this node is, or was, alone.
    took: bool,
    /// The side that this node is on.
    side: Option<NodeId>,
    /// Whether somebody came back.
    returned: bool,
    /// The sides that those who came back were on.
    sides: BTreeSet<NodeId>,
    /// Whether one of them was alive meanwhile.
    lived: bool,
}

/// What this node knows about who is lost.
#[derive(Debug, Default)]
pub(crate) struct PartitionWatch {
    /// Members found dead by silence and not back since, by when that was.
    silent: BTreeMap<NodeId, Instant>,
    by_time: BTreeSet<(Instant, NodeId)>,
    /// Those of them who fell silent together with others.
    lost: BTreeSet<NodeId>,
    /// Those of the silent who are heard all the same.
    heard: BTreeSet<NodeId>,
    /// Those of whom this node itself got a packet, and when it got the first one.
    packets: BTreeMap<NodeId, Instant>,
    /// What was known of them at the last look: when it has changed, it is looked at anew.
    dirty: bool,
    grown: bool,
    open: Option<Standing>,
    /// What this node's own ill is, where it is cut off from everybody.
    alone: Option<PartitionKind>,
    /// The last one that stood, and when it ended.
    last: Option<(Standing, Instant)>,
    /// Single members that came back since the last look, and had been cut off.
    castaways: Option<Castaways>,
    /// When that was told last.
    landed: Option<Instant>,
}

/// Single members whose silence looked like a failure, and that were cut off.
#[derive(Debug)]
struct Castaways {
    /// When the first of them fell silent.
    since: Instant,
    /// The sides that they name.
    sides: BTreeSet<NodeId>,
}

/// Whether this node reaches nobody of the `others` that it holds, and how. `was`: what it took
/// itself for so far. Who is not heard will be spoken to no more, and then hears nobody either.
fn alone(
    config: &Config,
    hearing: Hearing,
    others: usize,
    was: Option<PartitionKind>,
) -> Option<PartitionKind> {
    let deaf = is_deaf(config, hearing.silence);
    let lasts = was == Some(PartitionKind::OneWay);
    if others < CUT_MIN {
        None
    } else if deaf && !lasts {
        Some(PartitionKind::Isolated)
    } else {
        (deaf || is_unheard(config, hearing)).then_some(PartitionKind::OneWay)
    }
}

/// Whether silence has lasted so long that the reason may be this node's own.
pub(crate) fn is_deaf(config: &Config, silence: Duration) -> bool {
    silence >= config.silence_min * ISOLATED_SILENCES
}

/// Whether others are heard, and nobody answers.
fn is_unheard(config: &Config, hearing: Hearing) -> bool {
    let silences = match hearing.accused >= REFUTED_PATIENCE {
        true => UNHEARD_ACCUSED_SILENCES,
        false => UNHEARD_SILENCES,
    };
    hearing.unanswered >= config.silence_min.max(config.probe_interval) * silences
}

impl PartitionWatch {
    /// The partition that stands, if any.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        self.open.as_ref()
    }

    /// Whom the standing partition took away, where this node is not alone; in order.
    pub(crate) fn lost(&self) -> &BTreeSet<NodeId> {
        &self.lost
    }

    /// Whether a member is behind a partition from which nobody came back so far. Once somebody did,
    /// who is lost still is dead for all that is known.
    pub(crate) fn holds(&self, id: NodeId) -> bool {
        let whole = self.open.as_ref().is_some_and(|open| !open.returned);
        whole && self.lost.contains(&id)
    }

    /// On which side of the partition that stands, or that ended so short a time ago, this node is.
    pub(crate) fn side(&self, age_max: Duration, now: Instant) -> Option<NodeId> {
        let last = self.last.as_ref();
        let last = last.filter(|(_, ended)| now.since(*ended) <= age_max);
        let last = last.map(|(standing, _)| standing);
        self.open
            .as_ref()
            .or(last)
            .and_then(|standing| standing.side)
    }

    /// Names the side that this node is on. Whoever comes back later was on another one.
    pub(crate) fn name_side(&mut self, side: Option<NodeId>) {
        if let Some(open) = &mut self.open {
            open.side = side;
        }
    }

    /// Whether this node reaches nobody although there should be somebody.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone.is_some()
    }

    /// Whether something changed since the last look.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// A member was found dead by its silence, so long ago.
    pub(crate) fn on_silent(&mut self, id: NodeId, config: &Config, now: Instant, ago: Duration) {
        if self.silent.contains_key(&id) {
            return;
        }
        let at = now.before(ago);
        let earliest = (at.before(config.cut_window), NodeId(0));
        let near = earliest..=(at + config.cut_window, NodeId(u64::MAX));
        let before = self.by_time.range(near.clone()).next().copied();
        let after = self.by_time.range(near).next_back().copied();
        self.silent.insert(id, at);
        self.by_time.insert((at, id));
        for (_, other) in before.into_iter().chain(after) {
            self.lose(other);
            self.lose(id);
        }
        if self.is_late(config, at) {
            self.lose(id);
        }
    }

    /// Whether a cut stands that this silence belongs to: the last verdicts about a side may take
    /// a suspicion longer than the first.
    fn is_late(&self, config: &Config, at: Instant) -> bool {
        let Some(open) = self.open.as_ref().filter(|_| !self.lost.is_empty()) else {
            return false;
        };
        (open.since..=open.since + config.suspicion_max).contains(&at)
    }

    fn lose(&mut self, id: NodeId) {
        if self.lost.insert(id) {
            (self.dirty, self.grown) = (true, true);
            if let Some(open) = &mut self.open {
                open.took = true;
            }
        }
    }

    /// A member is back.
    pub(crate) fn on_returned(&mut self, id: NodeId, how: Return, config: &Config) {
        match (self.silent.get(&id).copied(), &mut self.open) {
            (Some(_), Some(open)) => {
                open.returned = true;
                if let Return::Lived(side) = how {
                    open.lived = true;
                    open.sides.extend(side);
                }
            }
            (Some(silent), None) => {
                if let Return::Lived(Some(side)) = how {
                    self.on_castaway(side, silent, config);
                }
            }
            (None, _) => {}
        }
        self.on_gone(id);
    }

    /// A single member was cut off since then, unless it is a straggler of the last partition, or
    /// names the side of that one still: see [`Self::side`].
    fn on_castaway(&mut self, side: NodeId, silent: Instant, config: &Config) {
        let last = self.last.as_ref().map(|(_, ended)| *ended);
        let healed = last.max(self.landed);
        if healed.is_some_and(|at| silent <= at + config.suspicion_max) {
            return;
        }
        let castaways = self.castaways.get_or_insert_with(|| Castaways {
            since: silent,
            sides: BTreeSet::new(),
        });
        castaways.since = castaways.since.min(silent);
        castaways.sides.insert(side);
        self.dirty = true;
    }

    /// A member left, was removed or forgotten, or did not fall silent but ended.
    pub(crate) fn on_gone(&mut self, id: NodeId) {
        if let Some(at) = self.silent.remove(&id) {
            self.by_time.remove(&(at, id));
            self.heard.remove(&id);
            self.packets.remove(&id);
            self.dirty |= self.lost.remove(&id);
        }
    }

    /// A packet came from somebody who may be lost. It is told so, and either answers, or does not
    /// hear it.
    pub(crate) fn on_packet(&mut self, id: NodeId, now: Instant) {
        if self.silent.contains_key(&id) && !self.heard.contains(&id) {
            self.packets.entry(id).or_insert(now);
        }
    }

    /// Somebody who is lost spoke for long enough before it was found dead, and answered nothing.
    pub(crate) fn on_spoken(&mut self, id: NodeId, now: Instant) {
        self.on_packet(id, now.before(HEARD_PATIENCE));
    }

    /// Those who had time to answer since, if that decides what the partition is called.
    pub(crate) fn take_heard(&mut self, now: Instant) -> Vec<NodeId> {
        let patient = |(_, at): &(&NodeId, &Instant)| now.since(**at) >= HEARD_PATIENCE;
        let known = self.kind_of_lost() != Some(PartitionKind::Cut);
        let told = if known { 0 } else { HEARD_TOLD_MAX };
        let heard = self.packets.iter().filter(patient).take(told);
        let heard: Vec<_> = heard.map(|(&id, _)| id).collect();
        for id in &heard {
            self.packets.remove(id);
        }
        heard
    }

    /// Somebody hears a member that fell silent.
    pub(crate) fn on_heard(&mut self, id: NodeId) {
        if self.silent.contains_key(&id) {
            self.packets.remove(&id);
            self.dirty |= self.heard.insert(id);
        }
    }

    /// Looks at what is known. `others`: how many others this node holds, present or failed.
    pub(crate) fn assess(
        &mut self,
        config: &Config,
        hearing: Hearing,
        others: usize,
        now: Instant,
    ) -> Verdict {
        self.alone = alone(config, hearing, others, self.alone);
        let kind = self.alone.or_else(|| self.kind_of_lost());
        let dirty = std::mem::take(&mut self.dirty);
        let grown = std::mem::take(&mut self.grown);
        let castaways = self.castaways.take();
        self.landed = castaways.as_ref().map(|_| now).or(self.landed);
        match (&mut self.open, kind) {
            (None, None) => castaways.map_or(Verdict::Same, |castaways| Verdict::Healed {
                lasted: now.since(castaways.since),
                sides: 1 + castaways.sides.len(),
            }),
            (Some(_), None) => self.close(now),
            (Some(open), Some(kind)) if open.kind == kind => {
                if dirty {
                    open.changed = now;
                }
                if grown && self.alone.is_none() {
                    Verdict::Detected
                } else {
                    Verdict::Same
                }
            }
            (_, Some(kind)) => {
                self.open(kind, hearing, now);
                Verdict::Detected
            }
        }
    }

    /// What the losses look like.
    fn kind_of_lost(&self) -> Option<PartitionKind> {
        let heard = self
            .heard
            .iter()
            .filter(|id| self.lost.contains(id))
            .count();
        match self.lost.len() {
            0 => None,
            lost if heard * 2 >= lost => Some(PartitionKind::OneWay),
            _ => Some(PartitionKind::Cut),
        }
    }

    /// A partition opens, or is seen as one of another kind.
    fn open(&mut self, kind: PartitionKind, hearing: Hearing, now: Instant) {
        let first = self.lost.iter().filter_map(|id| self.silent.get(id)).min();
        let quiet = match kind {
            PartitionKind::Isolated => hearing.silence,
            PartitionKind::OneWay if self.alone.is_some() => hearing.unanswered,
            PartitionKind::OneWay | PartitionKind::Cut => Duration::ZERO,
        };
        let since = first.map_or(now, |&at| at).min(now.before(quiet));
        let mut open = self.open.take().unwrap_or_else(|| Standing {
            kind,
            since,
            changed: now,
            took: false,
            side: None,
            returned: false,
            sides: BTreeSet::new(),
            lived: false,
        });
        (open.kind, open.changed) = (kind, now);
        open.took |= !self.lost.is_empty();
        self.open = Some(open);
    }

    fn close(&mut self, now: Instant) -> Verdict {
        let Some(open) = self.open.take() else {
            return Verdict::Same;
        };
        // Whoever was alone lost nobody: the others were there, wherever that was.
        let was_alone = !open.took;
        let verdict = if open.returned || was_alone {
            let others = open.sides.len().max(usize::from(open.lived || was_alone));
            let lasted = now.since(open.since);
            let sides = 1 + others;
            Verdict::Healed { lasted, sides }
        } else {
            Verdict::Over
        };
        self.last = Some((open, now));
        verdict
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(secs)
    }

    const HEARS: Hearing = Hearing {
        silence: Duration::ZERO,
        unanswered: Duration::ZERO,
        accused: Duration::ZERO,
    };
    const BACK: Return = Return::Lived(Some(NodeId(1)));

    /// A watch of a node that holds nine others.
    #[derive(Default)]
    struct Watch(PartitionWatch);

    impl Watch {
        fn falls_silent(&mut self, id: u64, secs: u64) {
            let (config, at) = (Config::lan(), at(secs));
            self.0.on_silent(NodeId(id), &config, at, Duration::ZERO);
        }

        fn returns(&mut self, id: u64, how: Return) {
            self.0.on_returned(NodeId(id), how, &Config::lan());
        }

        fn look(&mut self, hearing: Hearing, secs: u64) -> Verdict {
            self.0.assess(&Config::lan(), hearing, 9, at(secs))
        }

        fn lost(&self) -> Vec<u64> {
            self.0.lost().iter().map(|id| id.0).collect()
        }

        fn kind(&self) -> Option<PartitionKind> {
            self.0.standing().map(|open| open.kind)
        }
    }

    #[test]
    fn one_silent_member_is_a_failure_and_two_together_are_a_cut() {
        let mut watch = Watch::default();
        watch.falls_silent(1, 10);
        assert_eq!(watch.look(HEARS, 10), Verdict::Same);
        watch.falls_silent(2, 12);
        assert_eq!(watch.look(HEARS, 12), Verdict::Detected);
        assert_eq!(watch.kind(), Some(PartitionKind::Cut));
        assert_eq!(watch.0.standing().unwrap().since, at(10));
        assert_eq!(watch.look(HEARS, 13), Verdict::Same);
    }

    #[test]
    fn the_last_of_those_behind_a_cut_may_be_found_late() {
        let mut watch = Watch::default();
        watch.falls_silent(9, 0);
        watch.falls_silent(1, 10);
        watch.falls_silent(2, 11);
        watch.look(HEARS, 11);
        watch.falls_silent(3, 20);
        assert_eq!(watch.look(HEARS, 20), Verdict::Detected);
        assert_eq!(watch.lost(), [1, 2, 3]);
        assert_eq!(watch.0.standing().unwrap().changed, at(20));
        watch.falls_silent(4, 60);
        assert_eq!(watch.look(HEARS, 60), Verdict::Same);
        assert_eq!(watch.lost(), [1, 2, 3]);
    }

    #[test]
    fn two_that_fail_far_apart_are_two_failures_however_late_they_are_learned() {
        let mut watch = Watch::default();
        watch.falls_silent(1, 10);
        watch.falls_silent(2, 100);
        assert_eq!(watch.look(HEARS, 100), Verdict::Same);
        let (config, mut watch) = (Config::lan(), Watch::default());
        for (id, ago) in [(1, 300), (2, 100), (3, 104)] {
            let ago = Duration::from_secs(ago);
            watch.0.on_silent(NodeId(id), &config, at(500), ago);
        }
        assert_eq!(watch.look(HEARS, 500), Verdict::Detected);
        assert_eq!(watch.lost(), [2, 3]);
    }

    #[test]
    fn a_partition_is_healed_when_the_last_one_is_back() {
        let mut watch = Watch::default();
        for id in 1..=3 {
            watch.falls_silent(id, 10);
        }
        watch.look(HEARS, 10);
        watch.returns(1, BACK);
        watch.returns(2, BACK);
        assert_eq!(watch.look(HEARS, 60), Verdict::Same);
        assert_eq!(watch.0.standing().unwrap().changed, at(60));
        watch.returns(3, BACK);
        let lasted = Duration::from_secs(60);
        let healed = Verdict::Healed { lasted, sides: 2 };
        assert_eq!(watch.look(HEARS, 70), healed);
        assert_eq!(watch.kind(), None);
    }

    #[test]
    fn the_sides_are_those_that_the_returned_name() {
        let sides = |returns: &[Return]| {
            let mut watch = Watch::default();
            (1..=returns.len()).for_each(|id| watch.falls_silent(id as u64, 10));
            watch.look(HEARS, 10);
            for (id, how) in (1..).zip(returns) {
                watch.returns(id, *how);
            }
            match watch.look(HEARS, 20) {
                Verdict::Healed { sides, .. } => sides,
                other => panic!("{other:?}"),
            }
        };
        let (one, two) = (BACK, Return::Lived(Some(NodeId(2))));
        assert_eq!(sides(&[one, one, two]), 3);
        assert_eq!(sides(&[one, Return::Lived(None)]), 2);
        assert_eq!(sides(&[Return::Lived(None), Return::Restarted]), 2);
        assert_eq!(sides(&[Return::Restarted, Return::Restarted]), 1);
    }

    #[test]
    fn a_single_one_that_names_its_side_was_cut_off() {
        let back = |how| {
            let mut watch = Watch::default();
            watch.falls_silent(7, 10);
            assert_eq!(watch.look(HEARS, 10), Verdict::Same);
            watch.returns(7, how);
            let seen = watch.look(HEARS, 30);
            assert_eq!(watch.look(HEARS, 31), Verdict::Same, "it is told once");
            seen
        };
        let lasted = Duration::from_secs(20);
        let healed = Verdict::Healed { lasted, sides: 2 };
        assert_eq!(back(Return::Lived(Some(NodeId(7)))), healed);
        assert_eq!(back(Return::Lived(None)), Verdict::Same, "it stood still");
        assert_eq!(back(Return::Restarted), Verdict::Same);
    }

    #[test]
    fn a_straggler_of_a_partition_is_no_other_one() {
        let mut watch = Watch::default();
        watch.falls_silent(9, 0);
        (1..=2).for_each(|id| watch.falls_silent(id, 30));
        watch.look(HEARS, 30);
        (1..=2).for_each(|id| watch.returns(id, BACK));
        assert!(matches!(watch.look(HEARS, 40), Verdict::Healed { .. }));
        watch.returns(9, BACK);
        assert_eq!(watch.look(HEARS, 41), Verdict::Same);
    }

    #[test]
    fn who_stands_still_soon_after_it_was_cut_off_is_not_cut_off_again() {
        let mut watch = Watch::default();
        for (silent, back, told) in [(10, 30, true), (33, 40, false), (60, 70, true)] {
            watch.falls_silent(7, silent);
            watch.returns(7, BACK);
            let healed = matches!(watch.look(HEARS, back), Verdict::Healed { .. });
            assert_eq!(healed, told, "silent at {silent} s");
        }
    }

    #[test]
    fn a_partition_whose_lost_members_were_all_removed_was_not_healed() {
        let mut watch = Watch::default();
        watch.falls_silent(1, 10);
        watch.falls_silent(2, 10);
        watch.look(HEARS, 10);
        watch.0.on_gone(NodeId(1));
        watch.0.on_gone(NodeId(2));
        assert_eq!(watch.look(HEARS, 20), Verdict::Over);
    }

    #[test]
    fn who_hears_nobody_is_isolated() {
        let deaf = Hearing {
            silence: Duration::from_secs(5),
            unanswered: Duration::from_secs(50),
            ..HEARS
        };
        let mut watch = Watch::default();
        assert_eq!(watch.look(deaf, 10), Verdict::Detected);
        assert_eq!(watch.kind(), Some(PartitionKind::Isolated));
        assert_eq!(watch.0.standing().unwrap().since, at(5));
        assert!(watch.0.is_alone());
        let lasted = Duration::from_secs(15);
        let healed = Verdict::Healed { lasted, sides: 2 };
        assert_eq!(watch.look(HEARS, 20), healed);
        let mut alone = PartitionWatch::default();
        assert_eq!(
            alone.assess(&Config::lan(), deaf, 0, at(500)),
            Verdict::Same
        );
    }

    #[test]
    fn a_cut_of_which_half_is_heard_all_the_same_is_one_way() {
        let mut watch = Watch::default();
        (1..=4).for_each(|id| watch.falls_silent(id, 10));
        watch.look(HEARS, 10);
        watch.0.on_packet(NodeId(1), at(11));
        watch.0.on_packet(NodeId(9), at(11));
        assert_eq!(watch.0.take_heard(at(12)), []);
        assert_eq!(watch.0.take_heard(at(13)), [NodeId(1)]);
        watch.0.on_heard(NodeId(1));
        assert_eq!(watch.look(HEARS, 14), Verdict::Same);
        watch.0.on_heard(NodeId(2));
        assert_eq!(watch.look(HEARS, 15), Verdict::Detected);
        assert_eq!(watch.kind(), Some(PartitionKind::OneWay));
        assert!(!watch.0.is_alone());
        watch.0.on_packet(NodeId(3), at(16));
        assert_eq!(watch.0.take_heard(at(30)), [], "it is known");
        (1..=4).for_each(|id| watch.returns(id, BACK));
        assert!(matches!(watch.look(HEARS, 40), Verdict::Healed { .. }));
    }

    #[test]
    fn who_hears_others_and_is_never_answered_is_at_the_wrong_end_of_a_one_way_link() {
        let unheard = |secs| Hearing {
            unanswered: Duration::from_secs(secs),
            ..HEARS
        };
        let mut watch = Watch::default();
        assert_eq!(watch.look(unheard(8), 20), Verdict::Same);
        assert_eq!(watch.look(unheard(9), 21), Verdict::Detected);
        assert_eq!(watch.kind(), Some(PartitionKind::OneWay));
        assert!(watch.0.is_alone());
    }

    #[test]
    fn who_is_accused_and_not_answered_need_not_wait_so_long() {
        let told = |unanswered, accused, silence| Hearing {
            silence: Duration::from_secs(silence),
            unanswered: Duration::from_secs(unanswered),
            accused: Duration::from_millis(accused),
        };
        let mut watch = Watch::default();
        assert_eq!(watch.look(told(5, 1000, 0), 20), Verdict::Same);
        assert_eq!(watch.look(told(4, 2000, 0), 20), Verdict::Same);
        assert_eq!(watch.look(told(5, 2000, 0), 21), Verdict::Detected);
        assert_eq!(watch.kind(), Some(PartitionKind::OneWay));
        let quiet = watch.look(told(14, 11_000, 9), 30);
        assert_eq!(quiet, Verdict::Same, "nobody speaks to the dead");
        assert_eq!(watch.kind(), Some(PartitionKind::OneWay));
        assert!(matches!(watch.look(HEARS, 40), Verdict::Healed { .. }));
    }

    #[test]
    fn who_spoke_after_it_was_accused_is_heard() {
        let mut watch = Watch::default();
        watch.0.on_spoken(NodeId(1), at(9));
        (1..=2).for_each(|id| watch.falls_silent(id, 10));
        assert_eq!(watch.0.take_heard(at(10)), [], "it was no member lost then");
        watch.0.on_spoken(NodeId(2), at(10));
        assert_eq!(watch.0.take_heard(at(10)), [NodeId(2)]);
    }
}
