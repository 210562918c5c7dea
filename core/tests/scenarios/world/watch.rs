//! What tests ask of a world, and the usual beginnings of one.

use std::collections::BTreeSet;
use std::time::Duration;

use convoke_core::member::State;
use convoke_core::output::JoinError;
use convoke_core::{Departure, Event, Instant, Signal, Target};

use super::{World, WrongFailure};

/// A member's state as an operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    Unknown,
    Alive,
    Suspect,
    Failed,
    Left,
    Removed,
}

impl World {
    /// A cluster of `size` nodes that has come to rest: everyone joined node 0, a few at a time.
    pub(crate) fn cluster(seed: u64, size: usize) -> Self {
        let mut world = Self::new(seed);
        world.grow(size);
        world
    }

    /// Adds `size` nodes (the first one of the world founds the cluster) and lets it come to rest.
    pub(crate) fn grow(&mut self, size: usize) {
        let first = self.nodes.len();
        self.add_many(size);
        for number in first.max(1)..first + size {
            self.begin_join(number, 0);
            if number % 8 == 0 {
                self.run_for(Duration::from_millis(20));
            }
        }
        let converged = self.run_until(Duration::from_secs(20), Self::is_converged);
        assert!(
            converged.is_some(),
            "a cluster of {size} forms:\n{}",
            self.describe()
        );
        self.run_for(Duration::from_secs(5));
        assert!(
            self.is_converged(),
            "a cluster at rest stays so:\n{}",
            self.describe()
        );
    }

    /// Begins a join that may be begun.
    pub(crate) fn begin_join(&mut self, joiner: usize, target: usize) {
        let target = Target::Node(self.nodes[target].contact());
        self.tell(joiner, |engine, now| engine.join(now, target))
            .expect("the join is begun");
    }

    /// A join, and how it ended.
    pub(crate) fn join(&mut self, joiner: usize, target: usize) -> Result<(), JoinError> {
        let target = Target::Node(self.nodes[target].contact());
        self.tell(joiner, |engine, now| engine.join(now, target))?;
        self.join_ended(joiner)
    }

    /// Waits for the end of a join that has been begun.
    pub(crate) fn join_ended(&mut self, joiner: usize) -> Result<(), JoinError> {
        let ends = |world: &Self| {
            let ended = |(_, signal): &&_| matches!(signal, Signal::JoinEnded(_));
            world.nodes[joiner].signals.iter().filter(ended).count()
        };
        let before = ends(self);
        self.run_until(Duration::from_secs(15), |world| ends(world) > before)
            .expect("a join ends within its limit");
        let last = self.nodes[joiner]
            .signals
            .iter()
            .rev()
            .find_map(|(_, signal)| match signal {
                Signal::JoinEnded(result) => Some(result.clone()),
                _ => None,
            });
        last.expect("counted above")
    }

    /// A leave, until its end.
    pub(crate) fn leave(&mut self, leaver: usize, departure: Departure) {
        let begun = self.now;
        self.tell(leaver, |engine, now| engine.leave(now, departure))
            .expect("the leave is begun");
        let ended = |world: &Self| {
            let mut signals = world.nodes[leaver].signals.iter().rev();
            signals.any(|(at, signal)| *at >= begun && *signal == Signal::LeaveEnded)
        };
        self.run_until(Duration::from_secs(5), ended)
            .expect("a leave ends within its linger");
    }

    /// The graceful end of a process.
    pub(crate) fn shut_down(&mut self, number: usize) {
        self.leave(number, Departure::Shutdown);
        self.crash(number);
    }

