//! Who a node is, in certificates that the cluster's secret vouches for.
//!
//! The secret is the seed of an authority's key. Every node derives the same authority and signs a
//! certificate of its own with it, which carries its node name; no certificate is ever handed out.
//! So whoever holds the secret can prove its name to all others, and whoever does not gets no
//! further than the handshake.
//!
//! ```text
//! secret ── HKDF ──▶ Ed25519 seed ──▶ authority ── signs ──▶ this process's certificate
//!        ── HKDF, node name ──▶ keys of stateless resets and connection ids: the same after a
//!                               restart, so that peers notice a restart at once
//! ```
//!
//! A certificate names its node twice: as `convoke://name@host` (a URI, to be read), and as
//! `n<id>.convoke.internal` (a DNS name: one for each node, so that session tickets are never
//! shared between nodes). It is valid from a day before it is made, so that clocks that differ do
//! no harm.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use convoke_core::{NodeId, NodeName};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{EndpointConfig, IdleTimeout, TransportConfig, ValidationTokenConfig, VarInt};
use quinn_proto::{ConnectionIdGenerator, HashedConnectionIdGenerator};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CipherSuite, DigitallySignedStruct, RootCertStore, SignatureScheme};
use thiserror::Error;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::hail::{HAIL_BYTES, Hail, TOKEN_BYTES};
use crate::introduction::INTRODUCTION_ALPN;
use crate::secret::Secret;

/// The protocol of the gossip port. A peer that speaks another is refused in the handshake.
pub const GOSSIP_ALPN: &[u8] = b"convoke/1";
/// The protocol of the RPC port.
pub const RPC_ALPN: &[u8] = b"convoke-rpc/1";

/// How far before its making a certificate is valid: clocks of hosts differ.
const VALID_BEFORE: Duration = Duration::from_secs(24 * 3600);
/// How long it is valid. It lives in memory only, as long as its process.
const VALID_FOR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
/// Peers of which a session is remembered, so that the next handshake is cheaper.
const SESSIONS_MAX: usize = 256;
/// Sessions of others that this node remembers to that end; room for them is taken at once. Ring
/// neighbours are sixteen.
const SESSIONS_GIVEN_MAX: usize = 64;
/// Tickets to that end that each handshake gives. Every resumption brings a fresh one.
const TICKETS: usize = 1;

/// Silence after which a connection is given up. The membership protocol talks on every
/// connection that it needs more often than that.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// A first guess of the round trip; measured soon. It decides when a lost first packet of a
/// handshake is repeated.
const RTT_GUESS: Duration = Duration::from_millis(100);
/// Each takes room from the start, on every connection.
const UNI_STREAMS_MAX: u32 = 24;
const BIDI_STREAMS_MAX: u32 = 16;
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
const DATAGRAM_BUFFER_BYTES: usize = 256 << 10;
/// Handshakes of others that wait to be accepted.
const INCOMING_MAX: usize = 1024;
const INCOMING_BUFFER_BYTES: u64 = 64 << 10;
const INCOMING_BUFFER_BYTES_TOTAL: u64 = 8 << 20;

/// What a process proves itself with, and how it examines others.
#[derive(Clone)]
pub struct Identity {
    name: NodeName,
    provider: Arc<CryptoProvider>,
    authority: Arc<RootCertStore>,
    certificate: CertificateDer<'static>,
    key: Arc<Zeroizing<Vec<u8>>>,
    derived: Arc<Derived>,
}

/// Why no identity could be made.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct IdentityError(String);

/// Why a peer with a certificate of the cluster still has no name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("its certificate carries no valid node name")]
pub struct Unnamed;

impl Identity {
    /// The identity of the node of this name in the cluster of this secret, with a fresh key.
    ///
    /// # Errors
    /// When the certificate library refuses; no name or secret is known that makes it do so.
    pub fn new(name: &NodeName, secret: &Secret) -> Result<Self, IdentityError> {
        let wrong = |error: &dyn fmt::Display| IdentityError(error.to_string());
        let derived = Derived::from(secret);
        let (issuer, root) = authority(&derived).map_err(|error| wrong(&error))?;
        let mut authority = RootCertStore::empty();
        authority.add(root).map_err(|error| wrong(&error))?;
        let (certificate, key) = certificate(name, &issuer).map_err(|error| wrong(&error))?;
        Ok(Self {
            name: name.clone(),
            provider: Arc::new(provider()),
            authority: Arc::new(authority),
            certificate,
            key: Arc::new(Zeroizing::new(key.serialize_der())),
            derived: Arc::new(derived),
        })
    }

