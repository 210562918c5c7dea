//! What is asked of a world.

use std::collections::BTreeSet;

use super::ledger::WrongFailure;
use super::protocol::{Health, Protocol};
use super::world::World;
use crate::name::NodeName;
use crate::output::Event;
use crate::time::Instant;

impl<P: Protocol> World<P> {
    /// Whether all nodes that run hold the same members: themselves.
    pub fn is_converged(&self) -> bool {
        self.agree(&self.running())
    }

    /// Whether these nodes hold each other, and nobody else, as present.
    pub fn agree(&self, group: &[usize]) -> bool {
        let engine = |number: usize| self.nodes[number].engine();
        let Some(&first) = group.first() else {
            return true;
        };
        let digest = engine(first).digest();
        let same = |&number: &usize| {
            engine(number).size() == group.len() && engine(number).digest() == digest
        };
        group.iter().all(same)
            && group
                .iter()
                .all(|&n| self.health(first, n) <= Health::Suspect)
    }

    /// What one node holds of another.
    pub fn health(&self, observer: usize, subject: usize) -> Health {
        self.nodes[observer]
            .engine()
            .health(self.nodes[subject].id())
    }

    /// Whether everyone who runs, the subject apart, holds the subject so.
    pub fn all_hold(&self, subject: usize, health: Health) -> bool {
        let mut others = self.running().into_iter().filter(|&n| n != subject);
        others.all(|observer| self.health(observer, subject) == health)
    }

    /// Whether everyone who runs no longer counts the subject as a member (forgotten or removed).
    pub fn all_rid_of(&self, subject: usize) -> bool {
        let rid = [Health::Unknown, Health::Removed];
        let mut others = self.running().into_iter().filter(|&n| n != subject);
        others.all(|observer| rid.contains(&self.health(observer, subject)))
    }

    /// The events of one node about another, since a moment, by their kind's word.
    pub fn history(&self, observer: usize, subject: usize, since: Instant) -> Vec<&str> {
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
    pub fn count(&self, kind: &str, since: Instant) -> usize {
        let events = self.nodes.iter().flat_map(|node| &node.events);
        let recent = events.filter(|(at, _)| *at >= since);
        recent
            .filter(|(_, event)| word(event).is_some_and(|(word, _)| word == kind))
            .count()
    }

    /// The verdicts, since a moment, about nodes that ran.
    pub fn wrong_failures(&self, since: Instant) -> Vec<&WrongFailure> {
        let wrong = self.ledger.wrong_failures.iter();
        wrong.filter(|failure| failure.at >= since).collect()
    }

    /// The views of all nodes, for a message about what went wrong: nodes that hold the same are
    /// named together.
    pub fn describe(&self) -> String {
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
        let mut view = format!("digest {:016x}, size {}", engine.digest(), engine.size());
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
fn word(event: &Event) -> Option<(&'static str, &NodeName)> {
    Some(match event {
        Event::MemberJoined(profile) => ("joined", &profile.name),
        Event::TagsChanged(profile) => ("tags", &profile.name),
        Event::MemberSuspected(about) => ("suspected", &about.name),
        Event::MemberRefuted(about) => ("refuted", &about.name),
        Event::MemberFailed { member, .. } => ("failed", &member.name),
        Event::MemberLeft(about) => ("left", &about.name),
        Event::MemberRemoved(about) => ("removed", &about.name),
        Event::MemberForgotten(about) => ("forgotten", &about.name),
        _ => return None,
    })
}
