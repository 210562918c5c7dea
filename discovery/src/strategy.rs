//! What every way of finding seeds has in common.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::seed::Seed;

/// A future on the heap, so that a [`Strategy`] can be an object that the configuration chose.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to find nodes that may be members of the cluster.
///
/// It is asked at the start, at every interval, and when an operator says so; never twice at once.
/// Strategies keep no schedule, no retries and no time limits of their own: [`crate::watch`] has
/// them for all.
pub trait Strategy: Send + Sync + 'static {
    /// The name that the configuration gives it: `static`, `dns`.
    fn name(&self) -> &'static str;

    /// Where members might be, now. The own node may be among them; duplicates do no harm.
    /// Nothing found is an empty list, not an error.
    ///
    /// # Errors
    /// When the source did not answer, or not in a way that can be understood. It is asked again.
    ///
    /// # Cancel safety
    /// The future is dropped where it takes too long: whatever it holds must be safe to drop.
    fn discover(&self) -> BoxFuture<'_, Result<Vec<Seed>, DiscoverError>>;
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