    /// The name that this identity proves.
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// How to open connections to other nodes. They are to be dialed under their
    /// [`server_name`]; who answers is told by [`peer_name`]. Sessions are remembered by name.
    pub fn client_config(&self, alpn: &[u8]) -> quinn::ClientConfig {
        self.client(alpn, Resumption::in_memory_sessions(SESSIONS_MAX))
    }

    /// How to open a connection to whoever listens at an address: no session is remembered,
    /// because it is not known whose it would be.
    pub(crate) fn stranger_config(&self, alpn: &[u8]) -> quinn::ClientConfig {
        self.client(alpn, Resumption::disabled())
    }

    /// How to ask whoever listens at an address what it is, by any of these protocols.
    pub(crate) fn asking_config(&self, protocols: &[Vec<u8>]) -> quinn::ClientConfig {
        self.client_of(protocols, Resumption::disabled(), transport(GOSSIP_ALPN))
    }

    /// How to take connections from other nodes. Those for gossip may ask for an introduction
    /// instead.
    pub fn server_config(&self, alpn: &[u8]) -> quinn::ServerConfig {
        let verifier = WebPkiClientVerifier::builder_with_provider(
            self.authority.clone(),
            self.provider.clone(),
        );
        let verifier = verifier
            .build()
            .expect("there is an authority: added when this was made");
        let mut tls = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has suites of TLS 1.3")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.certificate.clone()], self.private_key().into())
            .expect("certificate and key belong together: made together");
        tls.alpn_protocols = vec![alpn.to_vec()];
        if alpn == GOSSIP_ALPN {
            tls.alpn_protocols.push(INTRODUCTION_ALPN.to_vec());
        }
        tls.session_storage = rustls::server::ServerSessionMemoryCache::new(SESSIONS_GIVEN_MAX);
        tls.send_tls13_tickets = TICKETS;
        let tls = QuicServerConfig::try_from(tls).expect("the provider has QUIC's initial suite");
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
        config
            .transport_config(Arc::new(transport(alpn)))
            .migration(false)
            .validation_token_config(no_tokens())
            .max_incoming(INCOMING_MAX)
            .incoming_buffer_size(INCOMING_BUFFER_BYTES)
            .incoming_buffer_size_total(INCOMING_BUFFER_BYTES_TOTAL);
        config
    }

    /// How an endpoint of this node names its connections and disowns those of a former process.
    pub fn endpoint_config(&self) -> EndpointConfig {
        let mut config = EndpointConfig::new(Arc::new(self.derived.reset_key(&self.name)));
        let key = self.derived.connection_id_key(&self.name);
        config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
        // Many may hail at once, and each answer is smaller than what it answers.
        config.min_reset_interval(Duration::ZERO);
        config
    }

    /// A hail for the node of this name.
    pub(crate) fn hail(&self, name: &NodeName) -> Hail {
        let key = self.derived.connection_id_key(name);
        let id = HashedConnectionIdGenerator::from_key(key).generate_cid();
        let tag = hmac::sign(&self.derived.reset_key(name), &id);
        let mut token = [0; TOKEN_BYTES];
        token.copy_from_slice(&tag.as_ref()[..TOKEN_BYTES]);
        let mut packet = [0; HAIL_BYTES];
        SystemRandom::new()
            .fill(&mut packet)
            .expect("the system has random numbers");
        // A short header: the fixed bit is set, the long form's is not.
        packet[0] = 0x40 | packet[0] & 0x3f;
        packet[1..=id.len()].copy_from_slice(&id);
        Hail { packet, token }
    }

