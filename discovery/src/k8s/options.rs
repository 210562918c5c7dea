//! Which pods are looked for, and what their nodes are called.

use std::path::PathBuf;

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
