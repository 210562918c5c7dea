//! The loop that asks a strategy again and again.
//!
//! One task a node. What a pass finds is proposed whole, every time: the engine knows who is a
//! member and ignores those, and a member that was forgotten meanwhile is found again this way.
//! Failures are retried with back-off, and logged when they begin and when they end, not at every
//! try: a directory that is down for a day is one line, not ten thousand.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot, watch as cell};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::{debug, info, warn};

use crate::backoff;
use crate::seed::Seed;
use crate::strategy::{BoxFuture, DiscoverError, Strategy};

/// The most seeds that one pass proposes; those beyond are dropped, and the log says so.
pub const SEEDS_MAX: usize = 1024;
/// How many seeds are proposed at once: each may wait for a name server.
const PROPOSALS_AT_ONCE: usize = 32;
/// How many orders wait for the loop; a caller waits for room.
const ORDERS_MAX: usize = 16;

/// When to ask.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Between two passes, a quarter more or less at random. Shorter finds newcomers sooner and
    /// loads the source more. Default 5 s.
    pub interval: Duration,
    /// How long a strategy may take to answer, and its proposals to be handed on. Default 10 s.
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
            jitter_seed: RandomState::new().hash_one(0),
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

/// What the loop is doing.
#[derive(Clone, Debug)]
pub struct Status {
    /// The strategy's name.
    pub strategy: &'static str,
    /// Whether it asks by itself.
    pub enabled: bool,
    /// The last pass; none before the first has ended.
    pub last: Option<Pass>,
    /// When it asks next; none while disabled or asking.
    pub next: Option<SystemTime>,
}

/// A handle to a running loop, which ends when the handle is dropped.
#[derive(Debug)]
pub struct Watch {
    enabled: cell::Sender<bool>,
    orders: mpsc::Sender<oneshot::Sender<Result<Found, DiscoverError>>>,
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
        next: None,
    });
    let rng = fastrand::Rng::with_seed(options.jitter_seed);
    let asker = Asker {
        strategy,
        options,
        propose: Box::new(propose),
        enabled: enabled_rx,
        status: status_tx,
        rng,
    };
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

    /// Asks no more by itself. A pass that is under way proposes nothing more.
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
            .send(reply)
            .await
            .map_err(|_| DiscoverError::Ended)?;
        answer.await.map_err(|_| DiscoverError::Ended)?
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

/// The loop's own side.
struct Asker {
    strategy: Arc<dyn Strategy>,
    options: WatchOptions,
    propose: Box<dyn Fn(Seed) -> BoxFuture<'static, ()> + Send + Sync>,
    enabled: cell::Receiver<bool>,
    status: cell::Sender<Status>,
    rng: fastrand::Rng,
}

impl Asker {
    async fn run(
        mut self,
        mut orders: mpsc::Receiver<oneshot::Sender<Result<Found, DiscoverError>>>,
    ) {
        let mut next = Instant::now();
        loop {
            let enabled = *self.enabled.borrow_and_update();
            self.show_next(enabled.then_some(next));
            tokio::select! {
                // What is due comes before what is ordered, so that the same passes follow each other
                // whenever an order comes.
                biased;
                () = sleep_until(next), if enabled => {
                    // The outcome is in the status, and in the log when it is news.
                    let _ = self.pass(false).await;
                    next = Instant::now() + self.wait();
                }
                changed = self.enabled.changed() => match changed {
                    Ok(()) => next = Instant::now(),
                    Err(_) => return,
                },
                order = orders.recv() => {
                    let Some(reply) = order else { return };
                    // Whoever asked may be gone: the pass counts all the same.
                    let _ = reply.send(self.pass(true).await);
                    next = Instant::now() + self.wait();
                }
            }
        }
    }

    /// Asks and proposes. A disabled loop proposes only what was `ordered`.
    async fn pass(&mut self, ordered: bool) -> Result<Found, DiscoverError> {
        self.show_next(None);
        let answer = self.ask().await;
        let outcome = answer.map(|seeds| self.limit(seeds));
        self.record(&outcome);
        if let Ok(found) = &outcome
            && (ordered || *self.enabled.borrow())
        {
            self.hand_on(&found.seeds, ordered).await;
        }
        outcome
    }

