//! Quorum: whether this side of a cluster may go on.
//!
//! The base is everyone who has not left or been removed, the failed included: a side that can't
//! tell a crash from a cut must not count on the crash. An even split has no majority; where it is
//! to have one side that goes on all the same, it is the one with the oldest member.

use crate::config::{QuorumRule, QuorumTie};

/// The members, counted from one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sides {
    /// How many are present, this node included.
    pub(crate) present: usize,
    /// How many are not, and have neither left nor been removed.
    pub(crate) lost: usize,
    /// Whether this node reaches nobody, whomever it still holds as present.
    pub(crate) alone: bool,
}

impl Sides {
    /// Whether this side has quorum. `oldest`: whether the oldest of all is on it; asked for only
    /// where that decides.
    pub(crate) fn has_quorum(
        self,
        rule: QuorumRule,
        tie: QuorumTie,
        oldest: impl FnOnce() -> bool,
    ) -> bool {
        match rule {
            QuorumRule::None => true,
            _ if self.alone => false,
            QuorumRule::Majority if self.present == self.lost => {
                tie == QuorumTie::Oldest && oldest()
            }
            QuorumRule::Majority => self.present > self.lost,
            QuorumRule::Static(least) => self.present >= least as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(rule: QuorumRule, present: usize, lost: usize) -> bool {
        let sides = Sides {
            present,
            lost,
            alone: false,
        };
        sides.has_quorum(rule, QuorumTie::None, || true)
    }

    #[test]
    fn neither_half_of_an_even_split_has_a_majority() {
        let majority = |present, lost| has(QuorumRule::Majority, present, lost);
        assert!(majority(1, 0) && majority(2, 1) && majority(5, 4));
        assert!(!majority(1, 1) && !majority(1, 2) && !majority(5, 5));
        assert!(has(QuorumRule::Static(3), 3, 90));
        assert!(!has(QuorumRule::Static(3), 2, 0));
        assert!(has(QuorumRule::None, 1, 99));
    }

    #[test]
    fn the_oldest_decides_an_even_split_and_no_other() {
        let with = |present, lost, oldest| {
            let sides = Sides {
                present,
                lost,
                alone: false,
            };
            sides.has_quorum(QuorumRule::Majority, QuorumTie::Oldest, || oldest)
        };
        assert!(with(5, 5, true) && !with(5, 5, false));
        assert!(!with(4, 5, true) && with(5, 4, false));
    }

    #[test]
    fn who_reaches_nobody_has_no_quorum_whomever_it_holds() {
        let alone = Sides {
            present: 10,
            lost: 0,
            alone: true,
        };
        let with = |rule| alone.has_quorum(rule, QuorumTie::Oldest, || true);
        assert!(!with(QuorumRule::Majority) && !with(QuorumRule::Static(1)));
        assert!(with(QuorumRule::None));
    }
}