    /// Whether the other end of a connection is this very process.
    pub(crate) fn is_own(&self, connection: &quinn::Connection) -> bool {
        peer_certificate(connection).is_ok_and(|certificate| certificate == self.certificate)
    }

    fn client(&self, alpn: &[u8], resumption: Resumption) -> quinn::ClientConfig {
        self.client_of(&[alpn.to_vec()], resumption, transport(alpn))
    }

    fn client_of(
        &self,
        protocols: &[Vec<u8>],
        resumption: Resumption,
        transport: TransportConfig,
    ) -> quinn::ClientConfig {
        let verifier = AuthorityVerifier {
            authority: self.authority.clone(),
            provider: self.provider.clone(),
        };
        let mut tls = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has suites of TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(vec![self.certificate.clone()], self.private_key().into())
            .expect("certificate and key belong together: made together");
        tls.alpn_protocols = protocols.to_vec();
        tls.resumption = resumption;
        let tls = QuicClientConfig::try_from(tls).expect("the provider has QUIC's initial suite");
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(transport));
        config
    }

    /// Tells apart the secrets of two clusters, and nothing of them: it may be shown to anybody.
    pub fn fingerprint(&self) -> String {
        self.derived.fingerprint()
    }

    /// This process's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The key of that certificate.
    pub fn private_key(&self) -> PrivatePkcs8KeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.to_vec())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// [`Identity::fingerprint`] of a secret.
pub fn fingerprint(secret: &Secret) -> String {
    Derived::from(secret).fingerprint()
}

/// The name in TLS under which a node is dialed.
pub fn server_name(id: NodeId) -> String {
    format!("n{id}.convoke.internal")
}

/// The name of the node at the other end, from its certificate. Known once the handshake is done,
/// which has verified the certificate.
///
/// # Errors
/// When the certificate does not name exactly one node.
pub fn peer_name(connection: &quinn::Connection) -> Result<NodeName, Unnamed> {
    certified_name(&peer_certificate(connection)?)
}

fn peer_certificate(connection: &quinn::Connection) -> Result<CertificateDer<'static>, Unnamed> {
    let identity = connection.peer_identity().ok_or(Unnamed)?;
    let chain = identity
        .downcast::<Vec<CertificateDer<'static>>>()
        .map_err(|_| Unnamed)?;
    chain.into_iter().next().ok_or(Unnamed)
}

fn certified_name(certificate: &CertificateDer<'_>) -> Result<NodeName, Unnamed> {
    let certificate = webpki::EndEntityCert::try_from(certificate).map_err(|_| Unnamed)?;
    let mut uris = certificate.valid_uri_names();
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        return Err(Unnamed);
    };
    let name: NodeName = uri
        .strip_prefix("convoke://")
        .and_then(|name| name.parse().ok())
        .ok_or(Unnamed)?;
    let matches = certificate
        .valid_dns_names()
        .eq([server_name(name.id()).as_str()]);
    if matches { Ok(name) } else { Err(Unnamed) }
}

/// Keys that follow from the secret, each for one purpose.
pub(crate) struct Derived(hkdf::Prk);

impl Derived {
    pub(crate) fn from(secret: &Secret) -> Self {
        Self(hkdf::Salt::new(hkdf::HKDF_SHA256, b"convoke/1").extract(secret.as_bytes()))
    }

    pub(crate) fn key<const N: usize>(&self, purpose: &[&[u8]]) -> [u8; N] {
        let mut key = [0; N];
        let expanded = self.0.expand(purpose, KeyBytes(N)).expect("keys are short");
        expanded
            .fill(&mut key)
            .expect("the length is the one that was asked for");
        key
    }

    fn fingerprint(&self) -> String {
        format!("{:016x}", u64::from_be_bytes(self.key(&[b"fingerprint"])))
    }

    /// What the node of this name disowns connections of a former process with.
    fn reset_key(&self, name: &NodeName) -> hmac::Key {
        let key: [u8; 32] = self.key(&[b"stateless reset", name.as_str().as_bytes()]);
        hmac::Key::new(hmac::HMAC_SHA256, &key)
    }

