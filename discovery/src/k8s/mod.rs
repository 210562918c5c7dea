//! The pods behind a Kubernetes Service.
//!
//! The API server keeps a list of them, the Service's EndpointSlices. It is read once and then
//! watched: as long as the watch stands, nothing is asked.
//!
//! Pods that are ready and pods that are not are both proposed, the ready ones first where there
//! are more than are proposed at once. Pods that start together are all not ready, and become
//! ready by forming a cluster: whoever waited for the others' readiness would wait for ever. A pod
//! that can't answer costs a dial.

mod access;
mod error;
mod names;
mod options;
mod slices;

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

pub use self::options::{AddressType, K8sOptions, K8sOptionsError};

use self::error::K8sError;
use self::names::Naming;
use self::slices::Slices;
use crate::backoff;
use crate::{BoxFuture, DiscoverError, Seed, Strategy};

/// How many slices are read at once.
const PAGE: u32 = 100;
/// The label that ties a slice to its Service.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";
/// How long the API server keeps a watch, which is then taken up again.
const WATCH_LIMIT: Duration = Duration::from_secs(120);
/// How much longer it may be silent before the connection counts as lost.
const WATCH_GRACE: Duration = Duration::from_secs(15);
/// A watch that ends sooner counts as failed.
const WATCH_LEAST: Duration = Duration::from_secs(1);

/// Finds the pods behind a Service.
pub struct K8s {
    options: K8sOptions,
    /// Locked to be looked at and changed, never while anything is waited for.
    state: Mutex<State>,
    /// Told when there is a list to watch from.
    listed: Notify,
    /// How often in a row a watch came to nothing.
    failures: AtomicU32,
}

type Watched = Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<EndpointSlice>>> + Send>>;

#[derive(Default)]
struct State {
    /// Made anew after a failure, so that credentials are read again.
    access: Option<Access>,
    /// What was read and heard; none before a list, and when it can't be followed.
    slices: Option<Slices>,
    /// Whether a watch keeps it up to date.
    followed: bool,
    /// The watch, while nobody listens to it.
    watch: Option<Watched>,
}

/// The API server and what is asked of it.
#[derive(Clone)]
struct Access {
    client: Client,
    namespace: Arc<str>,
}

impl K8s {
    /// Does nothing yet: what can't be reached is told by the first pass.
    pub fn new(options: K8sOptions) -> Self {
        Self {
            options,
            state: Mutex::default(),
            listed: Notify::new(),
            failures: AtomicU32::new(0),
        }
    }

    async fn find(&self) -> Result<Vec<Seed>, K8sError> {
        if let Some(known) = self.known() {
            return known;
        }
        let access = self.access().await?;
        let slices = match self.list(&access).await {
            Ok(slices) => slices,
            Err(error) => {
                *self.state() = State::default();
                return Err(K8sError::of("list", &access.namespace, &error));
            }
        };
        let seeds = slices.seeds(&self.naming(&access));
        // Pods that can't be named are followed all the same: others may come.
        let mut state = self.state();
        state.slices = Some(slices);
        state.watch = None;
        drop(state);
        self.listed.notify_one();
        seeds
    }

    /// What is known without asking.
    fn known(&self) -> Option<Result<Vec<Seed>, K8sError>> {
        let state = self.state();
        let (access, slices) = (state.access.as_ref()?, state.slices.as_ref()?);
        state.followed.then(|| slices.seeds(&self.naming(access)))
    }

    async fn access(&self) -> Result<Access, K8sError> {
        if let Some(access) = self.state().access.clone() {
            return Ok(access);
        }
        let config = access::config(&self.options).await?;
        let namespace = self
            .options
            .namespace
            .as_deref()
            .unwrap_or(&config.default_namespace)
            .into();
        let client = access::client(config)?;
        let access = Access { client, namespace };
        self.state().access = Some(access.clone());
        Ok(access)
    }

    async fn list(&self, access: &Access) -> kube::Result<Slices> {
        let api: Api<EndpointSlice> = Api::namespaced(access.client.clone(), &access.namespace);
        let mut params = ListParams::default().labels(&self.selector()).limit(PAGE);
        let mut slices = Slices::default();
        loop {
            let page = api.list(&params).await?;
            slices.version = page.metadata.resource_version.unwrap_or_default();
            let has_room = page.items.into_iter().all(|slice| slices.put(&slice));
            match page
                .metadata
                .continue_
                .filter(|token| !token.is_empty() && has_room)
            {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(slices),
            }
        }
    }

    fn selector(&self) -> String {
        format!("{SERVICE_LABEL}={}", self.options.service_name)
    }

    fn naming(&self, access: &Access) -> Naming {
        Naming {
            app: self.options.app_name.clone(),
            service: self.options.service_name.clone(),
            namespace: access.namespace.to_string(),
            suffix: self.options.suffix.clone(),
            address_type: self.options.address_type,
        }
    }

