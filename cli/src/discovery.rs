//! The discovery of a node at run time: the strategy that the configuration chose, and whether it
//! is asked.
//!
//! The engine holds the truth about whether discovery is on (a leave turns it off, and that
//! outlives a restart); the watch loop follows it.

use std::sync::Arc;
use std::time::Duration;

use convoke::{Node, Peer};
use convoke_discovery::{Manual, Seed, Static, Strategy, Watch, WatchOptions, watch};

use crate::api::model::DiscoveryState;
use crate::config::{self, Settings};

/// How often the loop's switch is compared with the engine's: a removal by another node turns
/// discovery off without a command here.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// The running discovery of a node.
pub(crate) struct Discovery {
    node: Node,
    strategy: config::Discovery,
    seeds: Arc<Static>,
    watch: Watch,
}

impl Discovery {
    /// Starts to ask the configured strategy, unless the node left its cluster earlier.
    pub(crate) fn start(node: &Node, settings: &Settings) -> Self {
        let seeds = Arc::new(Static::new(seeds(settings)));
        let strategy: Arc<dyn Strategy> = match settings.cluster.discovery {
            config::Discovery::Static => seeds.clone(),
            _ => Arc::new(Manual),
        };
        let enabled =
            settings.cluster.discovery != config::Discovery::Manual && node.discovery_enabled();
        let interval = settings.cluster.discovery_interval;
        let options = WatchOptions {
            interval,
            enabled,
            ..WatchOptions::default()
        };
        let proposer = node.clone();
        let watch = watch(strategy, options, move |seed| {
            let node = proposer.clone();
            Box::pin(async move { propose(&node, seed).await })
        });
        Self {
            node: node.clone(),
            strategy: settings.cluster.discovery,
            seeds,
            watch,
        }
    }

    /// What it is and whether it asks.
    pub(crate) fn state(&self) -> DiscoveryState {
        let enabled = self.is_configured() && self.node.discovery_enabled();
        DiscoveryState {
            strategy: self.strategy.to_string(),
            enabled,
        }
    }

    /// Whether there is a strategy other than manual.
    pub(crate) fn is_configured(&self) -> bool {
        self.strategy != config::Discovery::Manual
    }

    /// Asks from now on. Returns what to tell the operator.
    ///
    /// # Errors
    /// When no strategy is configured.
    pub(crate) async fn enable(&self) -> Result<String, String> {
        self.configured()?;
        self.node.set_discovery(true).await;
        self.watch.enable();
        Ok(format!("Discovery ({}) is enabled.", self.strategy))
    }

    /// Asks no more.
    ///
    /// # Errors
    /// When no strategy is configured.
    pub(crate) async fn disable(&self) -> Result<String, String> {
        self.configured()?;
        self.node.set_discovery(false).await;
        self.watch.disable();
        Ok(format!("Discovery ({}) is disabled.", self.strategy))
    }

    /// Asks once, now.
    ///
    /// # Errors
    /// When no strategy is configured, it is disabled, or it failed.
    pub(crate) async fn run(&self) -> Result<String, String> {
        self.configured()?;
        if !self.node.discovery_enabled() {
            return Err(
                "discovery is disabled on this node: run `convoke cluster discovery enable`".into(),
            );
        }
        let found = self
            .watch
            .run_once()
            .await
            .map_err(|error| format!("discovery failed: {error}"))?;
        let seeds: Vec<String> = found.seeds.iter().map(Seed::to_string).collect();
        Ok(format!(
            "Discovery ({}) found: [{}]",
            self.strategy,
            seeds.join(", ")
        ))
    }

    /// A leave turned discovery off: stops the loop, and says so where there is one.
    pub(crate) fn stopped_by_leave(&self) -> Option<String> {
        self.watch.disable();
        let strategy = self.strategy;
        self.is_configured().then(|| {
            format!("Discovery ({strategy}) is stopped: `convoke cluster discovery enable` starts it again.")
        })
    }

    /// Takes the seeds of a configuration that was read again.
    pub(crate) fn reload(&self, settings: &Settings) {
        self.seeds.replace(seeds(settings));
    }

    /// Keeps the loop's switch as the engine's, for as long as it is polled.
    pub(crate) async fn follow(&self) {
        let mut ticks = tokio::time::interval(FOLLOW_INTERVAL);
        while self.is_configured() {
            ticks.tick().await;
            let (wanted, is) = (self.node.discovery_enabled(), self.watch.status().enabled);
            match (wanted, is) {
                (true, false) => self.watch.enable(),
                (false, true) => self.watch.disable(),
                _ => {}
            }
        }
    }

    fn configured(&self) -> Result<(), String> {
        let hint = "no discovery strategy is configured (cluster.discovery is manual): set it, and start the node again";
        if self.is_configured() {
            Ok(())
        } else {
            Err(hint.into())
        }
    }
}

fn seeds(settings: &Settings) -> Vec<Seed> {
    let seed = |peer: &Peer| match peer {
        Peer::Name(name) => Seed::Name(name.clone()),
        Peer::Address(address) => Seed::Address(*address),
    };
    settings.cluster.seeds.iter().map(seed).collect()
}

async fn propose(node: &Node, seed: Seed) {
    let peer = match seed {
        Seed::Name(name) => Peer::Name(name),
        Seed::Address(address) => Peer::Address(address),
    };
    if let Err(error) = node.propose(&peer).await {
        tracing::debug!(seed = %peer, %error, "a seed was passed over");
    }
}
