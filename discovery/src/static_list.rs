//! A fixed list of seeds from the configuration.

use arc_swap::ArcSwap;

use crate::seed::Seed;
use crate::strategy::{BoxFuture, DiscoverError, Strategy};

/// Finds the seeds of a list. Not every member need be on it: one that answers is enough.
#[derive(Debug)]
pub struct Static {
    seeds: ArcSwap<Vec<Seed>>,
}

impl Static {
    /// A strategy that finds these, in this order.
    pub fn new(seeds: Vec<Seed>) -> Self {
        Self {
            seeds: ArcSwap::from_pointee(seeds),
        }
    }

    /// Finds these from the next pass on: the configuration was read again.
    pub fn replace(&self, seeds: Vec<Seed>) {
        self.seeds.store(seeds.into());
    }
}

impl Strategy for Static {
    fn name(&self) -> &'static str {
        "static"
    }

    fn source(&self) -> String {
        "the seeds of the configuration".to_owned()
    }

    fn discover(&self) -> BoxFuture<'_, Result<Vec<Seed>, DiscoverError>> {
        let seeds = self.seeds.load().to_vec();
        Box::pin(async { Ok(seeds) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_replaced_list_is_found_at_the_next_pass() {
        let seed = |text: &str| text.parse::<Seed>().expect(text);
        let strategy = Static::new(vec![seed("a@h1"), seed("b@h2")]);
        assert_eq!(
            strategy.discover().await.expect("a list answers"),
            [seed("a@h1"), seed("b@h2")]
        );
        strategy.replace(vec![seed("10.0.0.7:4370")]);
        assert_eq!(
            strategy.discover().await.expect("a list answers"),
            [seed("10.0.0.7:4370")]
        );
    }
}
