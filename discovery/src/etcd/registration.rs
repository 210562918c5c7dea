//! The own node, written down in etcd for as long as it lives.
//!
//! Its key hangs on a lease that a task keeps alive. Where the process dies, the lease runs out
//! and the key with it; where it leaves, the lease is revoked. A lease that etcd has lost is told
//! of, and the next pass takes another. The lease's number is drawn here, before etcd knows it, so
//! that a registration that was cut short can be taken back all the same.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::client::{Client, Refusal};
use super::connection::PATIENCE;
use super::error::EtcdError;
use super::proto::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, PutRequest};
use crate::backoff;

/// What is written down, and until when.
pub(super) struct Registration {
    client: Arc<Client>,
    key: Vec<u8>,
    value: Vec<u8>,
    ttl: Duration,
    /// Told when etcd has lost the lease.
    lost: Arc<Notify>,
    /// Locked to be looked at and changed, never while anything is waited for.
    lease: Mutex<Option<Lease>>,
}

struct Lease {
    id: i64,
    /// Whether etcd has said that it is no more.
    gone: Arc<AtomicBool>,
    /// The revision at which the key was written under it; none before, and where it is missing.
    written: Option<i64>,
    /// The task that keeps it alive, which ends with it.
    keeper: JoinSet<()>,
}

impl Registration {
    pub(super) fn new(client: Arc<Client>, key: Vec<u8>, value: Vec<u8>, ttl: Duration) -> Self {
        Self {
            client,
            key,
            value,
            ttl,
            lost: Arc::default(),
            lease: Mutex::new(None),
        }
    }

    /// Writes the node down, where it is not.
    pub(super) async fn hold(&self) -> Result<(), EtcdError> {
        let Some((id, gone)) = self.begin() else {
            return Ok(());
        };
        let outcome = self.write(id, &gone).await;
        if outcome.is_err() {
            // The next try takes another lease; what may be left of this one runs out.
            self.end(id);
        }
        outcome
    }

    /// Takes it back.
    pub(super) async fn withdraw(&self) -> Result<(), EtcdError> {
        // Dropping the lease ends its task.
        let Some(id) = self.lease().take().map(|lease| lease.id) else {
            return Ok(());
        };
        match self.client.call(LeaseRevokeRequest { id }).await {
            Ok(_) | Err(Refusal::LeaseGone) => Ok(()),
            Err(refusal) => Err(error(refusal)),
        }
    }

    /// Is told whether the key was there at a revision: who deletes it by hand is put right.
    pub(super) fn seen(&self, there: bool, revision: i64) {
        if let Some(lease) = &mut *self.lease()
            && !there
            && lease.written.is_some_and(|written| written <= revision)
        {
            lease.written = None;
        }
    }

    /// Returns when the lease is lost.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }

    /// The lease to write under; none where the node is written down already.
    fn begin(&self) -> Option<(i64, Arc<AtomicBool>)> {
        let mut held = self.lease();
        match &*held {
            Some(lease) if !lease.gone.load(Ordering::Relaxed) => match lease.written {
                Some(_) => None,
                None => Some((lease.id, lease.gone.clone())),
            },
            _ => {
                let (id, gone) = (
                    fastrand::Rng::with_seed(backoff::jitter_seed()).i64(1..),
                    Arc::default(),
                );
                let lease = Lease {
                    id,
                    gone: Arc::clone(&gone),
                    written: None,
                    keeper: JoinSet::new(),
                };
                *held = Some(lease);
                Some((id, gone))
            }
        }
    }

    async fn write(&self, id: i64, gone: &Arc<AtomicBool>) -> Result<(), EtcdError> {
        let is_kept = self
            .lease()
            .as_ref()
            .is_some_and(|lease| !lease.keeper.is_empty());
        if !is_kept {
            self.grant(id).await?;
        }
        let (key, value) = (self.key.clone(), self.value.clone());
        let written = self
            .client
            .call(PutRequest {
                key,
                value,
                lease: id,
            })
            .await
            .map_err(error)?;
        let keeper = Keeper {
            client: self.client.clone(),
            id,
            ttl: self.ttl,
            gone: gone.clone(),
            lost: self.lost.clone(),
        };
        if let Some(lease) = self.lease().as_mut().filter(|lease| lease.id == id) {
            lease.written = Some(written.header.unwrap_or_default().revision);
            if !is_kept {
                lease.keeper.spawn(keeper.run());
            }
        }
        Ok(())
    }

    async fn grant(&self, id: i64) -> Result<(), EtcdError> {
        let ttl = self.ttl.as_millis().div_ceil(1000).max(1);
        let ttl = ttl.try_into().unwrap_or(i64::MAX);
        match self.client.call(LeaseGrantRequest { ttl, id }).await {
            // It exists where an answer was lost on its way, and the question repeated.
            Ok(_) | Err(Refusal::LeaseExists) => Ok(()),
            Err(refusal) => Err(error(refusal)),
        }
    }

    fn end(&self, id: i64) {
        if let Some(lease) = self.lease().as_mut().filter(|lease| lease.id == id) {
            lease.gone.store(true, Ordering::Relaxed);
            lease.keeper.abort_all();
        }
    }

    fn lease(&self) -> MutexGuard<'_, Option<Lease>> {
        // Each change is a single assignment: a panic elsewhere leaves it whole.
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a refusal is where it is nothing special.
pub(super) fn error(refusal: Refusal) -> EtcdError {
    match refusal {
        Refusal::LeaseGone => EtcdError::LeaseGone,
        Refusal::LeaseExists => EtcdError::Refused("the lease exists already".into()),
        Refusal::TooLarge => EtcdError::Refused("its answer is too large".into()),
        Refusal::Error(error) => error,
    }
}

/// The task that keeps a lease alive.
struct Keeper {
    client: Arc<Client>,
    id: i64,
    ttl: Duration,
    gone: Arc<AtomicBool>,
    lost: Arc<Notify>,
}

impl Keeper {
    /// Until etcd says that the lease is no more. An etcd that is down loses no lease: the leases
    /// begin anew when it is back, and so it is asked until it answers.
    async fn run(self) {
        let mut rng = fastrand::Rng::with_seed(backoff::jitter_seed());
        let mut failures = 0;
        while !self.keep(&mut failures).await {
            failures += 1;
            let wait = backoff::after_failure(failures, &mut rng);
            sleep(wait.min(self.ttl / 6)).await;
        }
        self.gone.store(true, Ordering::Relaxed);
        self.lost.notify_one();
    }

    /// Until etcd says so (true) or the conversation breaks off (false).
    async fn keep(&self, failures: &mut u32) -> bool {
        let alive = LeaseKeepAliveRequest { id: self.id };
        let Ok(mut talk) = self.client.talk(alive.clone()).await else {
            return false;
        };
        loop {
            let Ok(Ok(Some(answer))) = timeout(PATIENCE, talk.hear.message()).await else {
                return false;
            };
            if answer.ttl <= 0 {
                return true;
            }
            *failures = 0;
            sleep(self.ttl / 3).await;
            if talk.say.send(alive.clone()).await.is_err() {
                return false;
            }
        }
    }
}