    /// In a task of its own: a strategy that panics ends that task and nothing else.
    async fn ask(&self) -> Result<Vec<Seed>, DiscoverError> {
        let strategy = Arc::clone(&self.strategy);
        let mut asking = JoinSet::new();
        asking.spawn(async move { strategy.discover().await });
        match timeout(self.options.timeout, asking.join_next()).await {
            Ok(Some(Ok(answer))) => answer,
            Ok(Some(Err(error))) => Err(panicked(error)),
            Ok(None) => Err(DiscoverError::Ended),
            Err(_) => Err(DiscoverError::Timeout(self.options.timeout)),
        }
    }

    fn limit(&mut self, mut seeds: Vec<Seed>) -> Found {
        seeds.sort_unstable();
        seeds.dedup();
        if seeds.len() > SEEDS_MAX {
            let (strategy, found) = (self.strategy.name(), seeds.len());
            debug!(
                strategy,
                found,
                proposed = SEEDS_MAX,
                "more seeds than are proposed at once"
            );
            // Which ones are left out differs from pass to pass, so that each has its turn.
            self.rng.shuffle(&mut seeds);
            seeds.truncate(SEEDS_MAX);
            seeds.sort_unstable();
        }
        Found { seeds }
    }

    async fn hand_on(&self, seeds: &[Seed], ordered: bool) {
        let deadline = Instant::now() + self.options.timeout;
        for batch in seeds.chunks(PROPOSALS_AT_ONCE) {
            if !ordered && !*self.enabled.borrow() {
                return;
            }
            let mut proposals: JoinSet<()> = batch.iter().cloned().map(&self.propose).collect();
            if timeout_at(deadline, finish(&mut proposals)).await.is_err() {
                debug!(
                    strategy = self.strategy.name(),
                    "not every seed could be handed on in time"
                );
                return;
            }
        }
    }

    /// Keeps the outcome for the status, and logs it where it differs in kind from the last one.
    fn record(&self, outcome: &Result<Found, DiscoverError>) {
        let (at, strategy) = (SystemTime::now(), self.strategy.name());
        self.status.send_modify(|status| {
            let before = status.last.take();
            let same = before.as_ref().is_some_and(|last| last.outcome.is_ok() == outcome.is_ok());
            match outcome {
                Ok(found) if before.is_none() || !same => {
                    info!(strategy, seeds = found.seeds.len(), "discovery answers");
                }
                Err(error) if !same => {
                    warn!(strategy, %error, "discovery fails: it is retried, and logged again when it answers");
                }
                Ok(_) | Err(_) => {}
            }
            let (since, failures) = match before {
                Some(last) if same => (last.since, last.failures),
                _ => (at, 0),
            };
            let failures = if outcome.is_ok() { 0 } else { failures.saturating_add(1) };
            status.last = Some(Pass { at, outcome: outcome.clone(), since, failures });
        });
    }

    fn wait(&mut self) -> Duration {
        let failures = self
            .status
            .borrow()
            .last
            .as_ref()
            .map_or(0, |last| last.failures);
        match failures {
            0 => backoff::after_success(self.options.interval, &mut self.rng),
            _ => backoff::after_failure(failures, &mut self.rng),
        }
    }

    fn show_next(&self, next: Option<Instant>) {
        let next = next.map(|at| SystemTime::now() + at.saturating_duration_since(Instant::now()));
        self.status.send_modify(|status| status.next = next);
    }
}

async fn finish(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

fn panicked(error: tokio::task::JoinError) -> DiscoverError {
    let Ok(payload) = error.try_into_panic() else {
        return DiscoverError::Ended;
    };
    let words = payload.downcast_ref::<&str>().copied();
    let words = words.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    DiscoverError::Panicked(words.unwrap_or("without a message").into())
}
