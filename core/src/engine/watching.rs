//! Watching: partitions, which side of them this node is on, and whether that has quorum.

use std::time::Duration;

use super::Engine;
use crate::member::{Life, Profile, State};
use crate::message::Failed;
use crate::name::{NodeId, NodeName};
use crate::output::{Class, Downed, Event, Partition, PartitionKind, Signal};
use crate::partition::{Hearing, Verdict, WAKING_ASKED};
use crate::probe::Purpose;
use crate::quorum::Sides;
use crate::split_brain::Among;
use crate::suspicion::Suspicion;
use crate::time::Instant;
use crate::timers::Timer;

/// How long changes are collected before they are looked at: a side is found dead one by one, and
/// is told of as a whole. As long again may lie between two nodes of a side.
const ASSESS_AFTER: Duration = Duration::from_millis(500);

/// A cluster that has lost one member in so many is torn.
const TORN_ONE_IN: usize = 4;

impl Engine {
    // ---- partitions ----

    /// Something changed about who is lost: it is looked at in a moment.
    pub(super) fn assess_soon(&mut self, now: Instant) {
        if self.watch.is_dirty() {
            self.timers.set_by(Timer::Assess, now + ASSESS_AFTER);
        }
    }

    /// A member was found dead, so long ago.
    pub(super) fn watch_failed(&mut self, now: Instant, id: NodeId, ago: Duration) {
        let Some(member) = self.roster.member(id).filter(|m| m.is_failed()) else {
            return;
        };
        let (refused, heard) = (member.refused, member.heard);
        if refused {
            self.watch.on_gone(id);
        } else {
            self.watch.on_silent(id, &self.config, now, ago);
            let suspicion = self.suspicions.get(&id);
            if suspicion.is_some_and(Suspicion::is_of_the_heard) {
                self.watch.on_spoken(id, now);
            }
        }
        if heard {
            self.watch.on_heard(id);
        }
        self.assess_soon(now);
    }

    /// Tells the others whom this node hears of the lost, who do not hear it: what they would
    /// answer to it would have made them members again by now. No more than the verdict needs.
    pub(super) fn tell_heard(&mut self, now: Instant) {
        for id in self.watch.take_heard(now) {
            let member = self.roster.member(id).filter(|m| m.is_failed());
            let Some((life, refused)) = member.map(|m| (m.standing.life, m.refused)) else {
                continue;
            };
            let heard = Failed {
                id,
                life,
                by: self.me,
                accusers: self.config.verdict_quorum,
                doubtful: false,
                refused,
                heard: true,
            };
            if self.roster.learn_how(id, refused, true) {
                self.on_failure_known(now, self.me, &heard);
            }
        }
    }

    pub(super) fn assess_partition(&mut self, now: Instant) {
        self.timers.stop(Timer::Assess);
        if self.is_departing() {
            return;
        }
        let hearing = Hearing {
            silence: self.awareness.silence(now),
            unanswered: self.questions.unanswered(now),
            accused: self.questions.accused(now),
        };
        let others = self.everybody().saturating_sub(1);
        let dirty = self.watch.is_dirty();
        let awaited = self.roster.present() + self.mates.len();
        let woke = self.watch.is_waking();
        let verdict = self
            .watch
            .assess(&self.config, hearing, awaited, others, now);
        if self.watch.is_waking() && !woke {
            self.ask_who_is_there(now);
        }
        self.hold_the_lost(now);
        self.update_quorum();
        if dirty || !self.is_partition_described() {
            self.describe_partition();
        }
        match verdict {
            Verdict::Same => {}
            Verdict::Over { lasted } => {
                self.event(Event::PartitionHealed { lasted, sides: 1 });
            }
            Verdict::Detected => {
                self.name_side();
                self.say_side(now);
                let partition = self.partition.clone();
                partition
                    .into_iter()
                    .for_each(|partition| self.event(Event::PartitionDetected(partition)));
            }
            Verdict::Healed { lasted, sides } => {
                self.event(Event::PartitionHealed { lasted, sides });
            }
        }
        self.resolve_split(now);
        self.assess_soon(now);
    }

