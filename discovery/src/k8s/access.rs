//! The way to the API server: the pod's service account, else a kubeconfig.

use std::time::Duration;

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use rustls::crypto::{CryptoProvider, ring};

use super::K8sOptions;
use super::error::K8sError;

/// How long the API server may take to take a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The credentials, read anew.
pub(super) async fn config(options: &K8sOptions) -> Result<Config, K8sError> {
    let mut config = match (&options.kubeconfig, in_pod(options)) {
        (Some(file), _) => {
            let read = Kubeconfig::read_from(file);
            let read = read.map_err(|error| K8sError::Credentials(error.to_string()))?;
            let chosen = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
            chosen.map_err(|error| K8sError::Credentials(error.to_string()))?
        }
        (None, Ok(config)) => config,
        (None, Err(in_pod)) => {
            let outside = Config::from_kubeconfig(&KubeConfigOptions::default()).await;
            outside.map_err(|outside| K8sError::Nowhere {
                in_pod,
                outside: outside.to_string(),
            })?
        }
    };
    if let Some(apiserver) = &options.apiserver {
        let url = apiserver
            .parse()
            .map_err(|_| K8sError::Url(apiserver.clone()))?;
        config.cluster_url = url;
    }
    config.connect_timeout = Some(CONNECT_LIMIT);
    // Whoever asks the strategy asks again, less and less often.
    config.default_retry = false;
    Ok(config)
}

/// The pod's service account. Where the API server is named, nothing else need name it.
fn in_pod(options: &K8sOptions) -> Result<Config, String> {
    let config = match options.apiserver {
        Some(_) => Config::incluster_dns(),
        None => Config::incluster(),
    };
    config.map_err(|error| error.to_string())
}

pub(super) fn client(config: Config) -> Result<Client, K8sError> {
    // The client takes the provider of the process, and fails in a program that has two and chose
    // none.
    if CryptoProvider::get_default().is_none() {
        // Somebody else may choose just now.
        let _ = ring::default_provider().install_default();
    }
    Client::try_from(config).map_err(|error| K8sError::Credentials(error.to_string()))
}