    /// Returns when the slices changed since they were last read, or can't be followed any more.
    async fn follow(&self) {
        loop {
            let Some(mut watch) = self.watch().await else {
                continue;
            };
            let began = Instant::now();
            let mut heard = Heard::Nothing;
            while heard == Heard::Nothing {
                let Ok(event) = timeout(WATCH_LIMIT + WATCH_GRACE, watch.next()).await else {
                    heard = Heard::Silence;
                    break;
                };
                heard = self.take(event);
            }
            match heard {
                Heard::News => {
                    self.state().watch = Some(watch);
                    return;
                }
                // Every watch ends at its limit: it is taken up where it ended.
                Heard::End if began.elapsed() >= WATCH_LEAST => {}
                Heard::Nothing | Heard::End | Heard::Silence | Heard::Failure => {
                    self.unfollow().await;
                    return;
                }
            }
        }
    }

    /// The watch that stands, or another from the last list.
    async fn watch(&self) -> Option<Watched> {
        let (access, version) = loop {
            let listed = self.listed.notified();
            {
                let mut state = self.state();
                if let Some(watch) = state.watch.take() {
                    return Some(watch);
                }
                if let (Some(access), Some(slices)) = (&state.access, &state.slices) {
                    break (access.clone(), slices.version.clone());
                }
            }
            listed.await;
        };
        let api: Api<EndpointSlice> = Api::namespaced(access.client.clone(), &access.namespace);
        let limit = u32::try_from(WATCH_LIMIT.as_secs()).unwrap_or(u32::MAX);
        let params = WatchParams::default()
            .labels(&self.selector())
            .timeout(limit);
        match api.watch(&params, &version).await {
            Ok(watch) => {
                self.state().followed = true;
                Some(Box::pin(watch))
            }
            Err(error) => {
                let first = self.failures.load(Ordering::Relaxed) == 0;
                let error = K8sError::of("watch", &access.namespace, &error);
                if first {
                    warn!(%error, "the API server is asked again and again, because it can't be watched");
                }
                self.unfollow().await;
                None
            }
        }
    }

    /// Waits a moment, longer every time, and forgets what can't be kept up to date.
    async fn unfollow(&self) {
        self.state().followed = false;
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        if failures > 0 {
            let mut rng = fastrand::Rng::with_seed(backoff::jitter_seed());
            sleep(backoff::after_failure(failures, &mut rng)).await;
        }
        let mut state = self.state();
        state.slices = None;
        state.watch = None;
    }

    /// Takes an event of the watch into what is known.
    fn take(&self, event: Option<kube::Result<WatchEvent<EndpointSlice>>>) -> Heard {
        let mut state = self.state();
        let Some(slices) = state.slices.as_mut() else {
            return Heard::Failure;
        };
        match event {
            None => return Heard::End,
            Some(Ok(WatchEvent::Bookmark(bookmark))) => {
                slices.version = bookmark.metadata.resource_version;
                self.failures.store(0, Ordering::Relaxed);
                return Heard::Nothing;
            }
            Some(Ok(WatchEvent::Added(slice) | WatchEvent::Modified(slice))) => {
                slices.put(&slice);
                slices.version = slice.metadata.resource_version.unwrap_or_default();
            }
            Some(Ok(WatchEvent::Deleted(slice))) => {
                slices.remove(&slice);
                slices.version = slice.metadata.resource_version.unwrap_or_default();
            }
            // 410: what happened since is thrown away there, and a new list is needed.
            Some(Ok(WatchEvent::Error(status))) => {
                debug!(
                    code = status.code,
                    reason = status.message,
                    "the API server ends the watch"
                );
                return Heard::Failure;
            }
            Some(Err(error)) => {
                debug!(%error, "the watch breaks off");
                return Heard::Failure;
            }
        }
        self.failures.store(0, Ordering::Relaxed);
        Heard::News
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it is locked can leave it incomplete, not wrong: the next list replaces it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a watch said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    News,
    End,
    Silence,
    Failure,
}

/// What nobody listens to is not kept up to date.
struct Listening<'a>(&'a K8s);

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.followed = state.watch.is_some();
    }
}

impl Strategy for K8s {
    fn name(&self) -> &'static str {
        "k8s"
    }

    fn source(&self) -> String {
        let K8sOptions {
            service_name,
            namespace,
            ..
        } = &self.options;
        let used = self
            .state()
            .access
            .as_ref()
            .map(|access| access.namespace.to_string());
        let namespace = used.or_else(|| namespace.clone());
        let within = namespace.map_or_else(String::new, |name| format!(", namespace {name}"));
        format!("the EndpointSlices of the Service {service_name}{within}")
    }

    fn discover(&self) -> BoxFuture<'_, Result<Vec<Seed>, DiscoverError>> {
        Box::pin(async { self.find().await.map_err(DiscoverError::source) })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let _listening = Listening(self);
            self.follow().await;
        })
    }
}
