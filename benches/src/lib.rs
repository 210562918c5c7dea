//! What the benches share: clusters of plausible members, an engine in a [`crowd`] of them, two in
//! a [`comparison`]; the [`instructions`] of the hot paths; the [`proof`]; and [`convergence`], of
//! real nodes.

pub mod comparison;
pub mod convergence;
pub mod crowd;
pub mod instructions;
pub mod proof;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use convoke_core::{Admission, Incarnation, Instance, Life, NodeName, Profile};

/// The life that a member of a running cluster has.
pub fn life() -> Life {
    Life {
        admission: Admission(3),
        incarnation: Incarnation(1_782_120_000_000),
    }
}

/// Member `n` of a large fleet, as it describes itself.
pub fn profile(n: u32) -> Arc<Profile> {
    let [_, a, b, c] = n.to_be_bytes();
    let name: NodeName = format!("convoke{}@10.{a}.{b}.{c}", n % 1000)
        .parse()
        .expect("a valid name");
    Arc::new(Profile {
        name,
        life: life(),
        instance: Instance::new(1_782_120_000_000, u64::from(n)),
        address: SocketAddr::from(([10, a, b, c], 4370)),
        rpc_port: 5370,
        version: "0.1.0".into(),
        side: None,
        tags: BTreeMap::new(),
    })
}
