//! What a network does not carry.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

/// Hosts of a network, by number.
pub type Hosts = RangeInclusive<u8>;

/// The directions in which nothing goes: from a host, to a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    pairs: BTreeSet<(u8, u8)>,
}

impl Cut {
    /// Sides that do not reach each other.
    pub fn sides(sides: &[Hosts]) -> Self {
        let mut cut = Self::default();
        for (n, one) in sides.iter().enumerate() {
            for other in &sides[n + 1..] {
                cut = cut.and(&Self::between(one, other));
            }
        }
        cut
    }

    /// Nothing goes from the first to the second; the other way all does.
    pub fn one_way(from: &Hosts, to: &Hosts) -> Self {
        let pairs = from.clone().flat_map(|a| to.clone().map(move |b| (a, b)));
        Self {
            pairs: pairs.filter(|(a, b)| a != b).collect(),
        }
    }

    /// Nothing goes between the first and the second.
    pub fn between(one: &Hosts, other: &Hosts) -> Self {
        Self::one_way(one, other).and(&Self::one_way(other, one))
    }

    /// Both.
    pub fn and(mut self, other: &Self) -> Self {
        self.pairs.extend(&other.pairs);
        self
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (u8, u8)> {
        self.pairs.iter().copied()
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut targets: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
        for (from, to) in self.pairs() {
            targets.entry(from).or_default().push(to);
        }
        for (place, (from, to)) in targets.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{from}→{to:?}")?;
        }
        Ok(())
    }
}
