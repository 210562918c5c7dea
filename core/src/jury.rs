//! The jury: an accused member's observers examine it themselves before they believe.
//!
//! An accusation goes to the accused and its bench (the observers that know each other), not to
//! everyone; to its other observers only where the bench does not confirm it. Each of them
//! pings the accused (and somebody else, to know that it hears at all), then tries a stream; only
//! if that fails does it accuse as well. So a verdict rests on several paths, and a sick node's
//! error stays its own.

use std::collections::BTreeMap;

#[cfg(feature = "sim")]
use crate::engine::limits::Limit;
use crate::member::Life;
use crate::message::SeqNo;
use crate::name::NodeId;
use crate::time::Instant;

/// The examination of one member.
#[derive(Debug)]
pub(crate) struct Trial {
    /// The life that is in doubt.
    pub(crate) life: Life,
    /// When it began, for the hear-gate.
    pub(crate) started: Instant,
    /// The ping that it waits for.
    pub(crate) seq: SeqNo,
    /// How far it is.
    pub(crate) stage: Stage,
    /// What silence will mean.
    pub(crate) silence: Silence,
}

/// How far a trial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A datagram is on its way.
    Datagram,
    /// A reliable ping is on its way.
    Reliable,
}

/// What follows from the silence of the examined member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// This juror accuses it.
    Accuses,
    /// This node's own verdict stands: the accused was asked once more, in vain.
    Convicts,
    /// It is failed: others have come to that verdict before, and this node only doubted it.
    Confirms,
}

/// The trials under way, and the challenges that wait for their turn.
#[derive(Debug, Default)]
pub(crate) struct Jury {
    trials: BTreeMap<NodeId, Trial>,
    waiting: BTreeMap<NodeId, Life>,
}

impl Jury {
    pub(crate) fn trial(&self, id: NodeId) -> Option<&Trial> {
        self.trials.get(&id)
    }

    pub(crate) fn trial_mut(&mut self, id: NodeId) -> Option<&mut Trial> {
        self.trials.get_mut(&id)
    }

    pub(crate) fn begin(&mut self, id: NodeId, trial: Trial) {
        self.trials.insert(id, trial);
    }

    pub(crate) fn end(&mut self, id: NodeId) -> Option<Trial> {
        self.trials.remove(&id)
    }

    /// Puts a member on the list of those to be challenged; false where it is there already, or
    /// the list is full.
    pub(crate) fn enqueue(&mut self, id: NodeId, life: Life, waiting_max: usize) -> bool {
        let known = self.waiting.contains_key(&id) || self.trials.contains_key(&id);
        let new = !known && self.waiting.len() < waiting_max;
        if new {
            self.waiting.insert(id, life);
        }
        new
    }

    /// The next to be challenged, while fewer than `at_once` trials go on.
    pub(crate) fn next_waiting(&mut self, at_once: usize) -> Option<(NodeId, Life)> {
        (self.trials.len() < at_once).then(|| self.waiting.pop_first())?
    }

    #[cfg(feature = "sim")]
    pub(crate) fn limits(&self, members_max: usize) -> [Limit; 2] {
        [
            ("trials", self.trials.len(), members_max),
            ("challenges that wait", self.waiting.len(), members_max),
        ]
    }

    pub(crate) fn clear(&mut self) {
        self.trials.clear();
        self.waiting.clear();
    }
}
