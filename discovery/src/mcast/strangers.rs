//! Messages that are not for this node: counted, and spoken of seldom.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::beacon::Stranger;

/// Between two lines of the log about the same kind of stranger.
const QUIET: Duration = Duration::from_secs(600);
const KINDS: usize = 3;

/// All that came from strangers.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    counts: [AtomicU64; KINDS],
    /// When each kind was spoken of last.
    told: Mutex<[Option<Instant>; KINDS]>,
}

impl Strangers {
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Counts one, and logs it where its kind is news.
    pub(super) fn note(&self, stranger: Stranger, from: SocketAddr, now: Instant) {
        let kind = match stranger {
            Stranger::Noise => 0,
            Stranger::Version(_) => 1,
            Stranger::Unproven => 2,
        };
        let count = self.counts[kind].fetch_add(1, Relaxed) + 1;
        if !self.is_news(kind, now) {
            return;
        }
        match stranger {
            Stranger::Noise => {
                info!(%from, count, "something else than beacons comes to the multicast group: it is ignored");
            }
            Stranger::Version(version) => {
                warn!(%from, count, version, "a beacon of a version that this node does not speak: such nodes do not find it");
            }
            Stranger::Unproven => {
                warn!(%from, count, "another cluster's or a wrong secret's beacon: it is neither answered nor believed");
            }
        }
    }

    fn is_news(&self, kind: usize, now: Instant) -> bool {
        // Each change is one assignment: a panic elsewhere leaves it whole.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let news = told[kind].is_none_or(|at| now.saturating_duration_since(at) >= QUIET);
        if news {
            told[kind] = Some(now);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_always_and_told_seldom() {
        let (strangers, at) = (Strangers::default(), Instant::now());
        let from = "10.0.0.9:5".parse().unwrap();
        for _ in 0..1000 {
            strangers.note(Stranger::Unproven, from, at);
        }
        assert_eq!(strangers.count(), 1000);
        assert!(!strangers.is_news(2, at) && strangers.is_news(0, at));
        assert!(!strangers.is_news(2, at + QUIET / 2));
        assert!(strangers.is_news(2, at + QUIET) && !strangers.is_news(2, at + QUIET));
    }
}
