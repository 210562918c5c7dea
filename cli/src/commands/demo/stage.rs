//! The nodes of the demonstration, and the network between them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use convoke::faults::{FaultHandle, FaultyNetwork};
use convoke::{Node, NodeName, Options, Peer, Secret, Subscription};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::watch::Known;

/// A node that takes part.
pub(super) struct Actor {
    /// Its name.
    pub(super) name: NodeName,
    /// The node.
    pub(super) node: Node,
    /// Everything it tells, to be looked through after each step.
    pub(super) witness: Subscription,
}

/// Everything that the play needs.
pub(super) struct Stage {
    folder: TempDir,
    secret: Secret,
    network: Arc<FaultyNetwork>,
    /// Breaks and mends the network.
    pub(super) faults: FaultHandle,
    /// Those who take part, in the order of their numbers.
    pub(super) actors: Vec<Actor>,
}

impl Stage {
    /// An empty stage. What the nodes remember lies in a temporary folder.
    ///
    /// # Errors
    /// When there is no place for temporary files.
    pub(super) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("convoke-demo-").tempdir();
        let folder = folder.context("cannot make a temporary folder")?;
        let (network, faults) = FaultyNetwork::new(1);
        let secret = Secret::generate();
        Ok(Self {
            folder,
            secret,
            network: Arc::new(network),
            faults,
            actors: Vec::new(),
        })
    }

    /// Starts `count` nodes at once. Returns when the first and when all were up.
    ///
    /// # Errors
    /// When one of them does not start.
    pub(super) async fn start_all(&mut self, count: u16) -> anyhow::Result<Known> {
        let (since, mut known) = (Instant::now(), Known::default());
        let mut starting = JoinSet::new();
        for number in 1..=count {
            starting.spawn(actor(number, self.options(number, Self::free_port(number))));
        }
        let mut started = Vec::new();
        while let Some(ended) = starting.join_next().await {
            known.all = since.elapsed();
            if started.is_empty() {
                known.first = known.all;
            }
            started.push(ended.context("a node panicked")??);
        }
        started.sort_by_key(|(number, _)| *number);
        self.actors = started.into_iter().map(|(_, actor)| actor).collect();
        Ok(known)
    }

    /// Starts a node again that ran before: with what it remembers, at its old address.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) async fn start_again(
        &mut self,
        number: u16,
        address: SocketAddr,
    ) -> anyhow::Result<()> {
        let (_, actor) = actor(number, self.options(number, address)).await?;
        self.actors.push(actor);
        Ok(())
    }

    /// Takes an actor off the stage.
    pub(super) fn take(&mut self, index: usize) -> Actor {
        self.actors.remove(index)
    }

    /// Whom to join: the first node, by address, because its port is a free one.
    pub(super) fn seed(&self) -> Peer {
        Peer::Address(self.actors[0].node.gossip_address())
    }

    /// Lets nothing pass between the first `size` actors and the others.
    pub(super) fn cut_after(&self, size: usize) {
        let (left, right) = self.actors.split_at(size);
        let sockets = |side: &[Actor]| side.iter().flat_map(Actor::sockets).collect::<Vec<_>>();
        self.faults.cut(&[sockets(left), sockets(right)]);
    }

    /// Every node has a loopback address of its own, and free ports: a node of the user's on the
    /// conventional ones is not in the way.
    fn free_port(number: u16) -> SocketAddr {
        let [high, low] = number.to_be_bytes();
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 77, high, low)), 0)
    }

    fn options(&self, number: u16, listen: SocketAddr) -> Options {
        let name: NodeName = name(number, listen)
            .parse()
            .expect("a node name by its form");
        Options {
            cluster_name: "demo".to_owned(),
            listen: Some(listen),
            rpc_listen: Some(SocketAddr::new(listen.ip(), 0)),
            data_dir: Some(self.folder.path().join(name.as_str())),
            network: self.network.clone(),
            ..Options::new(name, self.secret.clone())
        }
    }
}

fn name(number: u16, address: SocketAddr) -> String {
    format!("n{number}@{}", address.ip())
}

async fn actor(number: u16, options: Options) -> anyhow::Result<(u16, Actor)> {
    let name = options.name.clone();
    let node = Node::start(options)
        .await
        .with_context(|| format!("{name} does not start"))?;
    let witness = node.subscribe();
    Ok((
        number,
        Actor {
            name,
            node,
            witness,
        },
    ))
}

impl Actor {
    fn sockets(&self) -> [SocketAddr; 2] {
        [self.node.gossip_address(), self.node.rpc_address()]
    }

    /// The number in its name.
    pub(super) fn number(&self) -> u16 {
        let digits = self.name.local_part().trim_start_matches('n');
        digits.parse().expect("actors are named by number")
    }
}
