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
/// So many others are asked by a node that reached nobody and hears somebody.
pub(crate) const WAKING_ASKED: usize = 32;
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
    Over {
        /// How long it stood.
        lasted: Duration,
    },
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
    /// As another process: it can name no side.
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
    /// Whom it took away; if nobody, this node is, or was, alone.
    took: BTreeSet<NodeId>,
    /// The side that this node is on.
    pub(crate) side: Option<NodeId>,
    /// Whether it has said so.
    said: bool,
    /// When somebody last came back.
    returned: Option<Instant>,
    /// The sides that those who came back were on.
    sides: BTreeSet<NodeId>,
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
    /// It reached nobody, and hears somebody now.
    waking: Option<Waking>,
    /// The last one that stood, and when it ended.
    last: Option<(Standing, Instant)>,
    /// Single members that came back since the last look, and had been cut off.
    castaways: Option<Castaways>,
    /// When that was told last.
    landed: Option<Instant>,
}

/// A node that reached nobody judged nobody: it holds all others as present still. That it hears one
/// of them does not show that it reaches the rest.
#[derive(Debug)]
struct Waking {
    since: Instant,
    /// Who answered it since.
    answered: BTreeSet<NodeId>,
}

impl Waking {
    /// Whether it is back among the others: most of all, or many, or all whom it does not know for
    /// failed by now, have answered; or whoever did not has had time to be found out.
    fn is_over(&self, config: &Config, awaited: usize, others: usize, now: Instant) -> bool {
        let answered = self.answered.len() + 1;
        answered * 2 > others + 1
            || answered > WAKING_ASKED / 2
            || answered >= awaited
            || now.since(self.since) >= config.suspicion_max * 2
    }
}

/// Single members whose silence looked like a failure, and that were cut off.
#[derive(Debug)]
struct Castaways {
    /// When the first of them fell silent.
    since: Instant,
    /// The sides that they name.
    sides: BTreeSet<NodeId>,
}

/// Whether this node reaches nobody of the `others` that it holds, and how. `was`: what that
/// was called so far. Who is not heard will be spoken to no more, and then hears nobody either.
fn alone(
    config: &Config,
    hearing: Hearing,
    others: usize,
    was: Option<PartitionKind>,
) -> Option<PartitionKind> {
    let deaf = is_deaf(config, hearing.silence);
    let unheard = was == Some(PartitionKind::OneWay) || is_accused(hearing);
    if others < CUT_MIN {
        None
    } else if deaf && !unheard {
        Some(PartitionKind::Isolated)
    } else {
        (deaf || is_unheard(config, hearing)).then_some(PartitionKind::OneWay)
    }
}

/// Whether silence has lasted so long that the reason may be this node's own.
pub(crate) fn is_deaf(config: &Config, silence: Duration) -> bool {
    silence >= config.silence_min.max(config.probe_interval) * ISOLATED_SILENCES
}

/// Whether others accused this node, and its objection was not heard.
fn is_accused(hearing: Hearing) -> bool {
    hearing.accused >= REFUTED_PATIENCE
}

/// Whether others are heard, and nobody answers.
fn is_unheard(config: &Config, hearing: Hearing) -> bool {
    let silences = match is_accused(hearing) {
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

    /// Whether a member is behind a partition from which nobody came back, or only since less than
    /// `patience`. After that, who is lost still is dead for all that is known.
    pub(crate) fn holds(&self, id: NodeId, patience: Duration, now: Instant) -> bool {
        let returned = self.open.as_ref().and_then(|open| open.returned);
        self.lost.contains(&id) && returned.is_none_or(|at| now.since(at) < patience)
    }

    /// On which side of the partition that stands this node is; or that ended so short a time ago,
    /// where it has said nothing of itself since that one was detected: whoever held it dead over
    /// there heard what it said then, and who finds it dead later does so for another reason.
    pub(crate) fn say_side(&mut self, age_max: Duration, now: Instant) -> Option<NodeId> {
        let standing = match (&mut self.open, &mut self.last) {
            (Some(open), _) => open,
            (None, Some((last, ended))) if now.since(*ended) <= age_max && !last.said => last,
            _ => return None,
        };
        standing.said = true;
        standing.side
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

    /// Whether it did, and hears somebody now: it is to ask others, again and again.
    pub(crate) fn is_waking(&self) -> bool {
        self.waking.is_some()
    }

    /// Somebody answered.
    pub(crate) fn on_answered(&mut self, id: NodeId) {
        if let Some(waking) = &mut self.waking {
            waking.answered.insert(id);
        }
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
                open.took.insert(id);
            }
        }
    }

    /// A member is back.
    pub(crate) fn on_returned(&mut self, id: NodeId, how: Return, config: &Config, now: Instant) {
        match (&mut self.open, how) {
            (Some(open), how) if self.lost.contains(&id) => {
                open.returned = Some(now);
                if let Return::Lived(side) = how {
                    // Who named its side early may have held somebody of this one for a mate.
                    open.sides
                        .extend(side.filter(|side| open.took.contains(side)));
                }
            }
            (None, Return::Lived(Some(side))) => {
                if let Some(&silent) = self.silent.get(&id) {
                    self.on_castaway(side, silent, config);
                }
            }
            _ => {}
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

    /// Looks at what is known. `others`: how many others belong to the cluster; `awaited`: how many
    /// members are not known to have failed, this node included.
    pub(crate) fn assess(
        &mut self,
        config: &Config,
        hearing: Hearing,
        awaited: usize,
        others: usize,
        now: Instant,
    ) -> Verdict {
        let was = self.alone;
        let named = was.or_else(|| self.open.as_ref().map(|open| open.kind));
        self.alone = alone(config, hearing, others, named);
        match (was, self.alone) {
            (Some(kind), None) if others >= CUT_MIN => {
                let waking = self.waking.get_or_insert_with(|| Waking {
                    since: now,
                    answered: BTreeSet::new(),
                });
                if waking.is_over(config, awaited, others, now) {
                    self.waking = None;
                } else {
                    self.alone = Some(kind);
                }
            }
            _ => self.waking = None,
        }
        if was.is_some() && self.alone.is_none() && !self.lost.is_empty() {
            // Those whom it found dead meanwhile may be as near as the first one who is heard.
            self.dirty = true;
            return Verdict::Same;
        }
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
            took: BTreeSet::new(),
            side: None,
            said: false,
            returned: None,
            sides: BTreeSet::new(),
        });
        (open.kind, open.changed) = (kind, now);
        open.took.extend(&self.lost);
        self.open = Some(open);
    }

    fn close(&mut self, now: Instant) -> Verdict {
        let Some(open) = self.open.take() else {
            return Verdict::Same;
        };
        // Whoever was alone lost nobody: the others were there, wherever that was.
        let was_alone = open.took.is_empty();
        let verdict = if open.returned.is_some() || was_alone {
            let others = open.sides.len().max(1);
            let lasted = now.since(open.since);
            let sides = 1 + others;
            Verdict::Healed { lasted, sides }
        } else {
            let lasted = now.since(open.since);
            Verdict::Over { lasted }
        };
        self.last = Some((open, now));
        verdict
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests;
