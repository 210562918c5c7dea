//! The configuration as the program uses it: typed, complete, with its defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use convoke::Peer;
use convoke_core::config::Tuning;
use convoke_core::{Config as EngineConfig, NodeName};
use convoke_discovery::etcd::{EtcdOptions, Server};
use convoke_discovery::k8s::{self, K8sOptions};
use convoke_discovery::{DnsOptions, DnsRecord, Iface, McastOptions};

use super::addresses::NameServer;
use super::choice::{
    AddressType, Discovery, LogFormat, OnDown, PortMapping, Profile, RecordType, SecurityMode,
    SplitBrain,
};
use super::kinds::{ApiServer, Autoclean, ClusterName, Hidden, LogLevel, Suffix, Switched, Tag};

/// Everything that can be configured. [`super::key::all`] names the fields and says what they
/// mean.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) node: Node,
    pub(crate) cluster: Cluster,
    pub(crate) security: Security,
    /// The profile that `engine` starts from.
    pub(crate) profile: Profile,
    /// What is asked of the detector, from which some of `engine` follows.
    pub(crate) tuning: Tuning,
    /// The engine's numbers. `cluster.*` keys set some of them too.
    pub(crate) engine: EngineConfig,
    pub(crate) http_listen: Switched<SocketAddr>,
    pub(crate) log: Log,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: NodeName,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) advertise: Option<SocketAddr>,
    pub(crate) rpc_listen: Option<SocketAddr>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) port_mapping: PortMapping,
    pub(crate) dist_listen_min: u16,
    pub(crate) dist_listen_max: u16,
    pub(crate) epmd_embedded: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) name: ClusterName,
    pub(crate) discovery: Discovery,
    pub(crate) discovery_interval: Duration,
    pub(crate) autoclean: Autoclean,
    pub(crate) split_brain: SplitBrain,
    pub(crate) stable_after: Duration,
    pub(crate) on_down: OnDown,
    pub(crate) seeds: Vec<Peer>,
    pub(crate) mcast: Mcast,
    pub(crate) dns: Dns,
    pub(crate) etcd: Etcd,
    pub(crate) k8s: K8s,
}

#[derive(Clone, Debug)]
pub(crate) struct Mcast {
    pub(crate) addr: IpAddr,
    pub(crate) ports: Vec<u16>,
    pub(crate) iface: Iface,
    pub(crate) ttl: u8,
    pub(crate) r#loop: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Dns {
    pub(crate) name: Option<String>,
    pub(crate) app: Option<String>,
    pub(crate) record_type: RecordType,
    pub(crate) server: Option<NameServer>,
}

#[derive(Clone, Debug)]
pub(crate) struct Etcd {
    pub(crate) server: Vec<Server>,
    pub(crate) prefix: String,
    pub(crate) node_ttl: Duration,
    pub(crate) cacertfile: Option<PathBuf>,
    pub(crate) certfile: Option<PathBuf>,
    pub(crate) keyfile: Option<PathBuf>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Hidden>,
}

#[derive(Clone, Debug)]
pub(crate) struct K8s {
    pub(crate) apiserver: Option<ApiServer>,
    pub(crate) service_name: String,
    pub(crate) namespace: Option<String>,
    pub(crate) address_type: AddressType,
    pub(crate) app_name: String,
    pub(crate) suffix: Suffix,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Security {
    pub(crate) mode: SecurityMode,
    pub(crate) secret_file: Option<PathBuf>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) crl: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) level: LogLevel,
    pub(crate) format: LogFormat,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node: Node::default(),
            cluster: Cluster::default(),
            security: Security::default(),
            profile: Profile::Lan,
            tuning: Tuning::default(),
            engine: EngineConfig::lan(),
            http_listen: Switched::Off,
            log: Log {
                level: LogLevel("info".into()),
                format: LogFormat::Text,
            },
        }
    }
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: "convoke@127.0.0.1"
                .parse()
                .expect("the default name is a node name"),
            data_dir: None,
            listen: None,
            advertise: None,
            rpc_listen: None,
            tags: Vec::new(),
            port_mapping: PortMapping::Conventional,
            dist_listen_min: 6369,
            dist_listen_max: 6369,
            epmd_embedded: false,
        }
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: ClusterName("convoke".into()),
            discovery: Discovery::Manual,
            discovery_interval: Duration::from_secs(5),
            autoclean: Autoclean(EngineConfig::lan().autoclean),
            split_brain: SplitBrain::Off,
            stable_after: Duration::from_secs(20),
            on_down: OnDown::Stay,
            seeds: Vec::new(),
            mcast: Mcast::default(),
            dns: Dns::default(),
            etcd: Etcd::default(),
            k8s: K8s::default(),
        }
    }
}

