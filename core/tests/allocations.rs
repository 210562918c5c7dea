//! What a probe costs in memory: every member gets about one a second and answers it, and none of
//! them allocates anything.

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use convoke_core::codec::{decode, encode, encode_into};
use convoke_core::message::{Contact, Message, Packet, Ping, Rumor, SeqNo};
use convoke_core::{
    Admission, Class, ClusterId, Config, Engine, Incarnation, Instance, Instant, Life, Membership,
    Output, Profile, Start,
};

const MEMBERS: u32 = 100;
const PROBES: u32 = 1000;

fn member(n: u32) -> Arc<Profile> {
    Arc::new(Profile {
        name: format!("n{n}@10.0.0.1").parse().expect("a valid name"),
        life: Life {
            admission: Admission(1),
            incarnation: Incarnation(1),
        },
        instance: Instance::new(1, u64::from(n)),
        address: "10.0.0.1:4370".parse().expect("a valid address"),
        rpc_port: 5370,
        version: "0.1.0".into(),
        side: None,
        tags: [].into(),
    })
}

fn contact(n: u32) -> Contact {
    let profile = member(n);
    Contact {
        name: profile.name.clone(),
        address: profile.address,
    }
}

fn packet(engine: &Engine, message: Message) -> Packet {
    Packet {
        cluster: engine.membership().cluster.tag(),
        fingerprint: engine.fingerprint(),
        messages: [message].into(),
    }
}

/// Member 0, to whom member 1 has named the others.
fn engine() -> Engine {
    let own = member(0);
    let start = Start {
        name: own.name.clone(),
        address: own.address,
        rpc_port: own.rpc_port,
        instance: Instance::new(1, 0),
        version: own.version.clone(),
        tags: own.tags.clone(),
        cluster_name: "convoke".into(),
        membership: Membership::founding(ClusterId(7), own.life.incarnation, false),
        contacts: Vec::new(),
        tombstones: Vec::new(),
    };
    let mut engine = Engine::new(Config::lan(), start, 1, Instant::ORIGIN);
    for n in 1..MEMBERS {
        let news = packet(&engine, Message::Rumor(Rumor::Alive(member(n))));
        engine.handle_packet(Instant::ORIGIN, &contact(1), Class::Datagram, news);
    }
    engine
}

/// Writes what the engine sends into `out`, one packet over the other.
fn write_output(engine: &mut Engine, out: &mut Vec<u8>) {
    loop {
        match engine.poll_output() {
            Output::Transmit(transmit) => {
                out.clear();
                encode_into(&transmit.packet, out);
            }
            Output::Timeout(_) => return,
            _ => {}
        }
    }
}

#[test]
fn a_ping_is_read_answered_and_written_without_an_allocation() {
    let (mut engine, prober) = (engine(), contact(1));
    let (seq, suspect) = (SeqNo(70_000), None);
    let ping = encode(&packet(&engine, Message::Ping(Ping { seq, suspect })));
    let mut out = Vec::with_capacity(1200);
    write_output(&mut engine, &mut out);
    let mut now = Instant::ORIGIN;
    let mut answer = || {
        now += Duration::from_millis(1);
        let packet = decode(&ping).unwrap();
        engine.handle_packet(now, &prober, Class::Datagram, packet);
        write_output(&mut engine, &mut out);
    };
    // Queues find their size.
    answer();
    let allocated = measure(|| (0..PROBES).for_each(|_| answer()));
    assert_eq!(allocated.count_total, 0, "{allocated:?}");
    let answered = decode(&out).unwrap().messages;
    assert!(
        matches!(&answered[..], [Message::Ack(ack)] if ack.seq == seq),
        "{answered:?}"
    );
}

#[test]
fn news_are_seen_to_allocate() {
    let news = encode(&packet(&engine(), Message::Rumor(Rumor::Alive(member(1)))));
    let allocated = measure(|| drop(decode(&news)));
    assert!(
        allocated.count_total > 0,
        "the counter counts: {allocated:?}"
    );
    assert!(
        allocated.count_total <= 3,
        "a name, a version, a profile: {allocated:?}"
    );
}
