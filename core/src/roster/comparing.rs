//! Comparing: which facts of a roster take part in comparisons, and their sums.
//!
//! All of the present, the tombstones, and the absent that are not about to be forgotten: those whom a
//! partition holds, and the young. Each change
//! of a fact changes the line of ids too; growing old does not wait for a change, and is looked for
//! when somebody can be old enough.

use std::time::Duration;

use super::Roster;
use super::line::Entry;
use crate::member::{Member, Standing, State};
use crate::message::{Range, RangeHash};
use crate::name::NodeId;
use crate::reconcile::{self, Facts};
use crate::time::Instant;

/// The part of the autoclean time during which an absent member counts in the digest of the
/// absent: those about to be forgotten are left out, so that forgetting causes no traffic.
const DIGEST_AGE_DIVISOR: u32 = 2;
/// All ids.
const EVERYTHING: Range = Range { prefix: 0, bits: 0 };
/// After every moment.
pub(super) const NEVER: Instant = Instant::from_micros(u64::MAX);

/// What a roster compares with others: the present, the absent that are not about to be forgotten,
/// and the tombstones.
pub(crate) struct Compared<'a>(&'a Roster);

impl Roster {
    /// What takes part in comparisons now.
    pub(crate) fn compared(&mut self, now: Instant) -> Compared<'_> {
        self.age(now);
        Compared(self)
    }

    /// What the line of ids shows of one.
    fn entry(&self, id: NodeId) -> Entry {
        let Some(member) = self.shelf.get(id) else {
            let buried = self.tombstones.get(id).map(Standing::removed);
            return Entry {
                is_known: buried.is_some(),
                is_failed: false,
                compared: buried,
            };
        };
        Entry {
            is_known: true,
            is_failed: member.standing.state == State::Failed,
            compared: self
                .is_compared(member, self.aged)
                .then_some(member.standing),
        }
    }

    fn is_compared(&self, member: &Member, now: Instant) -> bool {
        let young = |autoclean: Duration| now.since(member.since) < autoclean / DIGEST_AGE_DIVISOR;
        member.is_present() || member.held || self.autoclean.is_none_or(young)
    }

    /// Changes what is held about one id, and what the line shows of it.
    pub(super) fn change<T>(&mut self, id: NodeId, change: impl FnOnce(&mut Self) -> T) -> T {
        let was = self.entry(id);
        let result = change(self);
        self.line.replace(id, was, self.entry(id));
        if let Some(member) = self.shelf.get(id).filter(|member| !member.is_present()) {
            self.eldest = self.eldest.min(member.since);
            self.eldest_compared = self.eldest_compared.min(member.since);
        }
        result
    }

    /// Takes those out of the comparison who are about to be forgotten. They are looked for when
    /// somebody can be old enough, not at every question.
    fn age(&mut self, now: Instant) {
        let over =
            |autoclean: Duration| now.since(self.eldest_compared) >= autoclean / DIGEST_AGE_DIVISOR;
        if !self.autoclean.is_some_and(over) {
            return;
        }
        let absent = self.members().filter(|(_, member)| !member.is_present());
        let compared = absent.filter(|(_, member)| self.is_compared(member, self.aged));
        let (young, old): (Vec<_>, Vec<_>) =
            compared.partition(|(_, member)| self.is_compared(member, now));
        let eldest = young.iter().map(|(_, member)| member.since).min();
        let old: Vec<_> = old.iter().map(|&(id, _)| (id, self.entry(id))).collect();
        (self.aged, self.eldest_compared) = (now, eldest.unwrap_or(NEVER));
        for (id, was) in old {
            self.line.replace(id, was, self.entry(id));
        }
    }

    /// Changes after how long the absent are forgotten, and with it who of them is compared.
    pub(crate) fn set_autoclean(&mut self, now: Instant, autoclean: Option<Duration>) {
        let absent = self.members().filter(|(_, member)| !member.is_present());
        let eldest = absent.clone().map(|(_, member)| member.since).min();
        let was: Vec<_> = absent.map(|(id, _)| (id, self.entry(id))).collect();
        (self.autoclean, self.aged) = (autoclean, now);
        let eldest = eldest.unwrap_or(NEVER);
        (self.eldest, self.eldest_compared) = (eldest, eldest);
        for (id, was) in was {
            self.line.replace(id, was, self.entry(id));
        }
    }

    /// Brings the digest of the absent up to date.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let all = self.compared(now).hash(EVERYTHING).sum;
        // What is compared and not present: the absent, and the tombstones.
        let sum = all.wrapping_sub(self.fingerprint().0);
        let digest = (sum ^ sum >> 32) as u32;
        if digest != self.absent_digest {
            self.absent_digest = digest;
            self.absent_changed = now;
        }
    }

    /// Whether the line of ids shows what there is.
    #[cfg(feature = "sim")]
    pub(super) fn check_line(&self) -> Result<(), String> {
        let buried = self.tombstones().map(|(id, _)| id);
        let buried = buried.filter(|&id| !self.shelf.contains(id));
        let known = self.members().map(|(id, _)| id).chain(buried);
        let (mut count, mut facts) = (0, Vec::new());
        for id in known {
            count += 1;
            facts.extend(self.entry(id).compared.map(|fact| (id, fact)));
        }
        let (held, shown) = (
            reconcile::hash(&facts, EVERYTHING),
            Compared(self).hash(EVERYTHING),
        );
        if count != self.line.len() || held != shown {
            let len = self.line.len();
            return Err(format!(
                "the line shows {shown:?} of {len} ids, and there are {held:?} of {count}"
            ));
        }
        Ok(())
    }
}

impl Facts for Compared<'_> {
    fn hash(&self, range: Range) -> RangeHash {
        match self.0.line.sums(range) {
            Some((count, sum)) => RangeHash { range, count, sum },
            None => reconcile::hash(&self.within(range), range),
        }
    }

    fn within(&self, range: Range) -> Vec<(NodeId, Standing)> {
        let ids = self.0.line.ids(range);
        ids.filter_map(|id| Some((id, self.0.entry(id).compared?)))
            .collect()
    }
}
