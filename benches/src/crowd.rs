//! An engine in a cluster of many members, as its own inputs make it.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use convoke_core::codec::encode_into;
use convoke_core::message::{
    ClusterId, Contact, Failed, Message, Messages, Packet, Ping, Rumor, SeqNo,
};
use convoke_core::{
    Class, Config, Engine, Fingerprint, Incarnation, Instant, Membership, Output, Profile, Start,
};

use crate::{life, profile};

/// The cluster.
pub const CLUSTER: ClusterId = ClusterId(7);
/// How many news [`informed`] has to pass on.
pub const NEWS: u32 = 10;
/// News is on its way by then.
const FLUSHED: Duration = Duration::from_millis(50);

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
            down: false,
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

/// Member 0 of a cluster of so many, who has told all it knew, and was just told [`NEWS`] news.
pub fn informed(members: u32) -> Engine {
    let mut engine = engine(members);
    flush(&mut engine, &mut Vec::new());
    (2..2 + NEWS).for_each(|n| tell(&mut engine, renewed(n, 1)));
    engine
}

/// What member `n` says of itself after so many refutations.
pub fn renewed(n: u32, times: u64) -> Arc<Profile> {
    let mut profile = (*profile(n)).clone();
    profile.life.incarnation = Incarnation(profile.life.incarnation.0 + times);
    Arc::new(profile)
}

/// A probe.
pub fn ping() -> Message {
    Message::Ping(Ping {
        seq: SeqNo(70_000),
        suspect: None,
    })
}

/// A packet of twelve news: ten newcomers, a leave, a verdict.
pub fn news() -> Packet {
    let mut rumors: Vec<Rumor> = (1..=10).map(|n| Rumor::Alive(profile(n))).collect();
    rumors.push(Rumor::Left {
        id: profile(11).id(),
        life: life(),
    });
    let (id, by) = (profile(12).id(), profile(13).id());
    rumors.push(Rumor::Failed(Failed {
        id,
        life: life(),
        by,
        accusers: 4,
        doubtful: false,
        refused: false,
        heard: false,
    }));
    Packet {
        cluster: CLUSTER.tag(),
        fingerprint: Fingerprint(0x9b1d_22aa_0f3c_7710),
        messages: rumors.into_iter().map(Message::Rumor).collect(),
    }
}

/// Member 1 says this of a member.
pub fn tell(engine: &mut Engine, profile: Arc<Profile>) {
    let news = packet(engine, [Message::Rumor(Rumor::Alive(profile))]);
    engine.handle_packet(Instant::ORIGIN, &contact(1), Class::Datagram, news);
}

/// A packet of somebody who holds the same members.
pub fn packet(engine: &Engine, messages: impl Into<Messages>) -> Packet {
    Packet {
        cluster: CLUSTER.tag(),
        fingerprint: engine.fingerprint(),
        messages: messages.into(),
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

/// Lets the engine pass on what is fresh: picked, packed, and encoded for each receiver. Returns how
/// many packets went.
pub fn flush(engine: &mut Engine, buffer: &mut Vec<u8>) -> usize {
    let mut sent = 0;
    loop {
        match engine.poll_output() {
            Output::Transmit(transmit) => {
                buffer.clear();
                encode_into(black_box(&transmit.packet), buffer);
                sent += 1;
            }
            Output::Timeout(Some(due)) if due < Instant::ORIGIN + FLUSHED => {
                engine.handle_timeout(due);
            }
            Output::Timeout(_) => return sent,
            _ => {}
        }
    }
}
