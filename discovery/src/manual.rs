//! No discovery: operators join nodes by hand.

use crate::seed::Seed;
use crate::strategy::{BoxFuture, DiscoverError, Strategy};

/// Finds nothing, always. A node that runs it joins where `cluster join` says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manual;

impl Strategy for Manual {
    fn name(&self) -> &'static str {
        "manual"
    }

    fn discover(&self) -> BoxFuture<'_, Result<Vec<Seed>, DiscoverError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
