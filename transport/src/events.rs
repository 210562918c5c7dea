//! What happened, for those who listen.
//!
//! Every subscriber reads one shared, bounded ring of notices. The driver writes and never waits:
//! a subscriber that falls behind by more than the ring holds is told how many it missed, and goes
//! on with the oldest one that is still there.

use std::sync::Arc;
use std::time::SystemTime;

use convoke_core::Event;
use tokio::sync::broadcast;

/// How many notices a slow subscriber may lie behind before it misses some. The room for them is taken
/// when the node starts, 32 bytes each.
pub const NOTICES_MAX: usize = 2048;

/// Something that happened in the cluster, as this node sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Counts this node's notices since it started, from 1, without gaps.
    pub seq: u64,
    /// When it happened, by this host's clock.
    pub at: SystemTime,
    /// Of a partition that was detected, and of a node that is down: since when, by this host's
    /// clock. `None` of everything else.
    pub since: Option<SystemTime>,
    /// What happened.
    pub event: Event,
}

/// What a [`Subscription`] yields.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// The next notice.
    Notice(Arc<Notice>),
    /// The subscriber was too slow: so many notices are gone.
    Missed(u64),
}

/// Notices from the moment of [`crate::Node::subscribe`] on.
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<Arc<Notice>>);

impl Subscription {
    pub(crate) fn new(receiver: broadcast::Receiver<Arc<Notice>>) -> Self {
        Self(receiver)
    }

    /// The next notice, or how many were missed; `None` when the node has ended.
    ///
    /// Cancel safe: a notice is lost only when it is returned.
    pub async fn next(&mut self) -> Option<Received> {
        match self.0.recv().await {
            Ok(notice) => Some(Received::Notice(notice)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Received::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(seq: u64) -> Arc<Notice> {
        Arc::new(Notice {
            seq,
            at: SystemTime::UNIX_EPOCH,
            since: None,
            event: Event::QuorumLost,
        })
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_told_how_many_it_missed() {
        let (sender, receiver) = broadcast::channel(4);
        let mut subscription = Subscription::new(receiver);
        for seq in 1..=10 {
            sender.send(notice(seq)).unwrap();
        }
        assert_eq!(subscription.next().await, Some(Received::Missed(6)));
        for seq in 7..=10 {
            assert_eq!(
                subscription.next().await,
                Some(Received::Notice(notice(seq)))
            );
        }
        drop(sender);
        assert_eq!(subscription.next().await, None);
    }
}
