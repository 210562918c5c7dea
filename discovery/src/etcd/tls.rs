//! TLS to etcd: whom to believe, and how to show who we are.
//!
//! The files are read anew for every connection, so that a renewed certificate needs no restart.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::error::ServerFault;

/// The files of TLS, PEM each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who signs the certificates of etcd's servers: one authority or several.
    pub ca: PathBuf,
    /// The own certificate with what it is signed by, and its key, where etcd asks clients for
    /// theirs.
    pub client: Option<ClientFiles>,
}

/// The files by which a client shows who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// The certificate, then what it is signed by.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Reads the files.
pub(super) async fn connector(files: &TlsFiles) -> Result<TlsConnector, ServerFault> {
    let files = files.clone();
    let config = tokio::task::spawn_blocking(move || config(&files)).await;
    let config = config.map_err(|error| ServerFault::Lost(error.to_string()))??;
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The name that the server's certificate must be for.
pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, ServerFault> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| ServerFault::Tls(format!("no certificate can be for the host {host:?}")))
}

fn config(files: &TlsFiles) -> Result<ClientConfig, ServerFault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has suites of the default versions")
        .with_root_certificates(roots(&files.ca)?);
    let mut config = match &files.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let chain = certificates(&client.certificate)?;
            let key = PrivateKeyDer::from_pem_file(&client.key)
                .map_err(|error| unreadable(&client.key, &error))?;
            let fit = builder.with_client_auth_cert(chain, key);
            fit.map_err(|error| unreadable(&client.key, &error))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn roots(file: &Path) -> Result<RootCertStore, ServerFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots
            .add(certificate)
            .map_err(|error| unreadable(file, &error))?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, ServerFault> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read.map_err(|error| unreadable(file, &error))? {
        none if none.is_empty() => Err(unreadable(file, &"there is no certificate in it")),
        some => Ok(some),
    }
}

fn unreadable(file: &Path, error: &dyn Display) -> ServerFault {
    ServerFault::File {
        file: file.to_owned(),
        reason: error.to_string(),
    }
}
