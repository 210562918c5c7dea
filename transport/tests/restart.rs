//! What a node remembers over its own death.
#![allow(clippy::unwrap_used)] // A failing test is to panic.

mod common;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{PATIENCE, address, all_hold, converged, name, options, until};
use convoke::{
    Callbacks, Incarnation, LeaveError, MemberState, Node, NodeName, Options, Secret, StartError,
    StoreError,
};
use convoke_core::output;

struct Hosts {
    secret: Secret,
    dir: tempfile::TempDir,
}

impl Hosts {
    fn new() -> Self {
        Self {
            secret: Secret::generate(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn options(&self, text: &str) -> Options {
        let data_dir = Some(self.dir.path().join(text));
        Options {
            data_dir,
            ..options(text, &self.secret)
        }
    }

    async fn start(&self, text: &str) -> Node {
        Node::start(self.options(text)).await.unwrap()
    }

    /// As the operator starts it again: same port, same data directory.
    async fn restart(&self, ended: &Node) -> Node {
        ended.closed().await;
        let listen = Some(ended.gossip_address());
        Node::start(Options {
            listen,
            ..self.options(ended.name().as_str())
        })
        .await
        .unwrap()
    }
}

fn incarnation(of: &NodeName, at: &Node) -> Incarnation {
    at.view().member(of).unwrap().incarnation
}

#[tokio::test]
async fn a_killed_node_returns_by_itself_with_a_higher_incarnation() {
    let hosts = Hosts::new();
    let mut nodes = vec![
        hosts.start("a@127.0.0.1").await,
        hosts.start("b@127.0.0.1").await,
    ];
    nodes.push(hosts.start("c@127.0.0.1").await);
    nodes[1].join(&address(&nodes[0])).await.unwrap();
    nodes[2].join(&address(&nodes[0])).await.unwrap();
    converged(&nodes).await;
    // The address book of the killed one is written within a few seconds.
    let file = hosts.dir.path().join("c@127.0.0.1/state.json");
    until("the address book is written", || {
        let text = fs::read_to_string(&file).unwrap();
        (!text.contains("a@127.0.0.1") || !text.contains("b@127.0.0.1")).then_some(text)
    })
    .await;
    let killed = nodes.pop().unwrap();
    let victim = killed.name().clone();
    let before = incarnation(&victim, &nodes[0]);
    killed.abort();
    nodes.push(hosts.restart(&killed).await);
    converged(&nodes).await;
    assert!(incarnation(&victim, &nodes[0]) > before);
    assert_eq!(nodes[2].view().cluster_id(), nodes[0].view().cluster_id());
}

#[tokio::test]
async fn a_shut_down_node_is_left_and_returns_and_a_leaver_does_not() {
    let hosts = Hosts::new();
    let mut nodes = vec![
        hosts.start("a@127.0.0.1").await,
        hosts.start("b@127.0.0.1").await,
    ];
    nodes[1].join(&address(&nodes[0])).await.unwrap();
    let b = name("b@127.0.0.1");
    nodes[1].shutdown().await;
    all_hold(&nodes[..1], &b, Some(MemberState::Left)).await;
    nodes[1] = hosts.restart(&nodes[1]).await;
    converged(&nodes).await;

    // The return goes on for a moment after everybody is seen.
    let busy = LeaveError::Cluster(output::LeaveError::Busy);
    let left = async { while nodes[1].leave().await == Err(busy.clone()) {} };
    tokio::time::timeout(PATIENCE, left).await.unwrap();
    let alone = nodes[1].view().cluster_id();
    nodes[1].shutdown().await;
    nodes[1] = hosts.restart(&nodes[1]).await;
    assert_eq!(
        nodes[1].view().cluster_id(),
        alone,
        "it remembers that it is alone"
    );
    assert_eq!((nodes[1].view().size(), nodes[0].view().size()), (1, 1));
}

#[tokio::test]
async fn what_is_used_as_an_incarnation_was_reserved_on_the_disk_before() {
    let hosts = Hosts::new();
    let node = hosts.start("a@127.0.0.1").await;
    let file = hosts.dir.path().join("a@127.0.0.1/state.json");
    for round in 0..600 {
        node.set_tags([("round".to_owned(), round.to_string())].into())
            .await
            .unwrap();
        let ceiling = ceiling(&file);
        let used = incarnation(node.name(), &node).0;
        assert!(used <= ceiling, "{used} is above {ceiling}");
    }
}

fn ceiling(file: &Path) -> u64 {
    let text = fs::read_to_string(file).unwrap();
    let after = text
        .split("\"incarnation_ceiling\":")
        .nth(1)
        .unwrap()
        .trim_start();
    after[..after.find(|c: char| !c.is_ascii_digit()).unwrap()]
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_data_directory_serves_one_process_and_one_name() {
    let hosts = Hosts::new();
    let node = hosts.start("a@127.0.0.1").await;
    let second = Node::start(hosts.options("a@127.0.0.1")).await.unwrap_err();
    assert!(
        matches!(second, StartError::Store(StoreError::InUse { .. })),
        "{second}"
    );
    node.shutdown().await;
    let data_dir = hosts.options("a@127.0.0.1").data_dir;
    let other = Options {
        data_dir,
        ..hosts.options("b@127.0.0.1")
    };
    let other = Node::start(other).await.unwrap_err();
    assert!(
        matches!(other, StartError::Store(StoreError::OtherName { .. })),
        "{other}"
    );
    // The refusals left nothing behind that would keep the right one out.
    hosts.start("a@127.0.0.1").await;
}

#[tokio::test]
async fn a_taken_port_is_an_error_but_a_default_rpc_port_gives_way() {
    let secret = Secret::generate();
    let at = |port| SocketAddr::from(([127, 92, 0, 1], port));
    let taken = |text: &str, listen, rpc_listen| {
        Node::start(Options {
            listen,
            rpc_listen,
            ..options(text, &secret)
        })
    };
    let holder = UdpSocket::bind(at(0)).unwrap().local_addr().unwrap();
    let _holder = UdpSocket::bind(holder).unwrap();
    let error = taken("a@127.92.0.1", Some(holder), None)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&holder.to_string()) && error.contains("node.listen"),
        "{error}"
    );
    let error = taken("a@127.92.0.1", Some(at(0)), Some(holder))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("node.rpc_listen"), "{error}");

    let _default = UdpSocket::bind(at(5375)).unwrap();
    let node = taken("a5@127.92.0.1", None, None).await.unwrap();
    assert_eq!(node.gossip_address(), at(4375));
    assert_ne!(node.rpc_address().port(), 5375);
    assert!(node.warnings()[0].contains("5375"), "{:?}", node.warnings());
    let error = Node::start(Options::new(name("a1000@127.92.0.1"), secret.clone())).await;
    assert!(error.unwrap_err().to_string().contains("node.listen"));
    let foreign = Options::new(name("a@192.0.2.1"), secret.clone());
    let error = Node::start(foreign).await.unwrap_err().to_string();
    assert!(
        error.contains("192.0.2.1:4370") && error.contains("node.listen"),
        "{error}"
    );
}

#[tokio::test]
async fn callbacks_run_before_and_after_a_change() {
    let secret = Secret::generate();
    let steps = Arc::new(AtomicUsize::new(0));
    let (prepared, resumed) = (steps.clone(), steps.clone());
    let callbacks = Callbacks::default()
        .on_prepare(move |_| {
            let steps = prepared.clone();
            async move { assert_eq!(steps.fetch_add(1, Ordering::SeqCst) % 2, 0) }
        })
        .on_resume(move |_, done| {
            let steps = resumed.clone();
            async move {
                assert!(done);
                assert_eq!(steps.fetch_add(1, Ordering::SeqCst) % 2, 1);
            }
        });
    let a = Node::start(options("a@127.0.0.1", &secret)).await.unwrap();
    let b = Node::start(Options {
        callbacks,
        ..options("b@127.0.0.1", &secret)
    })
    .await
    .unwrap();
    let ran = |times: usize| {
        let steps = steps.clone();
        async move {
            until("the callbacks ran", || {
                let ran = steps.load(Ordering::SeqCst);
                (ran != times).then(|| ran.to_string())
            })
            .await;
        }
    };
    b.join(&address(&a)).await.unwrap();
    ran(2).await;
    b.leave().await.unwrap();
    ran(4).await;
}
