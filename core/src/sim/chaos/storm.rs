//! A storm: a world in which a schedule happens, and who should be in its cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::check::Invariant;
use super::super::protocol::Health;
use super::super::world::{Machine, World};
use super::Outcome;
use super::joins::Joining;
use super::schedule::{NODES_MAX, Schedule, may_move};
use crate::config::Config;
use crate::engine::{Departure, Engine};
use crate::member::{Admission, State};
use crate::message::ClusterId;
use crate::name::NodeId;
use crate::output::{Event, Signal};
use crate::time::Instant;

/// How often the whole is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Two members that have been well, on links that are whole, for this long hold each other as
/// present. Survivors of many look for each other among the dead, one call a heal interval.
const STAYS_OUT_MAX: Duration = Duration::from_secs(120);
/// A command that has not ended after this long never will.
pub(super) const COMMAND_MAX: Duration = Duration::from_secs(30);
/// How many of those who never move everyone knows: who comes back finds one of them.
const ANCHORS_MIN: usize = 2;
/// How many doubts and verdicts are told of a run that went wrong.
const TOLD_MAX: usize = 60;
/// The loss above which nobody is expected to do well.
const LOSS_BEARABLE: f64 = 0.1;

pub(super) struct Storm {
    pub(super) world: World<Engine>,
    pub(super) nodes: usize,
    /// The cluster that all this is about.
    pub(super) cluster: ClusterId,
    /// Its members, up or down. Those who are joining are neither in nor out until that has ended.
    pub(super) inside: BTreeSet<usize>,
    pub(super) joining: BTreeMap<usize, Joining>,
    /// Members that were told to join another one again.
    pub(super) rejoining: BTreeMap<usize, Joining>,
    /// Since when members are members, where they are not founders.
    pub(super) joined: BTreeMap<usize, Instant>,
    /// Members that removed somebody. They stay: what they know nobody else may have heard.
    pub(super) removers: BTreeSet<usize>,
    /// Which stay of whom was ended.
    pub(super) removed: BTreeMap<usize, Admission>,
    /// Nodes that ever ran.
    pub(super) ran: BTreeSet<usize>,
    pub(super) said: Vec<String>,
    /// Who says goodbye at this moment.
    departing: Option<usize>,
    pub(super) applied: usize,
    pub(super) converged_after: Option<Duration>,
    /// When each node was last not well, or not well connected.
    disturbed: Vec<Instant>,
    looked: Instant,
}

impl Storm {
    pub(super) fn new(schedule: &Schedule, config: Config) -> Self {
        let mut world = World::empty(schedule.seed, config);
        world.machine = Machine::MEASURED;
        world.checks = true;
        Self {
            world,
            nodes: schedule.nodes,
            cluster: ClusterId(0),
            inside: (0..schedule.nodes).collect(),
            joining: BTreeMap::new(),
            rejoining: BTreeMap::new(),
            joined: BTreeMap::new(),
            removers: BTreeSet::new(),
            removed: BTreeMap::new(),
            ran: (0..schedule.nodes).collect(),
            said: Vec::new(),
            departing: None,
            applied: 0,
            converged_after: None,
            disturbed: vec![Instant::ORIGIN; NODES_MAX],
            looked: Instant::ORIGIN,
        }
    }

    /// The cluster forms.
    pub(super) fn begin(&mut self) {
        self.world.grow(self.nodes);
        self.cluster = self.world.nodes[0].engine().membership().cluster;
        for _ in self.nodes..NODES_MAX {
            self.world.add_down();
        }
        self.disturbed.fill(self.world.now);
    }

    pub(super) fn play(&mut self, schedule: &Schedule) {
        for (wait, step) in &schedule.steps {
            self.pass(*wait);
            if self.is_broken() {
                return;
            }
            if self.apply(step) {
                self.applied += 1;
                self.look();
            }
        }
    }

    pub(super) fn say(&mut self, what: impl std::fmt::Display) {
        let at = self.world.now;
        self.said.push(format!("{at:>12.3?} {what}"));
    }

    /// Whether something did not hold: there is no point in going on.
    pub(super) fn is_broken(&self) -> bool {
        !self.world.checked.violations.is_empty()
    }

    pub(super) fn outcome(self) -> Outcome {
        let mut story = self.said.join("\n");
        if self.is_broken() {
            let told = self.last_told().join("\n");
            story = format!("{story}\n{told}\n{}", self.world.describe());
        }
        Outcome {
            trace: self.world.trace(),
            violations: self.world.checked.violations.clone(),
            story,
            converged_after: self.converged_after,
            lasted: self.world.now.since(Instant::ORIGIN),
            applied: self.applied,
        }
    }

