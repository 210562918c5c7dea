//! What every way of finding seeds has in common.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::seed::Seed;

/// A future on the heap, so that a [`Strategy`] can be an object that the configuration chose.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to find nodes that may be members of the cluster, and to be found.
///
/// [`discover`](Self::discover) is asked at the start, at every interval, when an operator says so
/// and when [`changed`](Self::changed) tells of news; never twice at once. Strategies keep no
/// schedule, no retries and no time limits of their own: [`crate::watch`] has them for all. Only
/// `name` and `discover` must be written; the rest is for sources that list whoever registers.
pub trait Strategy: Send + Sync + 'static {
    /// The name that the configuration gives it: `static`, `dns`.
    fn name(&self) -> &'static str;

    /// What is asked, in words for an operator: `A records of nodes.example.org at 10.0.0.53:53`.
    /// No passwords. Default: the name.
    fn source(&self) -> String {
        self.name().to_owned()
    }

    /// What an operator should know besides, while the strategy works as it should: a short line.
    /// Default: nothing.
    fn remark(&self) -> Option<String> {
        None
    }

    /// Where members might be, now. The own node may be among them; duplicates do no harm.
    /// Nothing found is an empty list, not an error.
    ///
    /// # Errors
    /// When the source did not answer, or not in a way that can be understood. It is asked again.
    ///
    /// # Cancel safety
    /// The future is dropped where it takes too long: whatever it holds must be safe to drop.
    fn discover(&self) -> BoxFuture<'_, Result<Vec<Seed>, DiscoverError>>;

    /// Makes the own node findable. Called at every pass of an enabled loop, at the same time as
    /// `discover`: cheap while the registration holds, and the place to make it anew once the
    /// source lost it. The default registers nowhere.
    ///
    /// # Errors
    /// When the source refused or did not answer. What `discover` found is proposed all the same,
    /// and the next pass tries again.
    ///
    /// # Cancel safety
    /// As for `discover`.
    fn register(&self) -> BoxFuture<'_, Result<(), DiscoverError>> {
        Box::pin(async { Ok(()) })
    }

    /// Takes the registration back, because discovery was disabled or the node ends. Called once
    /// after one or more calls of `register`, whether those succeeded or not.
    ///
    /// # Errors
    /// When the source could not be told. It is not tried again: a registration should lapse by
    /// itself where its node is gone.
    ///
    /// # Cancel safety
    /// As for `discover`.
    fn withdraw(&self) -> BoxFuture<'_, Result<(), DiscoverError>> {
        Box::pin(async { Ok(()) })
    }

    /// Returns when `discover` may have something new to tell, so that it is asked at once rather
    /// than at the next interval. Waited for while the loop is enabled; called again after each
    /// pass that it caused. The default never returns.
    ///
    /// # Cancel safety
    /// News that come while nobody waits must make the next call return at once.
    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

/// Why there is no answer to "where might members be". The node is untouched, and what was found
/// before stays known to it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The strategy's source failed: its own words.
    #[error("{0}")]
    Source(Arc<dyn Error + Send + Sync>),
    /// The strategy did not answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The strategy panicked: a bug in it, which ends nothing else.
    #[error("the strategy panicked: {0}")]
    Panicked(Arc<str>),
    /// The watch loop is over, because the runtime is shutting down.
    #[error("discovery has ended with its runtime")]
    Ended,
}

impl DiscoverError {
    /// An error of a strategy's source, in its own words.
    pub fn source(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Source(error.into().into())
    }
}
