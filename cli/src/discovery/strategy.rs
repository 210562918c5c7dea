//! The strategy that the configuration chose, built from its settings.

use std::sync::Arc;

use convoke::{Node, Peer, Secret};
use convoke_discovery::etcd::{ClientFiles, Credentials, Etcd, EtcdOptions, TlsFiles};
use convoke_discovery::k8s::K8s;
use convoke_discovery::{BeaconKey, Dns, Manual, Mcast, Me, Seed, Static, Strategy};

use crate::config::{self, Hidden, Settings, settings};

/// The strategy, and the list that it reads where it is the static one.
pub(super) struct Chosen {
    pub(super) strategy: Arc<dyn Strategy>,
    pub(super) list: Option<Arc<Static>>,
}

/// Builds the configured strategy. Nothing is asked yet.
pub(super) fn choose(settings: &Settings, me: &Me, secret: &Secret) -> Chosen {
    let strategy: Arc<dyn Strategy> = match settings.cluster.discovery {
        config::Discovery::Static => {
            let list = Arc::new(Static::new(seeds(settings)));
            return Chosen {
                strategy: list.clone(),
                list: Some(list),
            };
        }
        config::Discovery::Mcast => Arc::new(mcast(settings, me, secret)),
        config::Discovery::Dns => Arc::new(dns(settings)),
        config::Discovery::Etcd => Arc::new(etcd(&settings.cluster.etcd, me)),
        config::Discovery::K8s => Arc::new(K8s::new(settings.cluster.k8s.options())),
        config::Discovery::Manual => Arc::new(Manual),
    };
    Chosen {
        strategy,
        list: None,
    }
}

/// Beacons are proven by what follows from the cluster's secret. (Nodes that prove themselves by
/// certificates alone have none in common: they would need a key beside, to be given here.)
fn mcast(settings: &Settings, me: &Me, secret: &Secret) -> Mcast {
    let key = BeaconKey::new(&secret.derive_key("mcast discovery"));
    Mcast::new(me.clone(), settings.cluster.mcast.options(), &key)
}

fn dns(settings: &Settings) -> Dns {
    let options = settings.cluster.dns.options(&settings.node.name);
    Dns::new(options.expect("a strategy without a name is refused when it is read"))
}

fn etcd(settings: &settings::Etcd, me: &Me) -> Etcd {
    let client = settings.certfile.clone().zip(settings.keyfile.clone());
    let client = client.map(|(certificate, key)| ClientFiles { certificate, key });
    let tls = settings
        .cacertfile
        .clone()
        .map(|ca| TlsFiles { ca, client });
    let credentials = settings.username.clone().zip(settings.password.clone());
    let options = EtcdOptions {
        servers: settings.server.clone(),
        prefix: settings.prefix.clone(),
        node_ttl: settings.node_ttl,
        tls,
        credentials: credentials.map(|(user, Hidden(password))| Credentials { user, password }),
    };
    Etcd::new(me, options)
}

/// The own node, as others are told of it.
pub(super) fn me(node: &Node) -> Me {
    let view = node.view();
    let own = view.member(node.name());
    Me {
        name: node.name().clone(),
        address: own.map_or(node.gossip_address(), |member| member.address),
        cluster: view.cluster_name().to_string(),
    }
}

/// The seeds of the static strategy.
pub(super) fn seeds(settings: &Settings) -> Vec<Seed> {
    let seed = |peer: &Peer| match peer {
        Peer::Name(name) => Seed::Name(name.clone()),
        Peer::Address(address) => Seed::Address(*address),
    };
    settings.cluster.seeds.iter().map(seed).collect()
}