    /// What it names its connections with.
    fn connection_id_key(&self, name: &NodeName) -> u64 {
        u64::from_le_bytes(self.key(&[b"connection id", name.as_str().as_bytes()]))
    }
}

struct KeyBytes(usize);

impl hkdf::KeyType for KeyBytes {
    fn len(&self) -> usize {
        self.0
    }
}

type Authority = (Issuer<'static, KeyPair>, CertificateDer<'static>);

/// The authority that all nodes of the cluster derive alike.
fn authority(derived: &Derived) -> Result<Authority, rcgen::Error> {
    let seed = Zeroizing::new(derived.key::<32>(&[b"authority"]));
    let key = ed25519_from_seed(&seed)?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "convoke cluster");
    let certificate = params.self_signed(&key)?.der().clone();
    Ok((Issuer::new(params, key), certificate))
}

/// A seed in the frame of PKCS#8 (RFC 8410 §7), which is what the library takes.
fn ed25519_from_seed(seed: &[u8; 32]) -> Result<KeyPair, rcgen::Error> {
    const FRAME: [u8; 16] = [
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    let der = Zeroizing::new([&FRAME[..], seed].concat());
    let der = PrivatePkcs8KeyDer::from(der.as_slice());
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_ED25519)
}

fn certificate(
    name: &NodeName,
    issuer: &Issuer<'static, KeyPair>,
) -> Result<(CertificateDer<'static>, KeyPair), rcgen::Error> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(vec![server_name(name.id())])?;
    params
        .subject_alt_names
        .push(SanType::URI(format!("convoke://{name}").try_into()?));
    params
        .distinguished_name
        .push(DnType::CommonName, "convoke node");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let now = OffsetDateTime::now_utc();
    params.not_before = now - VALID_BEFORE;
    params.not_after = now + VALID_FOR;
    let certificate = params.signed_by(&key, issuer)?;
    Ok((certificate.der().clone(), key))
}

/// The cheapest suite first: its hash has instructions of its own on most processors, and 128 bits
/// are as good as the keys that it is agreed on with.
fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    provider
}

/// An address is proven anew where it has to be, which is seldom: what would spare that costs every
/// connection two frames and two keys.
fn no_tokens() -> ValidationTokenConfig {
    let mut config = ValidationTokenConfig::default();
    config.sent(0);
    config
}

/// Gossip travels in datagrams and one-way streams, calls in streams both ways.
fn transport(alpn: &[u8]) -> TransportConfig {
    let calls = alpn == RPC_ALPN;
    let (uni_streams, bidi_streams) = if calls {
        (0, BIDI_STREAMS_MAX)
    } else {
        (UNI_STREAMS_MAX, 0)
    };
    let mut config = TransportConfig::default();
    let idle = IdleTimeout::try_from(IDLE_MAX).expect("half a minute is in range");
    config
        .max_idle_timeout(Some(idle))
        .initial_rtt(RTT_GUESS)
        // Gossip fits the smallest packets, and looking for larger ones would cost each new
        // connection ten times what is ever said on most of them.
        .mtu_discovery_config(None)
        .max_concurrent_uni_streams(VarInt::from_u32(uni_streams))
        .max_concurrent_bidi_streams(VarInt::from_u32(bidi_streams))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(u64::from(CONNECTION_WINDOW_BYTES))
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES);
    config
}

/// Whether a server's certificate is of this cluster. Which node it is, is judged after the
/// handshake, so that a node which was mistaken for another can be told so in words.
#[derive(Debug)]
struct AuthorityVerifier {
    authority: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AuthorityVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.authority,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn verify(
        examiner: &Identity,
        shown: &CertificateDer<'_>,
        at: SystemTime,
    ) -> Result<(), String> {
        let now = UnixTime::since_unix_epoch(at.duration_since(SystemTime::UNIX_EPOCH).unwrap());
        let verifier = AuthorityVerifier {
            authority: examiner.authority.clone(),
            provider: examiner.provider.clone(),
        };
        let any = ServerName::try_from("any.convoke.internal").unwrap();
        let verified = verifier.verify_server_cert(shown, &[], &any, &[], now);
        verified.map(|_| ()).map_err(|error| error.to_string())
    }