    /// The last doubts and verdicts that were told.
    fn last_told(&self) -> Vec<String> {
        let mut told = Vec::new();
        for (number, node) in self.world.nodes.iter().enumerate() {
            told.extend(node.events.iter().filter_map(|(at, event)| {
                let (word, about) = match event {
                    Event::MemberSuspected(about) => ("suspects", about),
                    Event::MemberRefuted(about) => ("trusts again", about),
                    Event::MemberFailed { member, .. } => ("has found dead", member),
                    _ => return None,
                };
                Some((*at, format!("{at:>12.3?} n{number} {word} {}", about.name)))
            }));
        }
        told.sort();
        let surplus = told.len().saturating_sub(TOLD_MAX);
        let last = told.into_iter().skip(surplus);
        last.map(|(_, line)| line).collect()
    }

    // ---- time ----

    /// Lets time pass, and looks at the whole now and then. Ends early where something is wrong.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.world.now + time;
        while self.world.now < end && !self.is_broken() {
            let left = end - self.world.now;
            self.world.run_for(left.min(LOOK_EVERY));
            if self.world.now.since(self.looked) >= LOOK_EVERY {
                self.look();
            }
        }
    }

    /// Lets a node say goodbye to its end. False where it can't, or nothing came of it.
    pub(super) fn depart(&mut self, node: usize, departure: Departure) -> bool {
        let before = self.world.nodes[node].signals.len();
        let begun = self.world.now;
        let told = self
            .world
            .tell(node, |engine, now| engine.leave(now, departure));
        if let Err(error) = told {
            self.say(format!("not begun: {error}"));
            return false;
        }
        self.departing = Some(node);
        while self.world.now.since(begun) < COMMAND_MAX && !self.is_broken() {
            let mut signals = self.world.nodes[node].signals[before..].iter();
            if signals.any(|(_, signal)| *signal == Signal::LeaveEnded) {
                self.departing = None;
                return true;
            }
            self.pass(Duration::from_millis(10));
        }
        if !self.is_broken() {
            let what = format!("the goodbye of n{node}");
            self.world.violate(Invariant::CommandsEnd, what);
        }
        false
    }

    fn look(&mut self) {
        let now = self.world.now;
        self.looked = now;
        self.resolve_joins();
        let well: Vec<_> = (0..NODES_MAX).filter(|&n| self.is_well(n)).collect();
        for node in (0..NODES_MAX).filter(|node| !well.contains(node)) {
            self.disturbed[node] = now;
        }
        let long = |&&node: &&usize| now.since(self.disturbed[node]) >= STAYS_OUT_MAX;
        let long: Vec<_> = well.iter().filter(long).copied().collect();
        for &observer in &long {
            let out = long
                .iter()
                .find(|&&subject| self.world.health(observer, subject) > Health::Suspect);
            if let Some(&subject) = out {
                let health = self.world.health(observer, subject);
                let what = format!("n{observer} holds n{subject} as {health:?}");
                self.world.violate(Invariant::TheHealthyStayIn, what);
                return;
            }
        }
    }

    /// Whether a node is a member, runs as it should, and reaches all members that run.
    fn is_well(&self, node: usize) -> bool {
        let network = &self.world.network;
        let calm = network.loss <= LOSS_BEARABLE && network.bandwidth.is_none();
        let mut lossy = network.host_loss.iter();
        let slow = self
            .world
            .machine
            .slow
            .is_some_and(|(slow, _)| slow == node);
        let mut narrow = network.host_bandwidth.iter();
        let slow = slow || narrow.any(|&(host, _)| host == node);
        let alone = slow || lossy.any(|&(host, ..)| host == node);
        let runs = |node: usize| {
            let process = self.world.nodes[node].process.as_ref();
            process.is_some_and(|process| process.reads())
        };
        let mut others = self.inside.iter().filter(|&&other| runs(other));
        calm && !alone
            && self.departing != Some(node)
            && self.inside.contains(&node)
            && runs(node)
            && others.all(|&other| network.is_whole(node, other))
    }

    // ---- who may go ----

    /// Whether a member may go for good: all who stay must know enough others who stay, and who
    /// do not move.
    pub(super) fn may_go(&self, node: usize) -> bool {
        let mut joining = self.joining.values().chain(self.rejoining.values());
        let needed = joining.any(|joining| joining.by == node);
        let stay = self.inside.iter().copied().filter(|&other| other != node);
        let stay: BTreeSet<_> = stay.collect();
        let anchors: BTreeMap<NodeId, usize> = stay
            .iter()
            .filter(|&&other| !may_move(other))
            .map(|&other| (self.world.nodes[other].id(), other))
            .collect();
        let knows_enough = |&other: &usize| {
            let known = self.known_by(other);
            let known = known.iter().filter_map(|id| anchors.get(id));
            known.filter(|&&anchor| anchor != other).count() >= ANCHORS_MIN
        };
        !needed && !self.removers.contains(&node) && stay.iter().all(knows_enough)
    }

    /// Whom a node can find again by itself.
    pub(super) fn known_by(&self, node: usize) -> BTreeSet<NodeId> {
        let node = &self.world.nodes[node];
        let known = match &node.process {
            Some(process) => process.engine.acquaintances(),
            None => node.memory.contacts.clone(),
        };
        let findable = known
            .iter()
            .filter(|entry| matches!(entry.standing.state, State::Alive | State::Failed));
        findable.map(|entry| entry.name.id()).collect()
    }
}
