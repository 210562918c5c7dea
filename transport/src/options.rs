//! What a node is started with.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use convoke_core::output::Change;
use convoke_core::{Config, NodeName};

use crate::network::{Network, Udp};
use crate::port_map::{PortMap, PortRule};
use crate::secret::Secret;

/// Everything that can be said about a node before it starts. [`Options::new`] gives the defaults;
/// change single fields: `Options { data_dir: Some(dir), ..Options::new(name, secret) }`.
#[derive(Clone, Debug)]
pub struct Options {
    /// The node's name. Fixed for the life of its data directory.
    pub name: NodeName,
    /// Nodes of another cluster name are refused. Default `convoke`.
    pub cluster_name: String,
    /// What all nodes of the cluster share: who lacks it gets no further than the handshake.
    pub secret: Secret,
    /// Where gossip is received. Default: the host of the name, and the port that
    /// [`Options::port_map`] gives it: 4370 plus the number that ends the name. A port that is
    /// taken is an error. Port 0 takes a free one.
    pub listen: Option<SocketAddr>,
    /// Where calls of other nodes are received. Default: the gossip address with port 5370 plus
    /// the number that ends the name; where that is taken, a free one, with a warning. A port
    /// that is given here and taken is an error.
    pub rpc_listen: Option<SocketAddr>,
    /// The gossip address that others are told (containers, NAT). Default: the bound one; where
    /// that is a wildcard, the host of the name with the bound port.
    pub advertise: Option<SocketAddr>,
    /// Where the node keeps what it remembers over restarts: its cluster, its incarnation,
    /// addresses of others. Made if missing, mode 0700. Default none: nothing is remembered.
    pub data_dir: Option<PathBuf>,
    /// The engine's numbers. Default: [`Config::lan`].
    pub engine: Config,
    /// Labels that others see, 512 bytes at the most in all. Default none.
    pub tags: BTreeMap<String, String>,
    /// Whether a discovery strategy other than manual is configured: then a node without a past
    /// derives its cluster's id from the cluster's name, so that nodes which start together find
    /// themselves in one cluster. Default no.
    pub discovery: bool,
    /// What the program does around a change of cluster. Default nothing.
    pub callbacks: Callbacks,
    /// What carries datagrams. Default: UDP.
    pub network: Arc<dyn Network>,
    /// How names give ports: this node's own, and those of peers that are named without one.
    /// Default: [`PortRule`].
    pub port_map: Arc<dyn PortMap>,
}

impl Options {
    /// The defaults for a node of this name in the cluster of this secret.
    pub fn new(name: NodeName, secret: Secret) -> Self {
        Self {
            name,
            cluster_name: "convoke".to_owned(),
            secret,
            listen: None,
            rpc_listen: None,
            advertise: None,
            data_dir: None,
            engine: Config::lan(),
            tags: BTreeMap::new(),
            discovery: false,
            callbacks: Callbacks::default(),
            network: Arc::new(Udp),
            port_map: Arc::new(PortRule),
        }
    }
}

/// A future of unknown type.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
type Prepare = dyn Fn(Change) -> BoxFuture + Send + Sync;
type Resume = dyn Fn(Change, bool) -> BoxFuture + Send + Sync;
type Down = dyn Fn(bool) -> BoxFuture + Send + Sync;

/// What a program does around a change of cluster: before it, stop and clear what it keeps of the
/// old cluster; after it, go on in the new one. And what it does when this node is downed. They run one after the other, in a task of their
/// own.
#[derive(Clone, Default)]
pub struct Callbacks {
    pub(crate) prepare: Option<Arc<Prepare>>,
    pub(crate) resume: Option<Arc<Resume>>,
    pub(crate) down: Option<Arc<Down>>,
}

impl Callbacks {
    /// Runs before this node joins or leaves a cluster, which waits for it, 8 s at the most.
    #[must_use]
    pub fn on_prepare<F, Fut>(mut self, prepare: F) -> Self
    where
        F: Fn(Change) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.prepare = Some(Arc::new(move |change| Box::pin(prepare(change))));
        self
    }

    /// Runs after the change. The second argument is false when the change was called off and
    /// everything is as before.
    #[must_use]
    pub fn on_resume<F, Fut>(mut self, resume: F) -> Self
    where
        F: Fn(Change, bool) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.resume = Some(Arc::new(move |change, done| Box::pin(resume(change, done))));
        self
    }

    /// Runs with `true` when this node is down, because its side of a partition gives up by
    /// [`Config::split_brain`]: stop serving. And with `false` when it is up again.
    #[must_use]
    pub fn on_down<F, Fut>(mut self, down: F) -> Self
    where
        F: Fn(bool) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.down = Some(Arc::new(move |is_down| Box::pin(down(is_down))));
        self
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks")
            .field("prepare", &self.prepare.is_some())
            .field("resume", &self.resume.is_some())
            .field("down", &self.down.is_some())
            .finish()
    }
}
