//! The seeds that discovery proposed, and which of them can't be reached: told once, not per try.

use std::collections::HashMap;
use std::net::SocketAddr;

use convoke_core::Target;

/// Seeds that are remembered. Before more all are forgotten: what is lost is told once more then.
const SEEDS_MAX: usize = 1024;

/// What is to be told of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It can't be reached any more, or could not at the first try.
    Lost,
    /// It is reached after all.
    Found,
}

/// Seeds by address, and whether the last dial to each failed.
#[derive(Debug, Default)]
pub(crate) struct Seeds(HashMap<SocketAddr, bool>);

impl Seeds {
    /// Discovery proposed it.
    pub(crate) fn propose(&mut self, target: &Target) {
        let address = address(target);
        if self.0.len() >= SEEDS_MAX && !self.0.contains_key(&address) {
            self.0.clear();
        }
        self.0.entry(address).or_insert(false);
    }

    /// It was dialed. Returns what has changed by that.
    pub(crate) fn dialed(&mut self, target: &Target, reached: bool) -> Option<Change> {
        let lost = self.0.get_mut(&address(target))?;
        if *lost != reached {
            return None;
        }
        *lost = !reached;
        Some(if reached { Change::Found } else { Change::Lost })
    }
}

/// Where a target is.
pub(crate) fn address(target: &Target) -> SocketAddr {
    match target {
        Target::Node(contact) => contact.address,
        Target::Address(address) => *address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_told_of_once_until_it_changes() {
        let seed = Target::Address(SocketAddr::from(([127, 0, 0, 1], 1)));
        let mut seeds = Seeds::default();
        assert_eq!(seeds.dialed(&seed, false), None, "nobody proposed it");
        seeds.propose(&seed);
        assert_eq!(seeds.dialed(&seed, true), None);
        assert_eq!(seeds.dialed(&seed, false), Some(Change::Lost));
        assert_eq!(seeds.dialed(&seed, false), None);
        assert_eq!(seeds.dialed(&seed, true), Some(Change::Found));
    }

    #[test]
    fn however_many_there_were_a_new_one_is_told_of() {
        let seed = |n: u16| Target::Address(SocketAddr::from(([127, 0, 0, 1], n)));
        let mut seeds = Seeds::default();
        for n in 1..=4 * SEEDS_MAX as u16 {
            seeds.propose(&seed(n));
            assert_eq!(seeds.dialed(&seed(n), false), Some(Change::Lost));
            assert!(seeds.0.len() <= SEEDS_MAX);
        }
    }
}
