//! Seeds by UDP multicast: nodes of one segment find each other without any server.
//!
//! A node that looks for others asks a multicast group, and those who hear it answer to it alone,
//! with their name and gossip address.
//!
//! ```text
//!   asker ── Ask {nonce, share} ──▶ group        all who listen, on the ports of the configuration
//!   asker ◀─── Tell {nonce, address} ─── some    one in `share` of them, to the asker's own port
//!   asker ── Ask {nonce, larger share} ──▶ …     while too few have answered
//! ```
//!
//! Anybody on the segment can send to a group, so every message proves that its sender holds the
//! key of the cluster, and the key is bound to the cluster's name (see [`BeaconKey`]). Strangers
//! are neither answered nor believed. A message that is repeated by somebody who saw it is worth
//! nothing: a question is never taken for a seed and answered once only, and an answer counts only
//! while its nonce is asked for. What can be learned by listening is names and addresses.
//!
//! A thousand listeners must not answer one asker at once, and nobody knows how many there are. So
//! the first question is for one in 256 of them, and the share grows until enough have answered;
//! the next pass begins with the share that was enough. How much is read, and how much is sent to
//! whom, is limited besides.

mod answering;
mod asking;
mod beacon;
mod budget;
mod error;
mod iface;
mod options;
mod socket;
mod strangers;

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::me::Me;
use crate::seed::Seed;
use crate::strategy::{BoxFuture, DiscoverError, Strategy};
use answering::Answering;
pub use beacon::BeaconKey;
use beacon::Sealer;
pub use error::McastError;
pub use iface::{Iface, IfaceError};
pub use options::{McastOptions, McastOptionsError, PORTS_MAX};
use strangers::Strangers;

/// Finds the nodes that answer on a multicast group, and answers there.
#[derive(Debug)]
pub struct Mcast {
    options: McastOptions,
    me: Me,
    sealer: Arc<Sealer>,
    strangers: Arc<Strangers>,
    /// The share of listeners that the next pass asks first.
    share: AtomicU8,
    /// Never held across a wait.
    answering: Mutex<Option<Answering>>,
}

impl Mcast {
    /// A strategy for this node. No socket is opened before it is asked or registered.
    ///
    /// The key is what the nodes of the cluster prove themselves with. One with a shared secret
    /// derives it from that; nodes that have nothing in common but an authority that signed each
    /// of them need a key beside.
    pub fn new(me: Me, options: McastOptions, key: &BeaconKey) -> Self {
        Self {
            sealer: Arc::new(Sealer::new(key, &me.cluster)),
            strangers: Arc::default(),
            share: AtomicU8::new(asking::SHARE_FIRST),
            answering: Mutex::new(None),
            options,
            me,
        }
    }

    /// How many messages came that no node of this cluster sent: of other clusters, of holders of
    /// other secrets, of other programs.
    pub fn strangers(&self) -> u64 {
        self.strangers.count()
    }

    async fn ask(&self) -> Result<Vec<Seed>, McastError> {
        let begin = self.share.load(Relaxed);
        let pass = asking::Pass::open(&self.options, &self.me, &self.sealer, &self.strangers)?;
        let (found, next) = pass.ask(begin).await?;
        self.share.store(next, Relaxed);
        Ok(found.into_iter().map(Seed::Address).collect())
    }

    /// Keeps the socket open and in the group.
    fn listen(&self) -> Result<(), McastError> {
        let mut answering = self.held();
        if let Some(open) = &*answering
            && open.is_well(&self.options)
        {
            return Ok(());
        }
        // Closed before another is opened.
        *answering = None;
        let (sealer, strangers) = (self.sealer.clone(), self.strangers.clone());
        *answering = Some(Answering::open(&self.options, &self.me, sealer, strangers)?);
        Ok(())
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Answering>> {
        // It is replaced whole: a panic elsewhere leaves it as it was.
        self.answering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Strategy for Mcast {
    fn name(&self) -> &'static str {
        "mcast"
    }

    fn source(&self) -> String {
        let McastOptions {
            group,
            ports,
            iface,
            ..
        } = &self.options;
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        format!(
            "the multicast group {group}, ports {}, by interface {iface}",
            ports.join(" and ")
        )
    }

    fn remark(&self) -> Option<String> {
        let count = self.strangers();
        (count > 0).then(|| {
            format!("{count} messages of other clusters, secrets or programs were ignored")
        })
    }

    fn discover(&self) -> BoxFuture<'_, Result<Vec<Seed>, DiscoverError>> {
        Box::pin(async { self.ask().await.map_err(DiscoverError::source) })
    }

    fn register(&self) -> BoxFuture<'_, Result<(), DiscoverError>> {
        Box::pin(async { self.listen().map_err(DiscoverError::source) })
    }

    fn withdraw(&self) -> BoxFuture<'_, Result<(), DiscoverError>> {
        Box::pin(async {
            let open = self.held().take();
            if let Some(open) = open {
                open.close().await;
            }
            Ok(())
        })
    }
}
