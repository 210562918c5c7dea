//! The nodes of one round, and what is done to them.

use std::time::{Duration, Instant};

use std::sync::Arc;

use tokio::task::JoinSet;

use super::error::Error;
use super::figure::Figure;
use super::subject::Subject;
use super::views::{Views, until};

/// Running nodes, numbered from 0.
pub(super) struct Cluster<S: Subject> {
    nodes: Vec<S::Node>,
    views: Arc<Views>,
}

/// How the nodes became one cluster.
#[derive(Debug)]
pub(super) struct Joined {
    /// When they were told to.
    pub(super) since: Instant,
    /// Whether every ordered pair got up in time.
    pub(super) whole: bool,
}

impl<S: Subject> Cluster<S> {
    /// Starts so many nodes, each a cluster of its own.
    ///
    /// # Errors
    /// When one of them does not start.
    pub(super) async fn start(subject: &S, count: usize) -> Result<Self, Error> {
        let views = Views::new(count);
        let mut nodes = Vec::with_capacity(count);
        for number in 0..count {
            let node = subject.start(views.watcher(number)).await;
            nodes.push(node.map_err(|cause| Error::Start { number, cause })?);
        }
        Ok(Self { nodes, views })
    }

    /// Has all join the first one at once, and waits until every ordered pair is up.
    pub(super) async fn join(&self) -> Joined {
        let since = Instant::now();
        let (seed, others) = self.nodes.split_first().expect("a cluster has two nodes");
        let mut joining = JoinSet::new();
        for node in others {
            joining.spawn(S::join(node.clone(), seed.clone()));
        }
        let whole = until(Figure::Join.limit(), || self.views.is_whole()).await;
        // Whoever is not back yet is not waited for: the views say what counts.
        joining.detach_all();
        Joined { since, whole }
    }

    /// A cluster that has joined and settled, and why it is not whole, if it is not.
    ///
    /// # Errors
    /// When a node does not start.
    pub(super) async fn gathered(
        subject: &S,
        count: usize,
        settle: Duration,
    ) -> Result<(Self, Result<(), Error>), Error> {
        let cluster = Self::start(subject, count).await?;
        let joined = cluster.join().await;
        let whole = joined.whole.then_some(()).ok_or_else(|| Error::NotWhole {
            limit: Figure::Join.limit(),
            pairs: Some(cluster.views.share()),
        });
        tokio::time::sleep(settle).await;
        cluster.views.forget_failures();
        Ok((cluster, whole))
    }

    /// The node of this number.
    pub(super) fn node(&self, number: usize) -> &S::Node {
        &self.nodes[number]
    }

    /// The numbers of all nodes.
    pub(super) fn all(&self) -> Vec<usize> {
        (0..self.nodes.len()).collect()
    }

    /// How many connections they hold open, all together, each end counted.
    pub(super) fn connections(&self) -> Option<u64> {
        self.nodes.iter().map(S::connections).sum()
    }

    /// What they see.
    pub(super) fn views(&self) -> &Views {
        &self.views
    }
}