    /// Asks others at random, while this node reached nobody and hears somebody by now: who it reaches
    /// decides whether it is back among them.
    pub(super) fn ask_who_is_there(&mut self, now: Instant) {
        if !self.watch.is_waking() {
            return;
        }
        let others = self.roster.members();
        let others = others.filter(|(id, member)| *id != self.me && member.is_present());
        let mut others: Vec<_> = others.map(|(id, _)| id).collect();
        self.rng.shuffle(&mut others);
        for id in others.into_iter().take(WAKING_ASKED) {
            let seq = self.questions.ask(id, Purpose::Contact, now);
            self.send_ping(id, Class::Datagram, seq);
        }
    }

    /// Whether so many are lost that the ring neighbours of most have changed, and many of those who
    /// were to pass news on were dead: what was missed is looked for at once, not when the last
    /// verdict has come.
    pub(super) fn is_torn(&self) -> bool {
        self.watch.lost().len() * TORN_ONE_IN >= self.everybody()
    }

    /// How many belong to the cluster, as far as this node knows, wherever they are.
    pub(super) fn everybody(&self) -> usize {
        self.roster.present() + self.missing()
    }

    /// How many of them are not present. Whom this node remembers and has not met since its start
    /// counts as well: one of a fleet that is restarted alone has no quorum.
    fn missing(&self) -> usize {
        self.roster.failed() + self.mates.len()
    }

    fn describe_partition(&mut self) {
        let described = self.watch.standing().map(|open| {
            let mut unreachable = if self.watch.is_alone() {
                self.names_of_all_others()
            } else {
                self.names(self.watch.lost().iter().copied())
            };
            unreachable.sort_unstable();
            Partition {
                kind: open.kind,
                share: self.share(unreachable.len()),
                unreachable,
                quorum: self.quorum,
                since: open.since,
            }
        });
        if self.partition != described {
            self.partition = described;
            self.changed.insert(self.me);
        }
    }

    pub(super) fn names(&self, ids: impl Iterator<Item = NodeId>) -> Vec<NodeName> {
        ids.filter_map(|id| self.name_of(id)).collect()
    }

    /// Whether the description of a cut still holds, where nobody was lost or came back since.
    fn is_partition_described(&self) -> bool {
        match (&self.partition, self.watch.standing()) {
            (None, None) => true,
            (Some(described), Some(open)) => {
                !self.watch.is_alone()
                    && described.kind == open.kind
                    && described.quorum == self.quorum
                    && described.share == self.share(described.unreachable.len())
            }
            _ => false,
        }
    }

    /// The part of all that so many are.
    fn share(&self, count: usize) -> f64 {
        count as f64 / self.everybody().max(1) as f64
    }

    /// Who belongs to the cluster, as far as this node knows, and is not this node.
    fn names_of_all_others(&self) -> Vec<NodeName> {
        let all = self.lives().map(|(id, _)| id);
        self.names(all.filter(|&id| id != self.me))
    }

    /// Who belongs to the cluster, as far as this node knows, at which life.
    fn lives(&self) -> impl Iterator<Item = (NodeId, Life)> {
        let belongs = |state| matches!(state, State::Alive | State::Failed);
        let members = self.roster.members();
        let members = members.filter(move |(_, member)| belongs(member.standing.state));
        let members = members.map(|(id, member)| (id, member.standing.life));
        let mates = self.mates.iter().filter_map(|id| {
            let life = self.roster.acquaintance(id)?.standing.life;
            Some((id, life))
        });
        members.chain(mates)
    }

    /// The side that this node is on, or was on until just now, to be said.
    pub(super) fn said_side(&mut self, now: Instant) -> Option<NodeId> {
        self.watch.say_side(self.config.suspicion_max, now)
    }

