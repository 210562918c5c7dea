//! The hot paths, each as a small program.

use std::hint::black_box;

use convoke::LonePublisher;
use convoke_core::codec::{decode, encode_into};
use convoke_core::message::{Contact, Message, Packet, Rumor};
use convoke_core::reconcile::opening;
use convoke_core::{Class, Engine, Instant};

use crate::comparison::{self, apart, items, question};
use crate::crowd::{contact, drain, engine, flush, informed, news, packet, ping, renewed};
use crate::profile;

/// Members of a cluster, where it does not matter how many.
const MEMBERS: u32 = 1000;
/// More members than rumors fit into the queue.
const CROWD: u32 = 20_000;

/// Something that a node does over and over.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// What.
    pub name: &'static str,
    /// How often it is done, so that what is rare has its share.
    pub turns: u32,
    walk: fn(u32),
}

/// All paths.
pub const PATHS: [Path; 13] = [
    path("decode a ping", 100, |turns| {
        decode_packet(turns, &a_ping());
    }),
    path("encode a ping", 100, |turns| {
        encode_packet(turns, &a_ping());
    }),
    path("decode twelve news", 20, |turns| {
        decode_packet(turns, &news());
    }),
    path("encode twelve news", 20, |turns| {
        encode_packet(turns, &news());
    }),
    path("handle a ping", 100, handle_ping),
    path("accept an update", 100, |turns| {
        accept_update(turns, MEMBERS);
    }),
    path("accept an update, the queue full", 1000, |turns| {
        accept_update(turns, CROWD);
    }),
    path("pick and encode ten news", 10, spread),
    path("publish one change of 100", 50, |turns| {
        publish(turns, 100);
    }),
    path("publish one change of 10000", 200, |turns| {
        publish(turns, 10_000);
    }),
    path("begin a comparison", 20, begin_comparison),
    path("compare, 1 difference", 1, |_| {
        compare(1);
    }),
    path("compare, 900 differences", 1, |_| {
        compare(900);
    }),
];

const fn path(name: &'static str, turns: u32, walk: fn(u32)) -> Path {
    Path { name, turns, walk }
}

impl Path {
    /// The path of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        PATHS.into_iter().find(|path| path.name == name)
    }

    /// Walks it.
    pub fn walk(self) {
        (self.walk)(self.turns);
    }
}

/// What is counted: everything that is called from here. Never inlined, and by this name alone
/// called so: the counter knows it by that.
#[inline(never)]
fn measured(turn: &mut dyn FnMut()) {
    turn();
}

fn a_ping() -> Packet {
    packet(&engine(2), [ping()])
}

fn decode_packet(turns: u32, packet: &Packet) {
    let mut bytes = Vec::new();
    encode_into(packet, &mut bytes);
    for _ in 0..turns {
        measured(&mut || drop(black_box(decode(black_box(&bytes)))));
    }
}

fn encode_packet(turns: u32, packet: &Packet) {
    let mut out = Vec::with_capacity(2000);
    for _ in 0..turns {
        out.clear();
        measured(&mut || encode_into(black_box(packet), &mut out));
    }
}

fn handle_ping(turns: u32) {
    let (mut engine, prober) = (engine(MEMBERS), contact(1));
    // It looks for its neighbours first.
    let first = packet(&engine, [ping()]);
    engine.handle_packet(Instant::ORIGIN, &prober, Class::Datagram, first);
    drain(&mut engine);
    for _ in 0..turns {
        let ping = packet(&engine, [ping()]);
        handle(&mut engine, &prober, ping);
    }
}

fn accept_update(turns: u32, members: u32) {
    let (mut engine, teller) = (engine(members), contact(1));
    for n in 0..turns {
        let update = Rumor::Alive(renewed(2 + n, 1));
        let news = packet(&engine, [Message::Rumor(update)]);
        handle(&mut engine, &teller, news);
    }
}

/// Hands one packet in, and takes what comes of it.
fn handle(engine: &mut Engine, from: &Contact, packet: Packet) {
    let mut packet = Some(packet);
    measured(&mut || {
        let packet = packet.take().expect("measured once");
        engine.handle_packet(Instant::ORIGIN, from, Class::Datagram, packet);
        drain(engine);
    });
}

fn spread(turns: u32) {
    let mut buffer = Vec::with_capacity(2000);
    for _ in 0..turns {
        let mut engine = informed(100);
        measured(&mut || {
            flush(&mut engine, &mut buffer);
        });
    }
}

fn publish(turns: u32, members: u32) {
    let mut engine = engine(members);
    drain(&mut engine);
    let mut publisher = LonePublisher::new(&engine);
    for n in 0..turns {
        let held = publisher.view();
        let id = profile(n * 7 % members).id();
        measured(&mut || publisher.publish(&engine, id));
        drop(held);
    }
}

fn begin_comparison(turns: u32) {
    let items = items(MEMBERS);
    for _ in 0..turns {
        measured(&mut || drop(black_box(opening(black_box(items.as_slice())))));
    }
}

fn compare(differences: u32) {
    let (mut engines, mut question) = (apart(MEMBERS, differences), Some(question(MEMBERS)));
    measured(&mut || {
        let question = question.take().expect("measured once");
        comparison::compare(&mut engines, question);
    });
}
