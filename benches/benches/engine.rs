//! The engine's hot paths: what a node does for every packet and every piece of news.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use convoke_benches::crowd::{contact, drain, engine, packet, tell};
use convoke_benches::profile;
use convoke_core::codec::encode_into;
use convoke_core::message::{Message, Ping, SeqNo};
use convoke_core::{Class, Engine, Incarnation, Instant, Output, Profile};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};

const SIZES: [u32; 3] = [100, 10_000, 100_000];
/// What is told at once before it is passed on.
const NEWS: u32 = 10;
/// News is on its way by then.
const FLUSHED: Duration = Duration::from_millis(50);

/// What member `n` says of itself after so many refutations.
fn renewed(n: u32, times: u64) -> Arc<Profile> {
    let mut profile = (*profile(n)).clone();
    profile.life.incarnation = Incarnation(profile.life.incarnation.0 + times);
    Arc::new(profile)
}

/// A ping comes, and its answer is ready to be encoded.
fn handle_ping(c: &mut Criterion) {
    let mut group = c.benchmark_group("handle a ping");
    for members in SIZES {
        let mut engine = engine(members);
        let (prober, ping) = (
            contact(1),
            Message::Ping(Ping {
                seq: SeqNo(70_000),
                suspect: None,
            }),
        );
        let ping = packet(&engine, vec![ping]);
        group.bench_function(BenchmarkId::from_parameter(members), |b| {
            b.iter_batched(
                || ping.clone(),
                |ping| {
                    engine.handle_packet(Instant::ORIGIN, &prober, Class::Datagram, ping);
                    drain(&mut engine)
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// A member's new life comes, is taken over and waits to be passed on.
fn accept_update(c: &mut Criterion) {
    let mut group = c.benchmark_group("accept an update");
    for members in SIZES {
        let mut engine = engine(members);
        let mut told = 0;
        let others = u64::from(members - 2);
        let mut next = || {
            told += 1;
            let n = 2 + u32::try_from(told % others).expect("fewer than the members");
            renewed(n, 1 + told / others)
        };
        group.bench_function(BenchmarkId::from_parameter(members), |b| {
            b.iter_batched(
                &mut next,
                |profile| {
                    tell(&mut engine, profile);
                    drain(&mut engine)
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Everything that is due when ten news have come: picked, packed, and encoded for each receiver.
fn spread(c: &mut Criterion) {
    let informed = || {
        let mut engine = engine(100);
        (2..2 + NEWS).for_each(|n| tell(&mut engine, renewed(n, 1)));
        engine
    };
    assert!(
        flush(&mut informed(), &mut Vec::new()) > 0,
        "news is passed on"
    );
    c.bench_function("pick and encode ten news", |b| {
        let mut buffer = Vec::new();
        b.iter_batched_ref(
            informed,
            |engine| flush(engine, &mut buffer),
            BatchSize::LargeInput,
        );
    });
}

/// How many packets went.
fn flush(engine: &mut Engine, buffer: &mut Vec<u8>) -> usize {
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

criterion_group!(benches, handle_ping, accept_update, spread);
criterion_main!(benches);
