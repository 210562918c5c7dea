//! Packets to bytes and back: the packet of every probe, and one that is full of news.

use std::hint::black_box;

use convoke_benches::crowd::{CLUSTER, news, ping};
use convoke_core::codec::{decode, encode_into};
use convoke_core::message::{Ack, Message, SeqNo};
use convoke_core::{Fingerprint, Packet};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn packet(message: Message) -> Packet {
    Packet {
        cluster: CLUSTER.tag(),
        fingerprint: Fingerprint(0x9b1d_22aa_0f3c_7710),
        messages: [message].into(),
    }
}

fn codec(c: &mut Criterion) {
    let ack = Message::Ack(Ack {
        seq: SeqNo(70_000),
        absent: 0,
        turn: 17,
    });
    for (name, packet) in [
        ("ping", packet(ping())),
        ("ack", packet(ack)),
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
