//! The discovery of a node at run time: the strategy that the configuration chose, and whether it
//! is asked.
//!
//! The engine holds the truth about whether discovery is on (a leave turns it off, and that
//! outlives a restart); the watch loop follows it.

mod standing;
mod strategy;
mod unresolved;

use std::sync::Arc;
use std::time::Duration;

use convoke::{Node, Peer, Secret};
use convoke_discovery::{Seed, Static, Strategy, Watch, WatchOptions, watch};

use self::unresolved::Unresolved;
use crate::api::model::{DiscoveryState, SeedState, Trouble};
use crate::config::{self, Settings};

/// How often the loop's switch is compared with the engine's: a removal by another node turns
/// discovery off without a command here.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// The running discovery of a node.
pub(crate) struct Discovery {
    node: Node,
    strategy: config::Discovery,
    asked: Arc<dyn Strategy>,
    /// What the static strategy reads.
    list: Option<Arc<Static>>,
    unresolved: Arc<Unresolved>,
    watch: Watch,
}

impl Discovery {
    /// Starts to ask the configured strategy, unless the node left its cluster earlier.
    pub(crate) fn start(node: &Node, settings: &Settings, secret: &Secret) -> Self {
        let chosen = strategy::choose(settings, &strategy::me(node), secret);
        let enabled =
            settings.cluster.discovery != config::Discovery::Manual && node.discovery_enabled();
        let interval = settings.cluster.discovery_interval;
        let options = WatchOptions {
            interval,
            enabled,
            ..WatchOptions::default()
        };
        let unresolved = Arc::new(Unresolved::default());
        let (proposer, notes) = (node.clone(), unresolved.clone());
        let watch = watch(chosen.strategy.clone(), options, move |seed| {
            let (node, notes) = (proposer.clone(), notes.clone());
            Box::pin(async move { notes.take(&seed, node.propose(&peer(&seed)).await) })
        });
        Self {
            node: node.clone(),
            strategy: settings.cluster.discovery,
            asked: chosen.strategy,
            list: chosen.list,
            unresolved,
            watch,
        }
    }

    /// What it is, whether it asks, and how that goes.
    pub(crate) fn state(&self) -> DiscoveryState {
        let status = self.watch.status();
        let enabled = self.is_configured() && self.node.discovery_enabled();
        let last = status.last.filter(|_| self.is_configured());
        let found = last.as_ref().and_then(|pass| pass.outcome.as_ref().ok());
        let failing = last.as_ref().and_then(|pass| {
            let error = pass.outcome.as_ref().err()?;
            Some(Trouble::new(error, pass.since))
        });
        let unregistered = status.registration.and_then(|registration| {
            let error = registration.outcome.err()?;
            Some(Trouble::new(&error, registration.since))
        });
        DiscoveryState {
            strategy: self.strategy.to_string(),
            source: self.is_configured().then(|| self.asked.source()),
            enabled,
            found: found.map(|found| found.seeds.len()),
            failing,
            unregistered,
            remark: self.asked.remark(),
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

    /// Whether the seeds of the configuration are asked.
    pub(crate) fn asks_seeds(&self) -> bool {
        self.list.is_some()
    }

    /// Asks once, now. Returns what to tell the operator, and what each seed is.
    ///
    /// # Errors
    /// When no strategy is configured, it is disabled, or it failed.
    pub(crate) async fn run(&self) -> Result<(Vec<String>, Vec<SeedState>), String> {
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
        let seeds = seeds.join(", ");
        let notes = vec![
            format!("Discovery ({}) found: [{seeds}]", self.strategy),
            format!("Asked: {}", self.asked.source()),
        ];
        Ok((
            notes,
            standing::of(&self.node, &self.unresolved, &found.seeds).await,
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
        if let Some(list) = &self.list {
            let seeds = strategy::seeds(settings);
            self.unresolved.keep(&seeds);
            list.replace(seeds);
        }
    }

    /// Asks no more, and has the source forget this node.
    pub(crate) async fn end(&self) {
        self.watch.shutdown().await;
    }

    /// Keeps the loop's switch as the engine's, for as long as it is polled.
    pub(crate) async fn follow(&self) {
        let mut ticks = tokio::time::interval(FOLLOW_INTERVAL);
        while self.is_configured() {
            ticks.tick().await;
            self.forget_unresolved();
            let (wanted, is) = (self.node.discovery_enabled(), self.watch.status().enabled);
            match (wanted, is) {
                (true, false) => self.watch.enable(),
                (false, true) => self.watch.disable(),
                _ => {}
            }
        }
    }

    /// Forgets what is known of seeds that the source does not list any more.
    fn forget_unresolved(&self) {
        if self.unresolved.is_empty() {
            return;
        }
        if let Some(Ok(found)) = self.watch.status().last.map(|pass| pass.outcome) {
            self.unresolved.keep(&found.seeds);
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

fn peer(seed: &Seed) -> Peer {
    match seed {
        Seed::Name(name) => Peer::Name(name.clone()),
        Seed::Address(address) => Peer::Address(*address),
    }
}