    /// The numbers of the nodes that run.
    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|&number| self.nodes[number].is_running())
            .collect()
    }

    /// Whether all nodes that run hold the same members: themselves.
    pub(crate) fn is_converged(&self) -> bool {
        self.agree(&self.running())
    }

    /// Whether these nodes hold each other, and nobody else, as present.
    pub(crate) fn agree(&self, group: &[usize]) -> bool {
        let engine = |number: usize| self.nodes[number].engine();
        let Some(&first) = group.first() else {
            return true;
        };
        let fingerprint = engine(first).fingerprint();
        let same = |&number: &usize| {
            engine(number).size() == group.len() && engine(number).fingerprint() == fingerprint
        };
        group.iter().all(same)
            && group
                .iter()
                .all(|&n| self.health(first, n) <= Health::Suspect)
    }

    /// What one node holds of another.
    pub(crate) fn health(&self, observer: usize, subject: usize) -> Health {
        match self.nodes[observer]
            .engine()
            .member(self.nodes[subject].id())
        {
            None => Health::Unknown,
            Some(member) => match member.standing.state {
                State::Alive if member.suspected => Health::Suspect,
                State::Alive => Health::Alive,
                State::Failed => Health::Failed,
                State::Left => Health::Left,
                State::Removed => Health::Removed,
            },
        }
    }

    /// Whether everyone who runs, the subject apart, holds the subject so.
    pub(crate) fn all_hold(&self, subject: usize, health: Health) -> bool {
        let others = self
            .running()
            .into_iter()
            .filter(|&number| number != subject);
        others
            .into_iter()
            .all(|observer| self.health(observer, subject) == health)
    }

    /// Whether everyone who runs no longer counts the subject as a member (forgotten or removed).
    pub(crate) fn all_rid_of(&self, subject: usize) -> bool {
        let others = self
            .running()
            .into_iter()
            .filter(|&number| number != subject);
        others.into_iter().all(|observer| {
            matches!(
                self.health(observer, subject),
                Health::Unknown | Health::Removed
            )
        })
    }

    /// The events of one node about another, since a moment, by their kind's word.
    pub(crate) fn history(&self, observer: usize, subject: usize, since: Instant) -> Vec<&str> {
        let name = &self.nodes[subject].name;
        let recent = self.nodes[observer]
            .events
            .iter()
            .filter(|(at, _)| *at >= since);
        recent
            .filter_map(|(_, event)| word(event).filter(|(_, n)| *n == name))
            .map(|w| w.0)
            .collect()
    }

    /// How many events of a kind (by its word) all nodes told since a moment.
    pub(crate) fn count(&self, kind: &str, since: Instant) -> usize {
        let events = self.nodes.iter().flat_map(|node| &node.events);
        let recent = events.filter(|(at, _)| *at >= since);
        recent
            .filter(|(_, event)| word(event).is_some_and(|(word, _)| word == kind))
            .count()
    }

    /// The verdicts, since a moment, about nodes that ran.
    pub(crate) fn wrong_failures(&self, since: Instant) -> Vec<&WrongFailure> {
        self.wrongly_failed
            .iter()
            .filter(|failure| failure.at >= since)
            .collect()
    }

    /// What stands for everything that happened: equal for equal runs.
    pub(crate) fn trace(&self) -> u64 {
        self.trace
    }

    /// The views of all nodes, for a message about a test that failed: nodes that hold the same
    /// are named together.
    pub(crate) fn describe(&self) -> String {
        let mut views: Vec<(String, BTreeSet<usize>)> = Vec::new();
        for number in self.running() {
            let view = self.describe_view(number);
            match views.iter_mut().find(|(other, _)| *other == view) {
                Some((_, who)) => drop(who.insert(number)),
                None => views.push((view, BTreeSet::from([number]))),
            }
        }
        let lines = views
            .iter()
            .map(|(view, who)| format!("{who:?}\n  hold {view}\n"));
        format!(
            "at {:?}, {} views:\n{}",
            self.now,
            views.len(),
            lines.take(12).collect::<String>()
        )
    }

    fn describe_view(&self, number: usize) -> String {
        let engine = self.nodes[number].engine();
        let of = |health: Health| {
            let held = (0..self.nodes.len()).filter(|&n| self.health(number, n) == health);
            held.collect::<Vec<_>>()
        };
        let mut view = format!(
            "fingerprint {:?}, size {}",
            engine.fingerprint(),
            engine.size()
        );
        for health in [
            Health::Unknown,
            Health::Suspect,
            Health::Failed,
            Health::Left,
            Health::Removed,
        ] {
            let who = of(health);
            if !who.is_empty() {
                view += &format!(", {health:?} {who:?}");
            }
        }
        view
    }
}

/// An event about a member: its word, and the member.
fn word(event: &Event) -> Option<(&'static str, &convoke_core::NodeName)> {
    Some(match event {
        Event::MemberJoined(profile) => ("joined", &profile.name),
        Event::TagsChanged(profile) => ("tags", &profile.name),
        Event::MemberSuspected(about) => ("suspected", &about.name),
        Event::MemberRefuted(about) => ("refuted", &about.name),
        Event::MemberFailed(about) => ("failed", &about.name),
        Event::MemberLeft(about) => ("left", &about.name),
        Event::MemberRemoved(about) => ("removed", &about.name),
        Event::MemberForgotten(about) => ("forgotten", &about.name),
        _ => return None,
    })
}
