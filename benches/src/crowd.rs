//! An engine in a cluster of many members, as its own inputs make it.

use std::sync::Arc;

use convoke_core::message::{ClusterId, Contact, Message, Packet, Rumor};
use convoke_core::{Class, Config, Engine, Instant, Membership, Output, Profile, Start};

use crate::{life, profile};

/// The cluster.
pub const CLUSTER: ClusterId = ClusterId(7);

/// Member 0 of a cluster of so many, to whom member 1 has named all others. Time stands still: no
/// timer has expired since.
pub fn engine(members: u32) -> Engine {
    let own = profile(0);
    let start = Start {
        name: own.name.clone(),
        address: own.address,
        rpc_port: own.rpc_port,
        instance: own.instance,
        version: own.version.clone(),
        tags: own.tags.clone(),
        cluster_name: "convoke".into(),
        membership: Membership {
            cluster: CLUSTER,
            admission: life().admission,
            admitted: true,
            incarnation: life().incarnation,
            discovery: false,
            withdrawn: false,
        },
        contacts: Vec::new(),
        tombstones: Vec::new(),
    };
    let mut engine = Engine::new(Config::lan(), start, 1, Instant::ORIGIN);
    for n in 1..members {
        tell(&mut engine, profile(n));
        drain(&mut engine);
    }
    assert_eq!(engine.size(), members as usize, "all were taken in");
    engine
}

/// Member 1 says this of a member.
pub fn tell(engine: &mut Engine, profile: Arc<Profile>) {
    let news = packet(engine, vec![Message::Rumor(Rumor::Alive(profile))]);
    engine.handle_packet(Instant::ORIGIN, &contact(1), Class::Datagram, news);
}

/// A packet of somebody who holds the same members.
pub fn packet(engine: &Engine, messages: Vec<Message>) -> Packet {
    Packet {
        cluster: CLUSTER.tag(),
        fingerprint: engine.fingerprint(),
        messages,
    }
}

/// Member `n` as others reach it.
pub fn contact(n: u32) -> Contact {
    let profile = profile(n);
    Contact {
        name: profile.name.clone(),
        address: profile.address,
    }
}

/// Takes all that the engine wants done. Returns when it wants to be called next.
pub fn drain(engine: &mut Engine) -> Option<Instant> {
    loop {
        if let Output::Timeout(next) = engine.poll_output() {
            return next;
        }
    }
}
