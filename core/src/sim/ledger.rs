//! The ledger: what all processes told, counted, and who knew of what when.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use super::protocol::{Health, Protocol};
use super::report::Note;
use super::world::World;
use crate::name::NodeName;
use crate::output::Event;
use crate::time::Instant;

/// What was told since the world began, or since [`Ledger::reset`].
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Suspicions.
    pub suspicions: u64,
    /// Those of them that ended well.
    pub refutations: u64,
    /// Who told a suspicion of whom that has not ended.
    open: HashSet<(u32, u32)>,
    /// Verdicts about nodes that were well, by nodes that could have reached them.
    pub false_failed_events: u64,
    /// About whom.
    pub false_failed: BTreeSet<usize>,
    /// Those of them by nodes that were well themselves.
    pub false_failed_at_well: u64,
    /// Verdicts about nodes that ran, whoever could reach them.
    pub wrong_failures: Vec<WrongFailure>,
    /// Nodes about which no verdict is false: they stop, or lose what they send.
    pub unwell: BTreeSet<usize>,
    /// Who changed their mind about whom, up to [`Ledger::notes_max`].
    pub notes: Vec<Note>,
    /// How many of those are kept. Default 0.
    pub notes_max: usize,
    watches: BTreeMap<usize, Watch>,
}

/// A verdict about a node that was running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongFailure {
    /// When.
    pub at: Instant,
    /// Whose.
    pub by: usize,
    /// About whom.
    pub about: usize,
}

/// How news of one node travel.
#[derive(Clone, Debug)]
pub struct Watch {
    /// What is waited for.
    pub want: Health,
    /// Since when.
    pub since: Instant,
    /// When somebody first suspected it.
    pub first_suspected: Option<Instant>,
    /// When each node knew.
    pub known: BTreeMap<usize, Instant>,
}

/// The most wrong verdicts that are kept one by one.
const WRONG_FAILURES_MAX: usize = 100_000;

impl Ledger {
    /// Waits for news of a node from now on.
    pub fn watch(&mut self, subject: usize, want: Health, since: Instant) {
        self.watches.insert(
            subject,
            Watch {
                want,
                since,
                first_suspected: None,
                known: BTreeMap::new(),
            },
        );
    }

    /// The news of a node.
    pub fn news_of(&self, subject: usize) -> Option<&Watch> {
        self.watches.get(&subject)
    }

    /// All that is waited for, by node.
    pub fn watches(&self) -> impl Iterator<Item = (usize, &Watch)> {
        self.watches
            .iter()
            .map(|(&subject, watch)| (subject, watch))
    }

    /// A refutation counts where the suspicion did: also what is refuted twice is so once.
    fn note_suspicion(&mut self, who: (u32, u32), event: &Event) {
        match event {
            Event::MemberSuspected(_) => {
                self.suspicions += 1;
                self.open.insert(who);
            }
            Event::MemberRefuted(_) => self.refutations += u64::from(self.open.remove(&who)),
            _ => drop(self.open.remove(&who)),
        }
    }

    /// Begins to count anew.
    pub fn reset(&mut self) {
        let (unwell, notes_max) = (std::mem::take(&mut self.unwell), self.notes_max);
        *self = Self {
            unwell,
            notes_max,
            ..Self::default()
        };
    }
}

impl Watch {
    /// When the last of these knew; `None` where one does not.
    pub fn known_by(&self, observers: impl IntoIterator<Item = usize>) -> Option<Duration> {
        let mut last = self.since;
        for observer in observers {
            last = last.max(*self.known.get(&observer)?);
        }
        Some(last.since(self.since))
    }

    /// When the first one knew.
    pub fn first_known(&self) -> Option<Duration> {
        let first = self.known.values().min()?;
        Some(first.since(self.since))
    }

    /// When the first one suspected it.
    pub fn suspected(&self) -> Option<Duration> {
        Some(self.first_suspected?.since(self.since))
    }
}

impl<P: Protocol> World<P> {
    /// Counts what a process tells.
    pub(super) fn keep_account(&mut self, observer: usize, event: &Event) {
        let Some((health, name)) = health(event) else {
            return;
        };
        let now = self.now;
        let subject = match self.numbers_of(name.id()) {
            [] => return,
            [one] => *one,
            several => {
                let running = several.iter().find(|&&n| self.nodes[n].is_running());
                *running.unwrap_or(&several[0])
            }
        };
        if matches!(event, Event::MemberFailed { .. }) {
            self.note_verdict(observer, subject);
        }
        let number = |n: usize| u32::try_from(n).expect("fewer nodes than addresses");
        let who = (number(observer), number(subject));
        let ledger = &mut self.ledger;
        ledger.note_suspicion(who, event);
        if let Some(watch) = ledger
            .watches
            .get_mut(&subject)
            .filter(|_| observer != subject)
        {
            if health == Health::Suspect {
                watch.first_suspected.get_or_insert(now);
            }
            if health == watch.want {
                watch.known.entry(observer).or_insert(now);
            }
        }
        if ledger.notes.len() < ledger.notes_max {
            ledger.notes.push(Note {
                at: now,
                observer: who.0,
                subject: who.1,
                health,
            });
        }
    }

    fn note_verdict(&mut self, by: usize, about: usize) {
        if !self.nodes[about].is_running() {
            return;
        }
        if self.ledger.wrong_failures.len() < WRONG_FAILURES_MAX {
            let at = self.now;
            self.ledger
                .wrong_failures
                .push(WrongFailure { at, by, about });
        }
        let apart = self.network.is_cut(by, about) || self.network.is_cut(about, by);
        if !apart && !self.ledger.unwell.contains(&about) {
            self.ledger.false_failed_events += 1;
            self.ledger.false_failed.insert(about);
            if !self.ledger.unwell.contains(&by) {
                self.ledger.false_failed_at_well += 1;
            }
        }
    }
}

/// What an event says of whom.
fn health(event: &Event) -> Option<(Health, &NodeName)> {
    Some(match event {
        Event::MemberJoined(profile) => (Health::Alive, &profile.name),
        Event::MemberSuspected(about) => (Health::Suspect, &about.name),
        Event::MemberRefuted(about) => (Health::Alive, &about.name),
        Event::MemberFailed { member, .. } => (Health::Failed, &member.name),
        Event::MemberLeft(about) => (Health::Left, &about.name),
        Event::MemberRemoved(about) => (Health::Removed, &about.name),
        Event::MemberForgotten(about) => (Health::Unknown, &about.name),
        _ => return None,
    })
}
