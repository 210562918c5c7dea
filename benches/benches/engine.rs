//! The engine's hot paths: what a node does for every packet and every piece of news.

use convoke_benches::crowd::{contact, drain, engine, flush, informed, packet, ping, renewed};
use convoke_core::message::{Message, Rumor};
use convoke_core::{Class, Instant};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};

const SIZES: [u32; 3] = [100, 10_000, 100_000];

/// A ping comes, and its answer is ready to be encoded.
fn handle_ping(c: &mut Criterion) {
    let mut group = c.benchmark_group("handle a ping");
    for members in SIZES {
        let mut engine = engine(members);
        let (prober, ping) = (contact(1), packet(&engine, [ping()]));
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
        let (mut engine, other) = (engine(members), engine(3));
        let teller = contact(1);
        let mut told = 0;
        let others = u64::from(members - 2);
        let mut next = || {
            told += 1;
            let n = 2 + u32::try_from(told % others).expect("fewer than the members");
            let news = Message::Rumor(Rumor::Alive(renewed(n, 1 + told / others)));
            packet(&other, [news])
        };
        group.bench_function(BenchmarkId::from_parameter(members), |b| {
            b.iter_batched(
                &mut next,
                |news| {
                    engine.handle_packet(Instant::ORIGIN, &teller, Class::Datagram, news);
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
    let informed = || informed(100);
    let sent = flush(&mut informed(), &mut Vec::new());
    assert!(sent > 0, "news is passed on");
    c.bench_function("pick and encode ten news", |b| {
        let mut buffer = Vec::new();
        b.iter_batched_ref(
            informed,
            |engine| flush(engine, &mut buffer),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, handle_ping, accept_update, spread);
criterion_main!(benches);
