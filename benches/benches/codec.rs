//! Packets to bytes and back: the packet of every probe, and one that is full of news.

use std::hint::black_box;

use convoke_benches::{life, profile};
use convoke_core::codec::{decode, encode_into};
use convoke_core::message::{Ack, ClusterId, Failed, Message, Ping, Rumor, SeqNo};
use convoke_core::{Fingerprint, Packet};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn packet(messages: Vec<Message>) -> Packet {
    Packet {
        cluster: ClusterId(7).tag(),
        fingerprint: Fingerprint(0x9b1d_22aa_0f3c_7710),
        messages,
    }
}

/// A packet of news: ten newcomers, a leave, a verdict.
fn news() -> Packet {
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
    packet(rumors.into_iter().map(Message::Rumor).collect())
}

fn codec(c: &mut Criterion) {
    let ping = Message::Ping(Ping {
        seq: SeqNo(70_000),
        suspect: None,
    });
    let ack = Message::Ack(Ack {
        seq: SeqNo(70_000),
        absent: 0,
        turn: 17,
    });
    for (name, packet) in [
        ("ping", packet(vec![ping])),
        ("ack", packet(vec![ack])),
        ("news", news()),
    ] {
        let mut bytes = Vec::new();
        encode_into(&packet, &mut bytes);
        assert_eq!(
            decode(&bytes).as_ref(),
            Ok(&packet),
            "what is measured works"
        );
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut buffer = Vec::with_capacity(bytes.len());
        group.bench_function("encode", |b| {
            b.iter(|| {
                buffer.clear();
                encode_into(black_box(&packet), &mut buffer);
                buffer.len()
            });
        });
        group.bench_function("decode", |b| b.iter(|| decode(black_box(&bytes))));
        group.finish();
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
