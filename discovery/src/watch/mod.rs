//! The loop that asks a strategy again and again.
//!
//! One task a node. What a pass finds is proposed whole, every time: the engine knows who is a
//! member and ignores those, and a member that was forgotten meanwhile is found again this way.
//! Failures are retried with back-off, and logged when they begin and when they end, not at every
//! try: a directory that is down for a day is one line, not ten thousand.

mod asker;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot, watch as cell};

use self::asker::{Asker, Order};
use crate::backoff;
use crate::seed::Seed;
use crate::strategy::{BoxFuture, DiscoverError, Strategy};

/// The most seeds that one pass proposes; those beyond are dropped, and the log says so.
pub const SEEDS_MAX: usize = 1024;
/// How many orders wait for the loop; a caller waits for room.
const ORDERS_MAX: usize = 16;

/// When to ask.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Between two passes, a quarter more or less at random. Shorter finds newcomers sooner and
    /// loads the source more. Default 5 s.
    pub interval: Duration,
    /// How long a strategy may take over each of its answers, and its proposals to be handed on.
    /// Default 10 s.
    pub timeout: Duration,
    /// Whether it begins enabled. Default true.
    pub enabled: bool,
    /// The seed of the jitter. Default: another one at every call of `default`.
    pub jitter_seed: u64,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            enabled: true,
            jitter_seed: backoff::jitter_seed(),
        }
    }
}

/// What a pass found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The seeds, sorted, each once, [`SEEDS_MAX`] at most.
    pub seeds: Vec<Seed>,
}

/// A pass that is over.
#[derive(Clone, Debug)]
pub struct Pass {
    /// When it ended.
    pub at: SystemTime,
    /// What it found.
    pub outcome: Result<Found, DiscoverError>,
    /// Since when passes have ended like this one, well or badly.
    pub since: SystemTime,
    /// How many failed in a row; 0 after one that went well.
    pub failures: u32,
}

/// Whether others can find this node by the strategy's source.
#[derive(Clone, Debug)]
pub struct Registration {
    /// What the last try came to.
    pub outcome: Result<(), DiscoverError>,
    /// Since when tries have ended like the last one, well or badly.
    pub since: SystemTime,
}

/// What the loop is doing.
#[derive(Clone, Debug)]
pub struct Status {
    /// The strategy's name.
    pub strategy: &'static str,
    /// Whether it asks by itself.
    pub enabled: bool,
    /// The last pass; none before the first has ended.
    pub last: Option<Pass>,
    /// How registering goes; none while disabled and before the first try has ended. A strategy
    /// that registers nowhere succeeds in it.
    pub registration: Option<Registration>,
    /// When it asks next; none while disabled or asking.
    pub next: Option<SystemTime>,
}

/// A handle to a running loop, which ends when the handle is dropped: at once, without taking a
/// registration back. [`Watch::shutdown`] does that.
#[derive(Debug)]
pub struct Watch {
    enabled: cell::Sender<bool>,
    orders: mpsc::Sender<Order>,
    status: cell::Receiver<Status>,
    task: tokio::task::JoinHandle<()>,
}

/// Starts to ask `strategy`, and to hand what it finds to `propose`: at once, then every interval.
///
/// # Panics
/// Outside a tokio runtime with timers.
pub fn watch<P>(strategy: Arc<dyn Strategy>, options: WatchOptions, propose: P) -> Watch
where
    P: Fn(Seed) -> BoxFuture<'static, ()> + Send + Sync + 'static,
{
    let (enabled, enabled_rx) = cell::channel(options.enabled);
    let (orders, orders_rx) = mpsc::channel(ORDERS_MAX);
    let (status_tx, status) = cell::channel(Status {
        strategy: strategy.name(),
        enabled: options.enabled,
        last: None,
        registration: None,
        next: None,
    });
    let asker = Asker::new(strategy, options, Box::new(propose), enabled_rx, status_tx);
    let task = tokio::spawn(asker.run(orders_rx));
    Watch {
        enabled,
        orders,
        status,
        task,
    }
}

impl Watch {
    /// Asks by itself from now on, beginning at once.
    pub fn enable(&self) {
        self.enabled.send_replace(true);
    }

    /// Asks no more by itself, and takes the registration back. A pass that is under way proposes
    /// nothing more.
    pub fn disable(&self) {
        self.enabled.send_replace(false);
    }

    /// Asks now, enabled or not, and returns what was found once it is proposed.
    ///
    /// # Errors
    /// When the strategy failed, or the runtime is shutting down.
    ///
    /// # Cancel safety
    /// The pass is made even when nobody waits for its result any more.
    pub async fn run_once(&self) -> Result<Found, DiscoverError> {
        let (reply, answer) = oneshot::channel();
        self.orders
            .send(Order::Pass(reply))
            .await
            .map_err(|_| DiscoverError::Ended)?;
        answer.await.map_err(|_| DiscoverError::Ended)?
    }

    /// Ends the loop and takes the registration back, within the time that a strategy has for an
    /// answer; returns at once where the loop has ended.
    ///
    /// # Cancel safety
    /// The loop ends all the same, unless the handle is dropped.
    pub async fn shutdown(&self) {
        let (reply, ended) = oneshot::channel();
        if self.orders.send(Order::End(reply)).await.is_ok() {
            // An error means that the loop has ended, which is what is wanted.
            let _ = ended.await;
        }
    }

    /// What the loop is doing.
    pub fn status(&self) -> Status {
        Status {
            enabled: *self.enabled.borrow(),
            ..self.status.borrow().clone()
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
