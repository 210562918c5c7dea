//! Which pods are looked for, and what their nodes are called.

use std::path::PathBuf;

use convoke_core::NodeName;
use thiserror::Error;

/// How the nodes of pods are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressType {
    /// By address: `app@10.1.2.3`.
    #[default]
    Ip,
    /// By the pod's name in DNS: `app@10-1-2-3.<namespace>.<suffix>`; by address without a suffix.
    Dns,
    /// By the pod's own host name, as a StatefulSet gives it:
    /// `app@<host name>.<service>.<namespace>.<suffix>`; `app@<host name>` without a suffix.
    Hostname,
}

/// Which pods, and how their nodes are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct K8sOptions {
    /// The API server, `https://host:port`. Default: what the credentials name.
    pub apiserver: Option<String>,
    /// The Service.
    pub service_name: String,
    /// Its namespace. Default: the pod's own, or the kubeconfig's.
    pub namespace: Option<String>,
    /// How nodes are named. Default: by address.
    pub address_type: AddressType,
    /// The part of their names before the `@`, and so their port.
    pub app_name: String,
    /// What ends their names, such as `pod.cluster.local` or `svc.cluster.local`.
    pub suffix: String,
    /// The file of credentials outside a cluster. Default: what `KUBECONFIG` names, else
    /// `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
}

/// Why options can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum K8sOptionsError {
    /// The Service's name is none.
    #[error(
        "{0:?} is no name of a Service: expected up to 63 lower-case letters, digits and -, such as \"convoke\""
    )]
    Service(String),
    /// The namespace is none.
    #[error(
        "{0:?} is no namespace: expected up to 63 lower-case letters, digits and -, such as \"default\""
    )]
    Namespace(String),
    /// The nodes' own name is none.
    #[error(
        "{0:?} is no name of nodes: expected what stands before the @, letters, digits, - and _"
    )]
    App(String),
    /// The end of names is none.
    #[error(
        "{0:?} ends no name: expected a domain without a dot before or after it, such as \"svc.cluster.local\""
    )]
    Suffix(String),
}

impl K8sOptions {
    /// Whether there can be such pods, as far as that is known without the API server.
    ///
    /// # Errors
    /// When a name is none of its kind.
    pub fn check(&self) -> Result<(), K8sOptionsError> {
        let namespace = self.namespace.as_deref();
        let app = format!("{}@127.0.0.1", self.app_name).parse::<NodeName>();
        if !is_label(&self.service_name) {
            return Err(K8sOptionsError::Service(shortened(&self.service_name)));
        }
        if let Some(namespace) = namespace.filter(|namespace| !is_label(namespace)) {
            return Err(K8sOptionsError::Namespace(shortened(namespace)));
        }
        if !app.is_ok_and(|app| app.local_part() == self.app_name) {
            return Err(K8sOptionsError::App(shortened(&self.app_name)));
        }
        let suffix = self.suffix.as_str();
        let ends_names = suffix.is_empty() || suffix.split('.').all(is_label);
        match ends_names && suffix.len() <= SUFFIX_BYTES_MAX {
            true => Ok(()),
            false => Err(K8sOptionsError::Suffix(shortened(suffix))),
        }
    }
}

/// What leaves room for a host name, a Service and a namespace before it.
const SUFFIX_BYTES_MAX: usize = 128;

/// Whether it is a label of RFC 1123.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let dash = text.starts_with('-') || text.ends_with('-');
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !dash
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> K8sOptions {
        K8sOptions {
            service_name: "convoke".into(),
            app_name: "convoke".into(),
            ..K8sOptions::default()
        }
    }

    #[test]
    fn names_of_kubernetes_are_names() {
        for suffix in ["", "pod.cluster.local", "svc.cluster-2.local"] {
            let suffix = suffix.to_owned();
            assert_eq!(
                K8sOptions {
                    suffix,
                    ..options()
                }
                .check(),
                Ok(())
            );
        }
        let namespace = Some("kube-system".to_owned());
        assert_eq!(
            K8sOptions {
                namespace,
                ..options()
            }
            .check(),
            Ok(())
        );
    }

    #[test]
    fn what_can_name_nothing_is_refused() {
        let long = "a".repeat(64);
        for text in [
            "a b", "-a", "a-", "A", "a_b", "a/b", &long, "a.b.", ".a", "a..b",
        ] {
            let text = || text.to_owned();
            let suffix = K8sOptions {
                suffix: text(),
                ..options()
            };
            assert_eq!(suffix.check(), Err(K8sOptionsError::Suffix(text())));
            let service = K8sOptions {
                service_name: text(),
                ..options()
            };
            assert_eq!(service.check(), Err(K8sOptionsError::Service(text())));
            let namespace = K8sOptions {
                namespace: Some(text()),
                ..options()
            };
            assert_eq!(namespace.check(), Err(K8sOptionsError::Namespace(text())));
        }
        for app in ["", "a@b", "a b", "é"] {
            let wrong = K8sOptions {
                app_name: app.into(),
                ..options()
            };
            assert_eq!(wrong.check(), Err(K8sOptionsError::App(app.into())));
        }
    }
}