impl Default for Mcast {
    fn default() -> Self {
        Self {
            addr: Ipv4Addr::new(239, 192, 0, 1).into(),
            ports: vec![4369, 4370],
            iface: Iface::Any,
            ttl: 255,
            r#loop: true,
        }
    }
}

impl Default for Etcd {
    fn default() -> Self {
        Self {
            server: EtcdOptions::default().servers,
            prefix: "convokecl".into(),
            node_ttl: Duration::from_secs(60),
            cacertfile: None,
            certfile: None,
            keyfile: None,
            username: None,
            password: None,
        }
    }
}

impl Default for K8s {
    fn default() -> Self {
        Self {
            apiserver: None,
            service_name: "convoke".into(),
            namespace: None,
            address_type: AddressType::Ip,
            app_name: "convoke".into(),
            suffix: Suffix(String::new()),
        }
    }
}

impl Mcast {
    /// As the strategy takes it.
    pub(crate) fn options(&self) -> McastOptions {
        McastOptions {
            group: self.addr,
            ports: self.ports.clone(),
            iface: self.iface.clone(),
            ttl: self.ttl,
            loopback: self.r#loop,
        }
    }
}

impl K8s {
    /// As the strategy takes it.
    pub(crate) fn options(&self) -> K8sOptions {
        K8sOptions {
            apiserver: self.apiserver.clone().map(|ApiServer(url)| url),
            service_name: self.service_name.clone(),
            namespace: self.namespace.clone(),
            address_type: match self.address_type {
                AddressType::Ip => k8s::AddressType::Ip,
                AddressType::Dns => k8s::AddressType::Dns,
                AddressType::Hostname => k8s::AddressType::Hostname,
            },
            app_name: self.app_name.clone(),
            suffix: self.suffix.0.clone(),
            kubeconfig: None,
        }
    }
}

impl Dns {
    /// As the strategy takes it, for a node of this name; none where there is no name to ask for.
    pub(crate) fn options(&self, own: &NodeName) -> Option<DnsOptions> {
        let app = self.app.as_deref().unwrap_or(own.local_part());
        Some(DnsOptions {
            name: self.name.clone()?,
            app: app.to_owned(),
            record: match self.record_type {
                RecordType::A => DnsRecord::A,
                RecordType::Aaaa => DnsRecord::Aaaa,
                RecordType::Srv => DnsRecord::Srv,
            },
            server: self.server.map(|server| server.0),
        })
    }
}

impl Settings {
    fn split_brain(&self) -> convoke_core::config::SplitBrain {
        use convoke_core::config::{QuorumRule, SplitBrain as Policy};
        match (self.cluster.split_brain, self.engine.quorum) {
            (SplitBrain::Off, _) => Policy::Off,
            (SplitBrain::KeepMajority, _) => Policy::KeepMajority,
            (SplitBrain::StaticQuorum, QuorumRule::Static(least)) => Policy::StaticQuorum(least),
            (SplitBrain::StaticQuorum, _) => Policy::Off, // Refused when it was read.
            (SplitBrain::KeepOldest, _) => Policy::KeepOldest,
            (SplitBrain::DownAll, _) => Policy::DownAll,
        }
    }

    /// The engine's numbers with what `cluster.*` keys say of them.
    pub(crate) fn engine(&self) -> EngineConfig {
        EngineConfig {
            autoclean: self.cluster.autoclean.0,
            split_brain: self.split_brain(),
            stable_after: self.cluster.stable_after,
            ..self.engine.clone()
        }
    }
}
