//! The seeds whose hosts are not known.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use convoke::ResolveError;
use convoke_discovery::Seed;
use tracing::{info, warn};

/// The seeds whose hosts are not known, with the reason. As many as there are seeds at the most.
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
                let reason = error.to_string();
                if self.reasons().insert(seed.clone(), reason).is_none() {
                    warn!(%seed, %error, "the seed is passed over until it can be resolved");
                }
            }
        }
    }

    pub(super) fn reason(&self, seed: &Seed) -> Option<String> {
        self.reasons().get(&seed.to_string()).cloned()
    }

    /// Forgets the seeds that are none any more.
    pub(super) fn keep(&self, seeds: &[Seed]) {
        let seeds: Vec<String> = seeds.iter().map(Seed::to_string).collect();
        self.reasons().retain(|seed, _| seeds.contains(seed));
    }

    fn reasons(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Each change is a single call: a panic elsewhere leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
