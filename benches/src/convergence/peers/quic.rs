//! What a peer over QUIC needs: a certificate that all its nodes show, and that all trust.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::version::TLS13;

/// The name that the certificate is for.
pub(super) const SERVER_NAME: &str = "localhost";

/// A certificate and its key.
#[derive(Debug)]
pub(super) struct Credentials {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Credentials {
    /// Fresh ones.
    pub(super) fn new() -> Self {
        let made = generate_simple_self_signed([SERVER_NAME.to_owned()]);
        let CertifiedKey { cert, signing_key }: CertifiedKey<KeyPair> =
            made.expect("a key and a name make a certificate");
        Self {
            certificate: cert.der().clone(),
            key: signing_key.serialize_der().into(),
        }
    }

    /// Who listens.
    pub(super) fn server(&self) -> Result<quinn::ServerConfig, String> {
        let tls = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key().into())
            .map_err(|error| error.to_string())?;
        let tls = QuicServerConfig::try_from(tls).map_err(|error| error.to_string())?;
        Ok(quinn::ServerConfig::with_crypto(Arc::new(tls)))
    }

    /// Who dials.
    pub(super) fn client(&self) -> Result<quinn::ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        let added = roots.add(self.certificate.clone());
        added.map_err(|error| error.to_string())?;
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = QuicClientConfig::try_from(tls).map_err(|error| error.to_string())?;
        Ok(quinn::ClientConfig::new(Arc::new(tls)))
    }
}
