//! The seeds whose hosts are not known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use convoke::ResolveError;
use convoke_discovery::{SEEDS_MAX, Seed};
use tracing::{info, warn};

/// The seeds whose hosts are not known, with the reason: [`SEEDS_MAX`] at the most, of more
/// nothing is told. Those that the source lists no longer are forgotten.
/// It is locked for one look-up at a time, and only by discovery.
#[derive(Debug, Default)]
pub(super) struct Unresolved(Mutex<BTreeMap<String, String>>);

impl Unresolved {
    /// Takes the outcome of a proposal, and logs it where it is news.
    pub(super) fn take(&self, seed: &Seed, outcome: Result<(), ResolveError>) {
        let seed = seed.to_string();
        match outcome {
            Ok(()) => {
                if self.reasons().remove(&seed).is_some() {
                    info!(%seed, "the seed can be resolved again");
                }
            }
            Err(error) => {
                let (reason, mut reasons) = (error.to_string(), self.reasons());
                if reasons.len() >= SEEDS_MAX && !reasons.contains_key(&seed) {
                    return;
                }
                let before = reasons.insert(seed.clone(), reason);
                drop(reasons);
                if before.is_none() {
                    warn!(%seed, %error, "the seed is passed over until it can be resolved");
                }
            }
        }
    }

    pub(super) fn reason(&self, seed: &Seed) -> Option<String> {
        self.reasons().get(&seed.to_string()).cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reasons().is_empty()
    }

    /// Forgets the seeds that are none any more.
    pub(super) fn keep(&self, seeds: &[Seed]) {
        let seeds: BTreeSet<String> = seeds.iter().map(Seed::to_string).collect();
        self.reasons().retain(|seed, _| seeds.contains(seed));
    }

    fn reasons(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Each change is a single call: a panic elsewhere leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(n: usize) -> Seed {
        format!("a@h{n}.invalid").parse().unwrap()
    }

    fn lost(n: usize) -> ResolveError {
        ResolveError::Host {
            name: format!("a@h{n}.invalid").parse().unwrap(),
            cause: String::new(),
        }
    }

    #[test]
    fn there_is_room_for_a_pass_and_what_is_listed_no_longer_makes_some() {
        let unresolved = Unresolved::default();
        for n in 0..2 * SEEDS_MAX {
            unresolved.take(&seed(n), Err(lost(n)));
        }
        assert_eq!(unresolved.reasons().len(), SEEDS_MAX);
        unresolved.keep(&[seed(0), seed(2 * SEEDS_MAX)]);
        assert_eq!(unresolved.reasons().len(), 1);
        let late = seed(2 * SEEDS_MAX);
        unresolved.take(&late, Err(lost(1)));
        assert!(unresolved.reason(&late).is_some());
        unresolved.take(&late, Ok(()));
        assert!(unresolved.reason(&late).is_none() && !unresolved.is_empty());
    }
}
