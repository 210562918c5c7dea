//! Divergence: noticing that a peer holds something else, and deciding when to compare.
//!
//! Fingerprints differ all the time while news travel, so a difference alone says nothing. A
//! comparison is begun a random while later, later again while this node's own view still
//! changes, and only if the peer still differs then. There is no periodic full exchange.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Config;
#[cfg(feature = "sim")]
use crate::engine::limits::Limit;
use crate::member::Fingerprint;
use crate::name::NodeId;
use crate::time::Instant;

/// The most peers of which the last word is remembered.
const PEERS_MAX: usize = 256;
/// For how long this node's own digest of the absent must have stood before a difference is more
/// than news on their way.
const ABSENT_PATIENCE: Duration = Duration::from_secs(2);

/// A comparison that is going to be made.
#[derive(Clone, Copy, Debug)]
struct Due {
    peer: NodeId,
    /// Since when it is put off.
    since: Instant,
    /// What differs is about the absent: equal fingerprints do not end it.
    about_absent: bool,
}

/// The next comparison, and what peers showed.
#[derive(Debug, Default)]
pub(crate) struct Divergence {
    /// The fingerprint that each peer last showed.
    peers: BTreeMap<NodeId, Fingerprint>,
    due: Option<Due>,
    begun: Option<Instant>,
}

impl Divergence {
    /// A peer's fingerprint came. Returns when to compare, where a comparison becomes due by it.
    pub(crate) fn on_fingerprint(
        &mut self,
        peer: NodeId,
        theirs: Fingerprint,
        ours: Fingerprint,
        config: &Config,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Option<Instant> {
        self.note(peer, theirs);
        if theirs != ours {
            return self.put_due(
                Due {
                    peer,
                    since: now,
                    about_absent: false,
                },
                config,
                rng,
            );
        }
        if self
            .due
            .is_some_and(|due| due.peer == peer && !due.about_absent)
        {
            self.due = None;
        }
        None
    }

    /// A peer holds something else about the absent. `steady`: for how long this node's own digest
    /// of them has been the same. Returns as [`Divergence::on_fingerprint`].
    pub(crate) fn on_absent(
        &mut self,
        peer: NodeId,
        steady: Duration,
        config: &Config,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Option<Instant> {
        if steady < ABSENT_PATIENCE {
            return None;
        }
        let due = Due {
            peer,
            since: now,
            about_absent: true,
        };
        self.put_due(due, config, rng)
    }

    /// This node's own view changed: a comparison that is due is put off, within limits.
    pub(crate) fn on_changed(
        &mut self,
        config: &Config,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> Option<Instant> {
        let due = self.due?;
        Some(
            self.pick(now, config, rng)
                .min(due.since + config.reconcile_delay_max)
                .max(now),
        )
    }

    /// The time has come. Returns with whom to compare.
    pub(crate) fn begin(&mut self, now: Instant) -> Option<NodeId> {
        let due = self.due.take()?;
        self.begun = Some(now);
        Some(due.peer)
    }

    /// Whether the peer last showed this very fingerprint.
    pub(crate) fn agrees(&self, peer: NodeId, ours: Fingerprint) -> bool {
        self.peers.get(&peer) == Some(&ours)
    }

    /// A peer is gone.
    pub(crate) fn forget(&mut self, peer: NodeId) {
        self.peers.remove(&peer);
        if self.due.is_some_and(|due| due.peer == peer) {
            self.due = None;
        }
    }

    #[cfg(feature = "sim")]
    pub(crate) fn limit(&self) -> Limit {
        ("fingerprints of peers", self.peers.len(), PEERS_MAX)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn put_due(&mut self, due: Due, config: &Config, rng: &mut fastrand::Rng) -> Option<Instant> {
        if let Some(earlier) = &mut self.due {
            // The latest to differ is the likeliest to differ still.
            *earlier = Due {
                since: earlier.since,
                ..due
            };
            return None;
        }
        self.due = Some(due);
        Some(self.pick(due.since, config, rng))
    }

    fn pick(&self, now: Instant, config: &Config, rng: &mut fastrand::Rng) -> Instant {
        let (min, max) = config.reconcile_delay;
        let at = now + min + (max.saturating_sub(min)).mul_f64(rng.f64());
        self.begun
            .map_or(at, |begun| at.max(begun + config.reconcile_interval))
    }

    fn note(&mut self, peer: NodeId, fingerprint: Fingerprint) {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&peer) {
            self.peers.pop_first();
        }
        self.peers.insert(peer, fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Fingerprint = Fingerprint(1);
    const THEIRS: Fingerprint = Fingerprint(2);
    const PEER: NodeId = NodeId(9);

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    #[test]
    fn a_difference_that_goes_away_is_not_compared() {
        let (config, mut rng, mut divergence) = (
            Config::lan(),
            fastrand::Rng::with_seed(1),
            Divergence::default(),
        );
        let due = divergence
            .on_fingerprint(PEER, THEIRS, OURS, &config, at(0), &mut rng)
            .unwrap();
        assert!(due >= at(50) && due <= at(250));
        assert_eq!(
            divergence.on_fingerprint(PEER, OURS, OURS, &config, at(10), &mut rng),
            None
        );
        assert_eq!(divergence.begin(due), None);
    }

    #[test]
    fn comparisons_keep_their_distance() {
        let (config, mut rng, mut divergence) = (
            Config::lan(),
            fastrand::Rng::with_seed(1),
            Divergence::default(),
        );
        let due = divergence
            .on_fingerprint(PEER, THEIRS, OURS, &config, at(0), &mut rng)
            .unwrap();
        assert_eq!(divergence.begin(due), Some(PEER));
        let next = divergence
            .on_fingerprint(PEER, THEIRS, OURS, &config, due, &mut rng)
            .unwrap();
        assert!(next >= due + config.reconcile_interval);
    }

    #[test]
    fn changes_of_ones_own_put_a_comparison_off_but_not_for_ever() {
        let (config, mut rng, mut divergence) = (
            Config::lan(),
            fastrand::Rng::with_seed(1),
            Divergence::default(),
        );
        assert_eq!(divergence.on_changed(&config, at(0), &mut rng), None);
        divergence
            .on_fingerprint(PEER, THEIRS, OURS, &config, at(0), &mut rng)
            .unwrap();
        assert!(divergence.on_changed(&config, at(1000), &mut rng).unwrap() > at(1000));
        assert_eq!(
            divergence.on_changed(&config, at(2990), &mut rng).unwrap(),
            at(3000)
        );
    }

    #[test]
    fn a_difference_about_the_absent_is_compared_once_this_nodes_own_news_are_old() {
        let (config, mut rng) = (Config::lan(), fastrand::Rng::with_seed(1));
        let mut divergence = Divergence::default();
        let mut differs = |steady| divergence.on_absent(PEER, steady, &config, at(9000), &mut rng);
        assert_eq!(differs(Duration::from_millis(1900)), None);
        assert!(differs(Duration::from_millis(2000)).is_some());
        // Equal fingerprints say nothing about the absent.
        divergence.on_fingerprint(PEER, OURS, OURS, &config, at(9001), &mut rng);
        assert_eq!(divergence.begin(at(9300)), Some(PEER));
    }
}
