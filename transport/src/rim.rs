//! What the tasks of one node share: the way in to the driver, the connections, the counters.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use convoke_core::{Instant, NodeName};
use tokio::sync::{Semaphore, mpsc};

use crate::clock::Clock;
use crate::identity::Identity;
use crate::input::Input;
use crate::pool::Pool;
use crate::refusal::LogLimit;
use crate::stats::Counters;
use crate::tasks::Tasks;

/// Packets that may be on their way out on streams at a time. More are dropped and counted.
const STREAMS_MAX: usize = 512;
/// Introductions at a time: each lasts for a moment. Whoever asks beyond is told to come again.
const INTRODUCTIONS_MAX: usize = 16;

/// Shared by reference; nothing in it is behind a lock of ours.
#[derive(Debug)]
pub(crate) struct Rim {
    pub(crate) identity: Identity,
    pub(crate) clock: Clock,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) pool: Pool,
    pub(crate) counters: Counters,
    pub(crate) tasks: Tasks,
    pub(crate) streams: Arc<Semaphore>,
    /// Room for introductions.
    pub(crate) introductions: Semaphore,
    log_limit: LogLimit,
    /// The sockets live as long as these do.
    endpoints: ArcSwapOption<Endpoints>,
    ended: AtomicBool,
}

/// The two QUIC endpoints of a node.
#[derive(Debug)]
pub(crate) struct Endpoints {
    pub(crate) gossip: quinn::Endpoint,
    pub(crate) rpc: quinn::Endpoint,
}

impl Rim {
    pub(crate) fn new(identity: Identity, inputs: mpsc::Sender<Input>, tasks: Tasks) -> Self {
        Self {
            pool: Pool::new(identity.name().id()),
            identity,
            clock: Clock::start(),
            inputs,
            counters: Counters::default(),
            tasks,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            introductions: Semaphore::new(INTRODUCTIONS_MAX),
            log_limit: LogLimit::default(),
            endpoints: ArcSwapOption::empty(),
            ended: AtomicBool::new(false),
        }
    }

    pub(crate) fn name(&self) -> &NodeName {
        self.identity.name()
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(crate) fn open(&self, endpoints: Endpoints) {
        self.endpoints.store(Some(Arc::new(endpoints)));
    }

    /// The endpoints, until the node has ended.
    pub(crate) fn endpoints(&self) -> Option<Arc<Endpoints>> {
        self.endpoints.load_full()
    }

    /// Waits for room, then hands an input to the driver. Lost when that has ended.
    pub(crate) async fn hand_in(&self, input: Input) {
        let _ = self.inputs.send(input).await;
    }

    /// Logs about a peer, unless that was done a moment ago.
    pub(crate) fn log_limited(&self, address: SocketAddr, words: impl FnOnce() -> String) {
        if self.log_limit.allows(self.now(), address) {
            tracing::warn!(node = %self.name(), "{address} {}", words());
        }
    }

    /// Ends everything at once and without a goodbye.
    pub(crate) fn abort(&self) {
        if !self.ended.swap(true, Ordering::SeqCst) {
            self.tasks.abort();
            self.endpoints.store(None);
            self.pool.clear();
        }
    }
}
