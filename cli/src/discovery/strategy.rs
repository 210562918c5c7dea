//! The strategy that the configuration chose, built from its settings.

use std::sync::Arc;

use convoke::{Node, Peer};
use convoke_discovery::{Manual, Me, Seed, Static, Strategy};

use crate::config::{self, Settings};

/// The strategy, and the list that it reads where it is the static one.
pub(super) struct Chosen {
    pub(super) strategy: Arc<dyn Strategy>,
    pub(super) list: Option<Arc<Static>>,
}

/// Builds the configured strategy. Nothing is asked yet.
pub(super) fn choose(settings: &Settings, _me: &Me) -> Chosen {
    let strategy: Arc<dyn Strategy> = match settings.cluster.discovery {
        config::Discovery::Static => {
            let list = Arc::new(Static::new(seeds(settings)));
            return Chosen {
                strategy: list.clone(),
                list: Some(list),
            };
        }
        config::Discovery::Manual
        | config::Discovery::Mcast
        | config::Discovery::Dns
        | config::Discovery::Etcd
        | config::Discovery::K8s => Arc::new(Manual),
    };
    Chosen {
        strategy,
        list: None,
    }
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
