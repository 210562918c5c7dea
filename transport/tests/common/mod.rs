//! Nodes on loopback, and waiting for what is to become true.
#![allow(dead_code)] // Each test file uses its own part.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use convoke::{EngineConfig, MemberState, Node, NodeName, Options, Peer, Secret};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

pub(crate) fn any_port() -> Option<SocketAddr> {
    Some(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// A node on free ports, with the timing for nodes on one machine.
pub(crate) fn options(text: &str, secret: &Secret) -> Options {
    Options {
        listen: any_port(),
        rpc_listen: any_port(),
        engine: EngineConfig::local(),
        ..Options::new(name(text), secret.clone())
    }
}

pub(crate) fn address(node: &Node) -> Peer {
    Peer::Address(node.gossip_address())
}

/// So many nodes, each of which joined the first.
pub(crate) async fn fleet(size: usize, change: impl Fn(&mut Options)) -> Vec<Node> {
    let secret = Secret::generate();
    let mut nodes = Vec::new();
    for at in 0..size {
        let mut options = options(&format!("n{at}@127.0.0.1"), &secret);
        change(&mut options);
        nodes.push(Node::start(options).await.unwrap());
    }
    for node in &nodes[1..] {
        node.join(&address(&nodes[0])).await.unwrap();
    }
    converged(&nodes).await;
    nodes
}

/// Waits until a condition holds, or panics with what it last said.
pub(crate) async fn until(what: &str, mut unmet: impl FnMut() -> Option<String>) {
    let deadline = Instant::now() + PATIENCE;
    while let Some(reason) = unmet() {
        assert!(Instant::now() < deadline, "not in time: {what}: {reason}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until these nodes, and no others, hold each other as running.
pub(crate) async fn converged(nodes: &[Node]) {
    until("all hold the same", || {
        let first = nodes[0].view().fingerprint();
        nodes.iter().find_map(|node| {
            let view = node.view();
            let same = view.size() == nodes.len() && view.fingerprint() == first;
            (!same).then(|| format!("{node:?} holds {:?}", view.running().collect::<Vec<_>>()))
        })
    })
    .await;
}

pub(crate) fn state(of: &NodeName, at: &Node) -> Option<MemberState> {
    at.view().member(of).map(|member| member.state)
}

/// Waits until all these nodes hold a member in this state (`None`: not at all).
pub(crate) async fn all_hold(nodes: &[Node], member: &NodeName, wanted: Option<MemberState>) {
    until(&format!("{member} is {wanted:?} everywhere"), || {
        nodes.iter().find_map(|node| {
            let found = state(member, node);
            (found != wanted).then(|| format!("{node:?} holds it as {found:?}"))
        })
    })
    .await;
}

/// What is logged in this thread while this lives.
pub(crate) struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Log {
    pub(crate) fn capture() -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let writer = Writer(text.clone());
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        Self {
            text,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    /// Waits until a line holds all these words.
    pub(crate) async fn says(&self, words: &[&str]) {
        until(&format!("the log says {words:?}"), || {
            let text = self.text();
            let said = text
                .lines()
                .any(|line| words.iter().all(|word| line.contains(word)));
            (!said).then_some(text)
        })
        .await;
    }
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
