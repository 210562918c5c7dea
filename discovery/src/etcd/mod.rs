//! The nodes that are written down in an etcd (v3).
//!
//! Every node writes itself down under `<prefix>/<cluster name>/nodes/<node name>`, on a lease
//! that runs out a while after its process dies and is revoked when it leaves. Every node reads
//! those keys, and is told by etcd when one appears. There is no lock and no order: two nodes that
//! start together see each other, and gossip decides what becomes of them.
//!
//! ```text
//!   register ──▶ lease ◀── kept alive      discover ──▶ keys of the cluster, at a revision
//!                  │                                                │
//!                 key: address                     changed ──▶ watch from that revision
//! ```

mod client;
mod connection;
mod entry;
mod error;
mod http2;
mod keys;
mod proto;
mod registration;
mod server;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::sleep;
use tracing::debug;

pub use self::client::Credentials;
pub use self::server::{Server, ServerError};
pub use self::tls::{ClientFiles, TlsFiles};

use self::client::{Client, Refusal};
use self::connection::Talk;
use self::error::EtcdError;
use self::keys::Keys;
use self::proto::{Event, RangeRequest, RangeResponse, WatchCreateRequest, WatchRequest};
use self::registration::Registration;
use crate::backoff;
use crate::{BoxFuture, DiscoverError, Me, Seed, Strategy};

/// The most nodes of a cluster that are read.
const NODES_MAX: usize = 4096;
/// How many are read at once.
const PAGE: i64 = 256;

/// How to use an etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdOptions {
    /// Its members: whichever answers is asked. Default: one, `http://127.0.0.1:2379`.
    pub servers: Vec<Server>,
    /// What all keys begin with. Default `convokecl`.
    pub prefix: String,
    /// How long a node stays written down after its process died, in whole seconds; etcd may
    /// make it a little longer. Default 60 s.
    pub node_ttl: Duration,
    /// The files for `https://` servers; without them those can't be used.
    pub tls: Option<TlsFiles>,
    /// Who asks, where etcd wants to know.
    pub credentials: Option<Credentials>,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        Self {
            servers: vec![
                "http://127.0.0.1:2379"
                    .parse()
                    .expect("the default is an address"),
            ],
            prefix: "convokecl".into(),
            node_ttl: Duration::from_secs(60),
            tls: None,
            credentials: None,
        }
    }
}

/// Finds the nodes that are written down in an etcd, and writes the own one down.
pub struct Etcd {
    client: Arc<Client>,
    keys: Keys,
    own: Vec<u8>,
    registration: Registration,
    /// The revision of the last list; 0 before the first.
    revision: AtomicI64,
}

impl Etcd {
    /// Does nothing yet: what can't be reached is told by the first pass.
    pub fn new(me: &Me, options: EtcdOptions) -> Self {
        let keys = Keys::new(&options.prefix, &me.cluster);
        let EtcdOptions {
            servers,
            tls,
            credentials,
            node_ttl,
            ..
        } = options;
        let client = Arc::new(Client::new(servers, tls, credentials, keys.folder()));
        let own = keys.of(&me.name);
        let registration =
            Registration::new(client.clone(), own.clone(), entry::write(me), node_ttl);
        Self {
            client,
            keys,
            own,
            registration,
            revision: AtomicI64::new(0),
        }
    }

    async fn list(&self) -> Result<Vec<Seed>, EtcdError> {
        let (mut found, mut own_is_there, mut revision) = (Vec::new(), false, 0);
        let mut key = self.keys.first();
        loop {
            let page = self.page(key, revision).await?;
            revision = page.header.unwrap_or_default().revision.max(revision);
            own_is_there |= page.kvs.iter().any(|kv| kv.key == self.own);
            let last = page.kvs.last().map(|kv| kv.key.clone());
            found.extend(page.kvs.into_iter().filter_map(|kv| {
                let seed = self.keys.node(&kv.key).and_then(|name| entry::read(name, &kv.value));
                if seed.is_none() {
                    debug!(key = %String::from_utf8_lossy(&kv.key), "etcd holds a key that is no node");
                }
                seed
            }));
            match last {
                Some(last) if page.more && found.len() < NODES_MAX => key = after(last),
                Some(_) if page.more => return Err(self.crowded()),
                _ => break,
            }
        }
        self.registration.seen(own_is_there, revision);
        self.revision.store(revision, Ordering::Relaxed);
        Ok(found)
    }