    #[test]
    fn nodes_of_one_secret_accept_each_other_and_nobody_else() {
        let secret = Secret::generate();
        let a = Identity::new(&name("a@10.0.0.1"), &secret).unwrap();
        let b = Identity::new(&name("b@10.0.0.2"), &secret).unwrap();
        let stranger = Identity::new(&name("b@10.0.0.2"), &Secret::generate()).unwrap();
        let now = SystemTime::now();
        assert_eq!(verify(&a, &b.certificate, now), Ok(()));
        assert!(verify(&a, &stranger.certificate, now).is_err());
        assert!(verify(&stranger, &a.certificate, now).is_err());
    }

    #[test]
    fn a_certificate_is_valid_from_a_day_before_it_is_made() {
        let identity = Identity::new(&name("a@10.0.0.1"), &Secret::generate()).unwrap();
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let now = SystemTime::now();
        assert_eq!(
            verify(&identity, &identity.certificate, now - hours(23)),
            Ok(())
        );
        assert!(verify(&identity, &identity.certificate, now - hours(25)).is_err());
        assert_eq!(
            verify(&identity, &identity.certificate, now + hours(29 * 365 * 24)),
            Ok(())
        );
    }

    #[test]
    fn every_kind_of_name_comes_out_of_its_certificate() {
        let secret = Secret::generate();
        let long = format!(
            "{}@{}.example.org",
            "n".repeat(64),
            ["h".repeat(63).as_str(); 3].join(".")
        );
        for text in ["a@10.0.0.1", "a_b-9@::1", "convoke1@n1.example.org", &long] {
            let identity = Identity::new(&name(text), &secret).unwrap();
            assert_eq!(certified_name(&identity.certificate), Ok(name(text)));
        }
    }

    #[test]
    fn a_certificate_whose_names_disagree_names_nobody() {
        let (issuer, _) = authority(&Derived::from(&Secret::generate())).unwrap();
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let signed = |dns: &[&str], uris: &[&str]| {
            let dns: Vec<_> = dns.iter().map(|&dns| dns.to_owned()).collect();
            let mut params = CertificateParams::new(dns).unwrap();
            for &uri in uris {
                params
                    .subject_alt_names
                    .push(SanType::URI(uri.try_into().unwrap()));
            }
            params.signed_by(&key, &issuer).unwrap().der().clone()
        };
        let (a, b) = (
            server_name(name("a@10.0.0.1").id()),
            server_name(name("b@10.0.0.1").id()),
        );
        let uri = "convoke://a@10.0.0.1";
        assert!(certified_name(&signed(&[&a], &[uri])).is_ok());
        let bad: [(&[&str], &[&str]); 6] = [
            (&[&b], &[uri]),
            (&[&a, &b], &[uri]),
            (&[], &[uri]),
            (&[&a], &[]),
            (&[&a], &[uri, "convoke://b@10.0.0.1"]),
            (&[&a], &["https://a@10.0.0.1"]),
        ];
        for (dns, uris) in bad {
            assert_eq!(
                certified_name(&signed(dns, uris)),
                Err(Unnamed),
                "{dns:?} {uris:?}"
            );
        }
    }

    #[test]
    fn the_keys_of_resets_and_connection_ids_outlive_the_process_and_differ_by_node() {
        let secret = Secret::generate();
        let identity = |text| Identity::new(&name(text), &secret).unwrap();
        let (a, again, b) = (
            identity("a@10.0.0.1"),
            identity("a@10.0.0.1"),
            identity("b@10.0.0.1"),
        );
        let reset = |identity: &Identity| {
            let key = identity.derived.reset_key(&identity.name);
            hmac::sign(&key, b"").as_ref().to_vec()
        };
        let id = |identity: &Identity| identity.derived.connection_id_key(&identity.name);
        assert_eq!(reset(&a), reset(&again));
        assert_ne!(reset(&a), reset(&b));
        assert_eq!(id(&a), id(&again));
        assert_ne!(id(&a), id(&b));
        assert_ne!(
            a.certificate, again.certificate,
            "the certificate's key is fresh"
        );
    }
}
