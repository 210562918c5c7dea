//! The loop's own side: when to ask, what to do with the answer, and what to say of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot, watch as cell};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::{Found, Pass, Registration, SEEDS_MAX, Status, WatchOptions};
use crate::backoff;
use crate::seed::Seed;
use crate::strategy::{BoxFuture, DiscoverError, Strategy};

/// How many seeds are proposed at once: each may wait for a name server.
const PROPOSALS_AT_ONCE: usize = 32;
/// The least time between two passes that news caused: a source that changes all the time is
/// asked five times a second.
const NEWS_GAP: Duration = Duration::from_millis(200);

/// What a handle asks of its loop.
pub(super) enum Order {
    /// Ask now.
    Pass(oneshot::Sender<Result<Found, DiscoverError>>),
    /// End, with the registration taken back.
    End(oneshot::Sender<()>),
}

pub(super) type Propose = Box<dyn Fn(Seed) -> BoxFuture<'static, ()> + Send + Sync>;

/// The loop.
pub(super) struct Asker {
    strategy: Arc<dyn Strategy>,
    options: WatchOptions,
    propose: Propose,
    enabled: cell::Receiver<bool>,
    status: cell::Sender<Status>,
    rng: fastrand::Rng,
    /// Whether `register` was called and `withdraw` was not, since.
    registered: bool,
    /// The task that waits for news, while the loop is enabled and its last pass is over.
    news: JoinSet<()>,
}

impl Asker {
    pub(super) fn new(
        strategy: Arc<dyn Strategy>,
        options: WatchOptions,
        propose: Propose,
        enabled: cell::Receiver<bool>,
        status: cell::Sender<Status>,
    ) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(options.jitter_seed),
            strategy,
            options,
            propose,
            enabled,
            status,
            registered: false,
            news: JoinSet::new(),
        }
    }

    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut next = Instant::now();
        let mut last_pass = next;
        let mut was_enabled = true;
        loop {
            let enabled = *self.enabled.borrow_and_update();
            if enabled && !was_enabled {
                next = Instant::now();
            }
            was_enabled = enabled;
            if !enabled {
                self.withdraw().await;
            }
            self.show_next(enabled.then_some(next));
            tokio::select! {
                // What is due comes before what is ordered, so that the same passes follow each other
                // whenever an order comes.
                biased;
                () = sleep_until(next), if enabled => {
                    // The outcome is in the status, and in the log when it is news.
                    let _ = self.pass(false).await;
                    last_pass = Instant::now();
                    next = last_pass + self.wait();
                }
                changed = self.enabled.changed() => if changed.is_err() { return },
                order = orders.recv() => match order {
                    Some(Order::Pass(reply)) => {
                        // Whoever asked may be gone: the pass counts all the same.
                        let _ = reply.send(self.pass(true).await);
                        last_pass = Instant::now();
                        next = last_pass + self.wait();
                    }
                    Some(Order::End(reply)) => {
                        self.withdraw().await;
                        let _ = reply.send(());
                        return;
                    }
                    None => return,
                },
                Some(news) = self.news.join_next() => match news {
                    Ok(()) => next = next.min(last_pass + NEWS_GAP),
                    Err(error) => warn!(
                        strategy = self.strategy.name(),
                        error = %panicked(error),
                        "discovery waits for news no more before its next pass"
                    ),
                },
            }
        }
    }

    /// Asks and proposes. A disabled loop proposes only what was `ordered`, and does not register.
    async fn pass(&mut self, ordered: bool) -> Result<Found, DiscoverError> {
        self.show_next(None);
        let enabled = *self.enabled.borrow();
        self.registered |= enabled;
        let (answer, registered) = tokio::join!(self.ask(), self.register(enabled));
        if let Some(registered) = registered {
            self.record_registration(registered);
        }
        let outcome = answer.map(|seeds| self.limit(seeds));
        self.record(&outcome);
        if let Ok(found) = &outcome
            && (ordered || *self.enabled.borrow())
        {
            self.hand_on(&found.seeds, ordered).await;
        }
        if enabled && self.news.is_empty() {
            let strategy = Arc::clone(&self.strategy);
            self.news.spawn(async move { strategy.changed().await });
        }
        outcome
    }

    async fn ask(&self) -> Result<Vec<Seed>, DiscoverError> {
        let strategy = Arc::clone(&self.strategy);
        self.guard(async move { strategy.discover().await }).await
    }

    async fn register(&self, enabled: bool) -> Option<Result<(), DiscoverError>> {
        if !enabled {
            return None;
        }
        let strategy = Arc::clone(&self.strategy);
        Some(self.guard(async move { strategy.register().await }).await)
    }

    /// Takes the registration back, where there may be one, and waits for no news any more.
    async fn withdraw(&mut self) {
        self.news.shutdown().await;
        if !std::mem::take(&mut self.registered) {
            return;
        }
        let strategy = Arc::clone(&self.strategy);
        let withdrawn = self.guard(async move { strategy.withdraw().await }).await;
        if let Err(error) = withdrawn {
            let strategy = self.strategy.name();
            warn!(strategy, %error, "others may find this node by discovery until its registration lapses");
        }
        self.status.send_modify(|status| status.registration = None);
    }

    /// In a task of its own: a strategy that panics ends that task and nothing else. In bounded
    /// time.
    async fn guard<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, DiscoverError>> + Send + 'static,
    ) -> Result<T, DiscoverError> {
        let mut task = JoinSet::new();
        task.spawn(work);
        match timeout(self.options.timeout, task.join_next()).await {
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

    /// Keeps how registering went, and logs it where it differs in kind from the last try.
    fn record_registration(&self, outcome: Result<(), DiscoverError>) {
        let strategy = self.strategy.name();
        self.status.send_modify(|status| {
            let before = status.registration.take();
            let same = before.as_ref().is_some_and(|last| last.outcome.is_ok() == outcome.is_ok());
            match &outcome {
                Ok(()) if before.is_some() && !same => {
                    info!(strategy, "others can find this node by discovery again");
                }
                Err(error) if !same => {
                    warn!(strategy, %error, "others can't find this node by discovery: it is retried, and logged again when it works");
                }
                Ok(()) | Err(_) => {}
            }
            let since = before.filter(|_| same).map_or_else(SystemTime::now, |last| last.since);
            status.registration = Some(Registration { outcome, since });
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
