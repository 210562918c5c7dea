//! QUIC as nodes speak it, over loopback: both ends in one thread, so that a time is the CPU of both.

use std::net::{Ipv4Addr, SocketAddr};

use convoke::identity::{GOSSIP_ALPN, server_name};
use convoke::{Identity, NodeName, Secret};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use quinn::{ClientConfig, Connection, Endpoint};
use tokio::runtime::{Builder, Runtime};

/// A probe's packet has about so many bytes.
const PROBE: &[u8] = &[7; 24];

/// Two endpoints, of which one answers every datagram by the same.
struct Pair {
    runtime: Runtime,
    client: Endpoint,
    identity: Identity,
    server: SocketAddr,
    server_name: String,
}

impl Pair {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the system has what a runtime needs");
        let secret = Secret::generate();
        let (identity, other) = (identity(1, &secret), identity(2, &secret));
        let entered = runtime.enter();
        let (client, server) = (endpoint(&identity), endpoint(&other));
        let address = server.local_addr().expect("it is bound");
        tokio::spawn(echo(server));
        drop(entered);
        Self {
            runtime,
            client,
            identity,
            server: address,
            server_name: server_name(other.name().id()),
        }
    }

    /// A configuration that remembers no session.
    fn fresh(&self) -> ClientConfig {
        self.identity.client_config(GOSSIP_ALPN)
    }

    /// Opens a connection, and has one datagram answered.
    fn dial(&self, config: ClientConfig) -> Connection {
        self.runtime.block_on(async {
            let connecting = self
                .client
                .connect_with(config, self.server, &self.server_name);
            let connection = connecting.expect("the configuration is valid");
            let connection = connection.await.expect("the server lets it in");
            round_trip(&connection).await;
            connection
        })
    }
}

fn identity(n: u8, secret: &Secret) -> Identity {
    let name: NodeName = format!("convoke{n}@127.0.0.1")
        .parse()
        .expect("a valid name");
    Identity::new(&name, secret).expect("a certificate can be made")
}

fn endpoint(identity: &Identity) -> Endpoint {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let server = identity.server_config(GOSSIP_ALPN);
    let runtime = quinn::default_runtime().expect("within tokio");
    Endpoint::new(identity.endpoint_config(), Some(server), socket, runtime)
        .expect("the socket is good")
}

async fn echo(endpoint: Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            let Ok(connection) = incoming.await else {
                return;
            };
            while let Ok(datagram) = connection.read_datagram().await {
                // It may be closed meanwhile.
                let _ = connection.send_datagram(datagram);
            }
        });
    }
}

async fn round_trip(connection: &Connection) {
    let sent = connection.send_datagram(PROBE.into());
    sent.expect("a connection takes datagrams");
    let answer = connection.read_datagram().await;
    assert_eq!(answer.as_deref(), Ok(PROBE), "loopback loses nothing");
}

fn transport(c: &mut Criterion) {
    let pair = Pair::new();
    let connection = pair.dial(pair.fresh());
    c.bench_function("datagram round trip", |b| {
        b.iter(|| pair.runtime.block_on(round_trip(&connection)));
    });
    let mut group = c.benchmark_group("dial and one round trip");
    group.bench_function("full", |b| {
        b.iter_batched(
            || pair.fresh(),
            |config| pair.dial(config).close(0u32.into(), b""),
            BatchSize::SmallInput,
        );
    });
    // The first one brings tickets before its answer.
    let known = pair.fresh();
    drop(pair.dial(known.clone()));
    group.bench_function("resumed", |b| {
        b.iter(|| pair.dial(known.clone()).close(0u32.into(), b""));
    });
    group.finish();
}

criterion_group!(benches, transport);
criterion_main!(benches);
