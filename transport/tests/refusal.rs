//! Who does not belong is kept out, and both sides say why in plain words.
#![allow(clippy::unwrap_used)] // A failing test is to panic.

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::{Log, address, name, options};
use convoke::identity::{GOSSIP_ALPN, server_name};
use convoke::{Identity, Node, Options, Peer, Secret};
use quinn::{ConnectionError, Endpoint};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

/// A bare QUIC endpoint that may dial.
fn dialer() -> Endpoint {
    Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()
}

/// How a connection ends that this identity opens to a node with this protocol.
async fn end_of(identity: &Identity, alpn: &[u8], node: &Node) -> ConnectionError {
    end_with(identity.client_config(alpn), node).await
}

async fn end_with(config: quinn::ClientConfig, node: &Node) -> ConnectionError {
    let name = server_name(node.name().id());
    let connecting = dialer()
        .connect_with(config, node.gossip_address(), &name)
        .unwrap();
    match connecting.await {
        Ok(connection) => {
            let closed = tokio::time::timeout(Duration::from_secs(5), connection.closed());
            closed.await.expect("the node closes what it refuses")
        }
        Err(error) => error,
    }
}

fn nobody_came(node: &Node) {
    let view = node.view();
    assert_eq!(
        view.members().count(),
        1,
        "no state of the other is seen: {view:?}"
    );
}

#[tokio::test]
async fn another_secret_is_refused_and_both_sides_say_so() {
    let log = Log::capture();
    let here = Node::start(options("here@127.0.0.1", &Secret::generate()))
        .await
        .unwrap();
    let stranger = Node::start(options("stranger@127.0.0.1", &Secret::generate()))
        .await
        .unwrap();
    let refused = stranger
        .join(&address(&here))
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("another secret"), "{refused}");
    assert!(
        refused.contains(&here.gossip_address().to_string()),
        "{refused}"
    );
    let (dialer, listener) = (stranger.gossip_address(), here.gossip_address());
    log.says(&[
        "stranger@",
        &listener.to_string(),
        "is not signed by this cluster's secret",
    ])
    .await;
    log.says(&["here@", &dialer.to_string(), "holds another secret"])
        .await;
    nobody_came(&here);
    nobody_came(&stranger);
    assert!(here.stats().handshakes_refused >= 1);
}

#[tokio::test]
async fn a_client_that_trusts_the_node_but_is_not_trusted_gets_no_further() {
    let log = Log::capture();
    let here = Node::start(options("here@127.0.0.1", &Secret::generate()))
        .await
        .unwrap();
    // It ignores who the node is, as an attacker would, and shows a certificate of its own.
    let intruder = Identity::new(&name("here@127.0.0.1"), &Secret::generate()).unwrap();
    let error = end_of_gullible(&intruder, &here).await;
    let ConnectionError::ConnectionClosed(close) = &error else {
        panic!("{error:?}")
    };
    assert!(
        (0x100..0x200).contains(&u64::from(close.error_code)),
        "a TLS alert: {close:?}"
    );
    log.says(&["here@", "is not signed by this cluster's secret"])
        .await;
    nobody_came(&here);
}

/// As [`end_of`], but the client believes every certificate, and shows this identity's.
async fn end_of_gullible(identity: &Identity, node: &Node) -> ConnectionError {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible(provider)))
        .with_client_auth_cert(
            vec![identity.certificate().clone()],
            identity.private_key().into(),
        )
        .unwrap();
    tls.alpn_protocols = vec![GOSSIP_ALPN.to_vec()];
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    end_with(quinn::ClientConfig::new(Arc::new(tls)), node).await
}

/// Believes every certificate.
#[derive(Debug)]
struct Gullible(Arc<CryptoProvider>);

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test]
async fn another_protocol_version_is_refused_and_said_so() {
    let log = Log::capture();
    let secret = Secret::generate();
    let here = Node::start(options("here@127.0.0.1", &secret))
        .await
        .unwrap();
    let newer = Identity::new(&name("newer@127.0.0.1"), &secret).unwrap();
    let error = end_of(&newer, b"convoke/2", &here).await;
    let ConnectionError::ConnectionClosed(close) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        u64::from(close.error_code),
        0x100 + 120,
        "no_application_protocol: {close:?}"
    );
    log.says(&["here@", "speaks another protocol version"])
        .await;

    let config = newer.server_config(b"convoke/2");
    let server = Endpoint::server(config, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let there = server.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        while let Some(incoming) = server.accept().await {
            drop(incoming.await);
        }
    });
    let refused = here
        .join(&Peer::Address(there))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("speaks another protocol version"),
        "{refused}"
    );
    log.says(&[
        "here@",
        &there.to_string(),
        "speaks another protocol version",
    ])
    .await;
    accepting.abort();
    nobody_came(&here);
}

#[tokio::test]
async fn another_cluster_name_is_refused_and_both_sides_say_so() {
    let log = Log::capture();
    let secret = Secret::generate();
    let here = Node::start(options("here@127.0.0.1", &secret))
        .await
        .unwrap();
    let cluster_name = "elsewhere".to_owned();
    let other = Options {
        cluster_name,
        ..options("other@127.0.0.1", &secret)
    };
    let other = Node::start(other).await.unwrap();
    let refused = other.join(&address(&here)).await.unwrap_err().to_string();
    assert!(
        refused.contains("convoke") && refused.contains("elsewhere"),
        "{refused}"
    );
    log.says(&["here@", "(other@127.0.0.1) was refused", "elsewhere"])
        .await;
    log.says(&["other@", "(here@127.0.0.1) refused this node", "elsewhere"])
        .await;
    nobody_came(&here);
    nobody_came(&other);
}

#[tokio::test]
async fn bytes_that_are_no_packet_harm_nothing() {
    let secret = Secret::generate();
    let here = Node::start(options("here@127.0.0.1", &secret))
        .await
        .unwrap();
    let babbler = Identity::new(&name("babbler@127.0.0.1"), &secret).unwrap();
    let config = babbler.client_config(GOSSIP_ALPN);
    let server = server_name(here.name().id());
    let endpoint = dialer();
    let connecting = endpoint
        .connect_with(config, here.gossip_address(), &server)
        .unwrap();
    let connection = connecting.await.unwrap();
    for length in 0..100u8 {
        connection
            .send_datagram(vec![length; usize::from(length)].into())
            .unwrap();
    }
    let mut stream = connection.open_uni().await.unwrap();
    // Beyond what one packet may have: the node stops reading, and the connection stands.
    let mut sent = 0;
    while sent < 3 << 20 && stream.write_all(&[7; 1 << 16]).await.is_ok() {
        sent += 1 << 16;
    }
    common::until("it was counted", || {
        let malformed = here.stats().malformed;
        (malformed < 90).then(|| format!("{malformed}"))
    })
    .await;
    assert_eq!(connection.close_reason(), None);
    let joiner = Node::start(options("joiner@127.0.0.1", &secret))
        .await
        .unwrap();
    joiner.join(&address(&here)).await.unwrap();
    assert_eq!(here.view().size(), 2);
}
