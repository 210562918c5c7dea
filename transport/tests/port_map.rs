//! Ports that a service of the program knows, in place of the rule.
#![allow(clippy::unwrap_used)] // A failing test is to panic.

mod common;

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use common::*;
use convoke::port_map::PortFuture;
use convoke::{
    JoinError, Node, NodeName, Options, PortError, PortMap, ResolveError, Secret, StartError,
};
use convoke_core::name::OffsetError;

/// Ports of a directory at the most.
const BLOCK: u16 = 16;

/// Who has which port, on one host.
#[derive(Debug)]
struct Directory {
    ports: RangeInclusive<u16>,
    taken: Mutex<HashMap<NodeName, u16>>,
}

impl Directory {
    /// Of so many ports that are free now, one after the other: [`BLOCK`] at the most.
    fn new(size: u16) -> Arc<Self> {
        static TAKEN: AtomicU32 = AtomicU32::new(0);
        let free = |port: u16| std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok();
        // Others for every test of every process, below those that the system gives away.
        let blocks = (0..).map(|_| {
            let nth = std::process::id() * 7 + TAKEN.fetch_add(1, Ordering::Relaxed);
            12_000 + (nth % 1200) as u16 * BLOCK
        });
        let first = blocks
            .take(1200)
            .find(|first| (*first..first + size).all(free));
        let first = first.expect("ports are free");
        Arc::new(Self {
            ports: first..=first + size - 1,
            taken: Mutex::default(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<NodeName, u16>> {
        self.taken.lock().expect("no test panics with it")
    }

    fn options(self: &Arc<Self>, text: &str, secret: &Secret) -> Options {
        Options {
            listen: None,
            port_map: self.clone(),
            ..options(text, secret)
        }
    }
}

impl PortMap for Directory {
    fn gossip_ports(&self, _own: &NodeName) -> Result<RangeInclusive<u16>, OffsetError> {
        Ok(self.ports.clone())
    }

    fn rpc_port(&self, _own: &NodeName) -> Result<u16, OffsetError> {
        Ok(0)
    }

    fn announce<'a>(&'a self, own: &'a NodeName, port: u16) -> PortFuture<'a, ()> {
        Box::pin(async move {
            if own.local_part() == "unwanted" {
                return Err(PortError::Service(
                    "the directory does not want it".to_owned(),
                ));
            }
            self.taken().insert(own.clone(), port);
            Ok(())
        })
    }

    fn look_up<'a>(&'a self, name: &'a NodeName, _host: IpAddr) -> PortFuture<'a, u16> {
        Box::pin(async move {
            let port = self.taken().get(name).copied();
            port.ok_or_else(|| PortError::Service(format!("the directory has no {name}")))
        })
    }

    fn words(&self) -> String {
        "by the directory".to_owned()
    }

    fn is_fixed(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn nodes_take_the_first_free_port_and_are_joined_by_name() {
    let (secret, directory) = (Secret::generate(), Directory::new(3));
    let mut nodes = Vec::new();
    for text in ["a5000@127.0.0.1", "b5000@127.0.0.1", "c@127.0.0.1"] {
        nodes.push(Node::start(directory.options(text, &secret)).await.unwrap());
    }
    let ports: Vec<u16> = nodes
        .iter()
        .map(|node| node.gossip_address().port())
        .collect();
    assert_eq!(ports, directory.ports.clone().collect::<Vec<_>>());
    for node in &nodes[1..] {
        node.join(&nodes[0].name().clone().into()).await.unwrap();
    }
    converged(&nodes).await;

    let full = Node::start(directory.options("d@127.0.0.1", &secret)).await;
    assert!(
        matches!(full, Err(StartError::PortsTaken { .. })),
        "{full:?}"
    );
    let unknown = nodes[0].join(&name("d@127.0.0.1").into()).await;
    let expected = Err(JoinError::Resolve(ResolveError::Port(PortError::Service(
        "the directory has no d@127.0.0.1".to_owned(),
    ))));
    assert_eq!(unknown, expected);
}

#[tokio::test]
async fn a_node_that_the_map_refuses_does_not_start() {
    let (secret, directory) = (Secret::generate(), Directory::new(1));
    let refused = Node::start(directory.options("unwanted@127.0.0.1", &secret)).await;
    assert!(
        matches!(refused, Err(StartError::PortMap(_))),
        "{refused:?}"
    );
    // It has left its port.
    Node::start(directory.options("wanted@127.0.0.1", &secret))
        .await
        .unwrap();
}

/// All go, and come back at ports that nobody remembers.
#[tokio::test]
async fn remembered_nodes_are_looked_up_again_at_a_start() {
    let secret = Secret::generate();
    let folder = tempfile::tempdir().unwrap();
    let before = Directory::new(16);
    let (first, last) = (*before.ports.start(), *before.ports.end());
    let moved = Arc::new(Directory {
        ports: first + 8..=last,
        taken: Mutex::default(),
    });
    let start = async |directory: &Arc<Directory>| {
        let mut nodes = Vec::new();
        for text in ["a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.1"] {
            let data_dir = Some(folder.path().join(text));
            let options = directory.options(text, &secret);
            nodes.push(
                Node::start(Options {
                    data_dir,
                    ..options
                })
                .await
                .unwrap(),
            );
        }
        nodes
    };
    let nodes = start(&before).await;
    for node in &nodes[1..] {
        node.join(&nodes[0].name().clone().into()).await.unwrap();
    }
    converged(&nodes).await;
    for node in &nodes {
        node.shutdown().await;
    }
    let nodes = start(&moved).await;
    converged(&nodes).await;
}
