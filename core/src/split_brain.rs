//! Split brain: which side of a partition gives up.
//!
//! Both sides of a cut go on, unless they are told otherwise. A policy decides from what all nodes
//! of a side know alike, so that they decide alike, each by itself, without a word to the other
//! side: nodes of a side that do not reach each other directly hold the same members all the same.
//! It decides once a partition has looked the same for a while; a network that comes and goes
//! faster is not decided about.
//!
//! Source: Akka's Split Brain Resolver, whose strategies these are. There a side removes the
//! other one; here it gives up itself, and membership stays as it is, so that it can heal.

use crate::config::{QuorumRule, QuorumTie, SplitBrain};
use crate::quorum::Sides;

impl SplitBrain {
    /// Whether a side goes on. `oldest`: whether the oldest is on it, of all members, and of those
    /// who were not lost before the partition.
    pub(crate) fn keeps(
        self,
        sides: Sides,
        tie: QuorumTie,
        oldest: impl FnOnce(Among) -> bool,
    ) -> bool {
        match self {
            Self::Off => true,
            Self::KeepMajority => {
                sides.has_quorum(QuorumRule::Majority, tie, || oldest(Among::All))
            }
            Self::StaticQuorum(least) => sides.has_quorum(QuorumRule::Static(least), tie, || false),
            Self::KeepOldest => !sides.alone && oldest(Among::Parted),
            Self::DownAll => false,
        }
    }
}

/// Who is compared by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Among {
    /// Everyone who has not left or been removed.
    All,
    /// Those who are present, and those whom the partition took away.
    Parted,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps(policy: SplitBrain, present: usize, lost: usize, oldest: bool) -> bool {
        let sides = Sides {
            present,
            lost,
            alone: false,
        };
        policy.keeps(sides, QuorumTie::None, |_| oldest)
    }

    #[test]
    fn each_policy_keeps_the_side_that_it_is_named_for() {
        use SplitBrain::*;
        for oldest in [true, false] {
            assert!(keeps(Off, 1, 9, oldest) && !keeps(DownAll, 9, 1, oldest));
            assert!(keeps(KeepMajority, 3, 2, oldest) && !keeps(KeepMajority, 2, 2, oldest));
            assert!(keeps(StaticQuorum(3), 3, 9, oldest) && !keeps(StaticQuorum(3), 2, 0, oldest));
            assert_eq!(keeps(KeepOldest, 2, 9, oldest), oldest);
        }
    }

    #[test]
    fn the_oldest_of_all_decides_an_even_split_where_that_is_asked() {
        let sides = Sides {
            present: 4,
            lost: 4,
            alone: false,
        };
        let oldest = |among| among == Among::All;
        assert!(SplitBrain::KeepMajority.keeps(sides, QuorumTie::Oldest, oldest));
        assert!(!SplitBrain::KeepMajority.keeps(sides, QuorumTie::None, oldest));
        assert!(!SplitBrain::KeepOldest.keeps(sides, QuorumTie::Oldest, oldest));
    }

    #[test]
    fn who_reaches_nobody_is_kept_by_no_policy() {
        let alone = Sides {
            present: 9,
            lost: 0,
            alone: true,
        };
        for policy in [
            SplitBrain::KeepMajority,
            SplitBrain::StaticQuorum(1),
            SplitBrain::KeepOldest,
            SplitBrain::DownAll,
        ] {
            assert!(
                !policy.keeps(alone, QuorumTie::Oldest, |_| true),
                "{policy:?}"
            );
        }
    }
}