    /// The first nodes at or after a key, as they were at a revision.
    async fn page(&self, key: Vec<u8>, revision: i64) -> Result<RangeResponse, EtcdError> {
        let range_end = self.keys.end();
        let page = self
            .client
            .call(RangeRequest {
                key,
                range_end,
                limit: PAGE,
                revision,
            })
            .await;
        page.map_err(|refusal| match refusal {
            Refusal::TooLarge => self.crowded(),
            refusal => registration::error(refusal),
        })
    }

    fn crowded(&self) -> EtcdError {
        EtcdError::Crowded {
            folder: self.keys.folder().to_owned(),
            most: NODES_MAX,
        }
    }

    /// Returns when another node came or went since the last list, or when that can't be known.
    async fn watch(&self) {
        let mut rng = fastrand::Rng::with_seed(backoff::jitter_seed());
        let mut failures = 0;
        loop {
            if let Ok(talk) = self.client.talk(self.question()).await {
                failures = 0;
                if self.hears_news(talk).await {
                    return;
                }
            }
            failures += 1;
            sleep(backoff::after_failure(failures, &mut rng)).await;
        }
    }

    fn question(&self) -> WatchRequest {
        // Before the first list from now on: a pass comes before anything can be missed.
        let start_revision = match self.revision.load(Ordering::Relaxed) {
            0 => 0,
            seen => seen + 1,
        };
        let (key, range_end) = (self.keys.first(), self.keys.end());
        WatchRequest {
            create: Some(WatchCreateRequest {
                key,
                range_end,
                start_revision,
            }),
        }
    }

    /// Whether there is news (true), or the conversation broke off (false).
    async fn hears_news(&self, mut talk: Talk<WatchRequest>) -> bool {
        while let Ok(Some(answer)) = talk.hear.message().await {
            // What happened since the last list is thrown away there: a new list is needed.
            if answer.compact_revision > 0 || answer.events.iter().any(|event| self.is_news(event))
            {
                return true;
            }
            if answer.canceled {
                debug!(reason = answer.cancel_reason, "etcd ends the watch");
                return false;
            }
        }
        false
    }

    /// That the own node is written down is none.
    fn is_news(&self, event: &Event) -> bool {
        let is_own = event.kv.as_ref().is_some_and(|kv| kv.key == self.own);
        let is_put = event.kind == 0;
        !(is_own && is_put)
    }
}

/// The key right after this one.
fn after(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

impl Strategy for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn source(&self) -> String {
        let at: Vec<String> = self.client.servers().map(ToString::to_string).collect();
        format!("keys under {} at {}", self.keys.folder(), at.join(", "))
    }

    fn discover(&self) -> BoxFuture<'_, Result<Vec<Seed>, DiscoverError>> {
        Box::pin(async { self.list().await.map_err(DiscoverError::source) })
    }

    fn register(&self) -> BoxFuture<'_, Result<(), DiscoverError>> {
        Box::pin(async {
            self.registration
                .hold()
                .await
                .map_err(DiscoverError::source)
        })
    }

    fn withdraw(&self) -> BoxFuture<'_, Result<(), DiscoverError>> {
        Box::pin(async {
            self.registration
                .withdraw()
                .await
                .map_err(DiscoverError::source)
        })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            tokio::select! {
                () = self.watch() => {}
                () = self.registration.lost() => {}
            }
        })
    }
}
