//! HashiCorp's protocol in Rust (the crate `memberlist`) with `Options::lan`, over QUIC by quinn, and
//! over TCP and UDP.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use memberlist::delegate::{CompositeDelegate, EventDelegate, VoidDelegate};
use memberlist::net::NetTransportOptions;
use memberlist::proto::{MaybeResolvedAddress, NodeState, State};
use memberlist::quic::QuicTransportOptions;
use memberlist::quic::stream_layer::quinn::Options as QuinnOptions;
use memberlist::tokio::{TokioQuicMemberlist, TokioSocketAddrResolver, TokioTcpMemberlist};
use memberlist::transport::Transport;
use memberlist::{Memberlist, Options};

use super::super::ground::Ground;
use super::super::subject::Subject;
use super::super::views::{Sight, Watcher};
use super::quic;

const PORT: u16 = 7946;
/// What a goodbye may take. It is over as soon as it was told to somebody.
const LEAVE_MAX: Duration = Duration::from_secs(30);

type Name = Arc<str>;
type Void = VoidDelegate<Name, SocketAddr>;
type Watching = CompositeDelegate<Name, SocketAddr, Void, Void, Events>;

/// Nodes over QUIC, all with one certificate that everybody trusts.
#[derive(Debug)]
pub(super) struct OverQuic {
    credentials: quic::Credentials,
}

/// Nodes over TCP and UDP.
#[derive(Debug)]
pub(super) struct OverTcp;

impl OverQuic {
    /// With a fresh certificate.
    pub(super) fn new() -> Self {
        let credentials = quic::Credentials::new();
        Self { credentials }
    }
}

impl Subject for OverQuic {
    type Node = TokioQuicMemberlist<Name, TokioSocketAddrResolver, Watching>;

    async fn start(&self, watcher: Watcher) -> Result<Self::Node, String> {
        let (name, address) = contact(&watcher);
        let quinn = QuinnOptions::new(
            quic::SERVER_NAME,
            self.credentials.server()?,
            self.credentials.client()?,
            quinn::EndpointConfig::default(),
        );
        let mut options = QuicTransportOptions::with_stream_layer_options(name, quinn);
        options.add_bind_address(address);
        started(Memberlist::with_delegate(
            watching(watcher),
            options,
            Options::lan(),
        ))
        .await
    }

    async fn join(node: Self::Node, seed: Self::Node) -> Result<(), String> {
        join(&node, &seed).await
    }

    async fn leave(node: Self::Node) -> Result<(), String> {
        leave(&node).await
    }

    fn abort(node: &Self::Node) {
        abort(node.clone());
    }
}

impl Subject for OverTcp {
    type Node = TokioTcpMemberlist<Name, TokioSocketAddrResolver, Watching>;

    async fn start(&self, watcher: Watcher) -> Result<Self::Node, String> {
        let (name, address) = contact(&watcher);
        let mut options = NetTransportOptions::new(name);
        options.add_bind_address(address);
        started(Memberlist::with_delegate(
            watching(watcher),
            options,
            Options::lan(),
        ))
        .await
    }

    async fn join(node: Self::Node, seed: Self::Node) -> Result<(), String> {
        join(&node, &seed).await
    }

    async fn leave(node: Self::Node) -> Result<(), String> {
        leave(&node).await
    }

    fn abort(node: &Self::Node) {
        abort(node.clone());
    }
}

fn contact(watcher: &Watcher) -> (Name, SocketAddr) {
    let number = watcher.observer();
    (
        format!("n{number}").into(),
        (Ground::address(number), PORT).into(),
    )
}

fn watching(watcher: Watcher) -> Watching {
    CompositeDelegate::new().with_event_delegate(Events(watcher))
}

async fn started<N, E: ToString>(node: impl Future<Output = Result<N, E>>) -> Result<N, String> {
    node.await.map_err(|error| error.to_string())
}

async fn join<T>(
    node: &Memberlist<T, Watching>,
    seed: &Memberlist<T, Watching>,
) -> Result<(), String>
where
    T: Transport<Id = Name, ResolvedAddress = SocketAddr>,
{
    let seed = MaybeResolvedAddress::resolved(*seed.advertise_address());
    let joined = node.join(seed).await;
    joined.map(drop).map_err(|error| error.to_string())
}

async fn leave<T>(node: &Memberlist<T, Watching>) -> Result<(), String>
where
    T: Transport<Id = Name, ResolvedAddress = SocketAddr>,
{
    let left = node.leave(LEAVE_MAX).await;
    left.map(drop).map_err(|error| error.to_string())
}

fn abort<T>(node: Memberlist<T, Watching>)
where
    T: Transport<Id = Name, ResolvedAddress = SocketAddr>,
{
    // Nobody hears it any more; how it ends is its own business.
    tokio::spawn(async move {
        let _ = node.shutdown().await;
    });
}

/// Hands on what a node says.
#[derive(Debug)]
pub(super) struct Events(Watcher);

type Told = Arc<NodeState<Name, SocketAddr>>;

impl Events {
    fn saw(&self, node: &Told, sight: Sight) {
        let number = node.id().strip_prefix('n').and_then(|id| id.parse().ok());
        if let Some(number) = number {
            self.0.saw(number, sight);
        }
    }
}

impl EventDelegate for Events {
    type Id = Name;
    type Address = SocketAddr;

    async fn notify_join(&self, node: Told) {
        self.saw(&node, Sight::Up);
    }

    async fn notify_leave(&self, node: Told) {
        let left = node.state() == State::Left;
        self.saw(&node, if left { Sight::Gone } else { Sight::Failed });
    }

    async fn notify_update(&self, _: Told) {}
}
