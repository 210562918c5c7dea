//! Decides when to write down what is to be remembered, and what.
//!
//! An incarnation must never be used twice, also not by a process that was killed. So what is
//! written is not the incarnation but a ceiling well above it; a new ceiling is written when half
//! of the distance is used up. A restart begins above the ceiling.

use std::time::Duration;

use convoke_core::{Engine, Incarnation, Instant, Membership, NodeName};

use crate::journal::Journal;
use crate::options::Options;
use crate::store::Remembered;

/// How far the written ceiling lies above the incarnation in use.
pub(crate) const RESERVE: u64 = 1024;
/// Time between two writings of the address book alone.
const BOOK_INTERVAL: Duration = Duration::from_secs(5);

/// What the driver knows about what is on the disk.
#[derive(Debug)]
pub(crate) struct Memory {
    journal: Journal,
    node: NodeName,
    cluster_name: String,
    /// Whether a discovery strategy is configured.
    discovery: bool,
    discovery_stopped: bool,
    written: Option<Membership>,
    /// When the address book was changed and not written yet, the moment to write it.
    due: Option<Instant>,
}

impl Memory {
    pub(crate) fn new(options: &Options, discovery_stopped: bool) -> Self {
        Self {
            journal: Journal::none(),
            node: options.name.clone(),
            cluster_name: options.cluster_name.clone(),
            discovery: options.discovery,
            discovery_stopped,
            written: None,
            due: None,
        }
    }

    /// From now on everything goes there.
    pub(crate) fn keep(&mut self, journal: Journal) {
        self.journal = journal;
    }

    /// The way to wait for what was handed in.
    pub(crate) fn journal(&self) -> Journal {
        self.journal.clone()
    }

    /// The membership changed: what must not be forgotten is written at once.
    pub(crate) fn on_membership(&mut self, engine: &Engine, membership: &Membership) {
        let enough = self.written.as_ref().is_some_and(|written| {
            let same = Membership {
                incarnation: membership.incarnation,
                ..written.clone()
            };
            let left = written
                .incarnation
                .0
                .saturating_sub(membership.incarnation.0);
            same == *membership && left >= RESERVE / 2
        });
        if !enough {
            self.write(engine);
        }
    }

    /// Members or addresses changed: they are written within a few seconds.
    pub(crate) fn on_members(&mut self, now: Instant) {
        if self.journal.is_kept() {
            self.due.get_or_insert(now + BOOK_INTERVAL);
        }
    }

    /// A member was removed: a crash must not undo that. All that comes in one batch of inputs is
    /// written at once.
    pub(crate) fn on_removed(&mut self, now: Instant) {
        if self.journal.is_kept() {
            self.due = Some(now);
        }
    }

    /// When [`Memory::on_time`] has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn on_time(&mut self, engine: &Engine, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.write(engine);
        }
    }

    /// Has everything written.
    pub(crate) fn write(&mut self, engine: &Engine) {
        if self.journal.is_kept() {
            let remembered = self.compose(engine);
            self.journal.write(remembered);
        }
    }

    /// What to write now.
    pub(crate) fn compose(&mut self, engine: &Engine) -> Remembered {
        self.due = None;
        let used = engine.membership();
        if self.discovery {
            self.discovery_stopped = !used.discovery;
        }
        let ceiling = Incarnation(used.incarnation.0.saturating_add(RESERVE));
        let membership = Membership {
            incarnation: ceiling,
            ..used
        };
        self.written = Some(membership.clone());
        Remembered {
            node: self.node.clone(),
            cluster_name: self.cluster_name.clone(),
            membership,
            discovery_stopped: self.discovery_stopped,
            contacts: engine.acquaintances(),
            tombstones: engine.tombstones(),
        }
    }
}