    /// Names it by the least id of those who are on it: all of them name it alike.
    fn name_side(&mut self) {
        let side = if self.watch.is_alone() {
            Some(self.me)
        } else {
            let present = self
                .roster
                .members()
                .filter(|(_, member)| member.is_present());
            present.map(|(id, _)| id).min()
        };
        self.watch.name_side(side);
    }

    /// Who hears accusations and is not heard has refuted them before it knew why: what is heard of
    /// it first would name no side. It says it anew. Who hears nobody was told nothing yet.
    fn say_side(&mut self, now: Instant) {
        let unheard = self.watch.standing().is_some_and(|open| {
            open.kind == PartitionKind::OneWay && open.side != self.profile.side
        });
        if self.watch.is_alone() && unheard {
            let life = self.profile.life.above(self.profile.life.incarnation);
            let profile = (*self.profile).clone();
            self.announce(now, Profile { life, ..profile });
        }
    }

    // ---- quorum ----

    /// Whether this side has quorum now.
    pub(super) fn computed_quorum(&self) -> bool {
        let (rule, tie) = (self.config.quorum, self.config.quorum_tie);
        self.sides()
            .has_quorum(rule, tie, || self.has_oldest(Among::All))
    }

    fn sides(&self) -> Sides {
        Sides {
            present: self.roster.present(),
            lost: self.missing(),
            alone: self.watch.is_alone(),
        }
    }

    /// Whether the oldest member is present.
    fn has_oldest(&self, among: Among) -> bool {
        let age = |&(id, life): &(NodeId, Life)| (life.incarnation, id);
        let parted = |id: &NodeId| self.is_present(*id) || self.watch.lost().contains(id);
        let counts = |(id, _): &(NodeId, Life)| among == Among::All || parted(id);
        let oldest = self.lives().filter(counts).min_by_key(age);
        oldest.is_some_and(|(id, _)| self.is_present(id))
    }

    pub(super) fn update_quorum(&mut self) {
        if self.is_departing() {
            return;
        }
        let quorum = self.computed_quorum();
        if quorum != self.quorum {
            self.quorum = quorum;
            self.changed.insert(self.me);
            self.event(if quorum {
                Event::QuorumGained
            } else {
                Event::QuorumLost
            });
        }
    }

    // ---- split brain ----

    /// Goes down where the partition has stood for long enough and this side is to give up; comes
    /// up where it is not any more.
    fn resolve_split(&mut self, now: Instant) {
        if self.is_down_since_before(now) {
            return;
        }
        let policy = self.config.split_brain;
        let Some(changed) = self.watch.standing().map(|open| open.changed) else {
            return self.come_up_for_good();
        };
        let tie = self.config.quorum_tie;
        if policy.keeps(self.sides(), tie, |among| self.has_oldest(among)) {
            return self.come_up_for_good();
        }
        // Another member that fails may turn the scale: that too has to last.
        let losing = *self.losing.get_or_insert(now);
        let due = changed.max(losing) + self.config.stable_after;
        if self.down.is_none() && now < due {
            self.timers.set_by(Timer::Assess, due);
        } else if self.down.is_none() {
            self.go_down(Downed {
                policy,
                present: self.roster.present(),
                all: self.everybody(),
                since: now,
                resumed: false,
            });
        }
    }

    fn come_up_for_good(&mut self) {
        self.losing = None;
        if self.come_up() {
            self.signal_membership();
        }
    }

    pub(super) fn go_down(&mut self, downed: Downed) {
        self.down = Some(downed.clone());
        self.changed.insert(self.me);
        self.event(Event::Downed(downed));
        self.signal(Signal::Down(true));
        self.signal_membership();
    }

    /// True where it was down.
    pub(super) fn come_up(&mut self) -> bool {
        let was_down = self.down.take().is_some();
        if was_down {
            self.changed.insert(self.me);
            self.event(Event::Restored);
            self.signal(Signal::Down(false));
        }
        was_down
    }
}
