//! The first step of a comparison, over clusters of several sizes: it walks all that is held. And
//! whole comparisons of two engines, at the price of what differs.

use std::hint::black_box;
use std::sync::Arc;

use convoke_benches::crowd::{CLUSTER, contact, drain, engine, packet, tell};
use convoke_benches::{life, profile};
use convoke_core::member::Standing;
use convoke_core::message::{Compare, Message};
use convoke_core::reconcile::opening;
use convoke_core::{Class, Engine, Incarnation, Instant, NodeId, Output};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn items(members: u32) -> Vec<(NodeId, Standing)> {
    let mut items: Vec<_> = (0..members)
        .map(|n| (profile(n).id(), Standing::alive(life())))
        .collect();
    items.sort_unstable_by_key(|(id, _)| *id);
    items
}

fn reconcile(c: &mut Criterion) {
    let mut group = c.benchmark_group("opening");
    for members in [100, 1_000, 10_000] {
        let items = items(members);
        group.throughput(Throughput::Elements(u64::from(members)));
        group.bench_function(BenchmarkId::from_parameter(members), |b| {
            b.iter(|| opening(black_box(items.as_slice())));
        });
    }
    group.finish();
}

/// Two engines that hold the same, but for so many lives that only the first knows.
fn apart(members: u32, differences: u32) -> [Engine; 2] {
    let [mut one, other] = [engine(members), engine(members)];
    for n in 2..2 + differences {
        let mut news = (*profile(n)).clone();
        news.life.incarnation = Incarnation(news.life.incarnation.0 + 1);
        tell(&mut one, Arc::new(news));
        drain(&mut one);
    }
    [one, other]
}

/// The question that the second one asks the first, and all that follows. Both engines are member 0
/// and take each other for member 1.
fn compare(engines: &mut [Engine; 2], question: Message) {
    let (mut to, mut asked) = (0, vec![question]);
    while !asked.is_empty() {
        let said = packet(&engines[to], std::mem::take(&mut asked));
        engines[to].handle_packet(Instant::ORIGIN, &contact(1), Class::Reliable, said);
        asked = answers(&mut engines[to]);
        to = 1 - to;
    }
}

/// What belongs to the comparison. News waits for its timers, which nobody calls.
fn answers(engine: &mut Engine) -> Vec<Message> {
    let mut answers = Vec::new();
    loop {
        match engine.poll_output() {
            Output::Transmit(transmit) => answers.extend(transmit.packet.messages),
            Output::Timeout(_) => return answers,
            _ => {}
        }
    }
}

fn differences(c: &mut Criterion) {
    const MEMBERS: u32 = 10_000;
    let mut group = c.benchmark_group("compare 10000");
    group.sample_size(10);
    let question = Message::Compare(Compare {
        cluster: CLUSTER,
        ranges: opening(items(MEMBERS).as_slice()),
    });
    for differences in [1, 1_000] {
        let mut engines = apart(MEMBERS, differences);
        compare(&mut engines, question.clone());
        let [one, other] = engines.map(|engine| engine.fingerprint());
        assert_eq!(one, other, "a comparison makes them equal");
        group.throughput(Throughput::Elements(u64::from(differences)));
        group.bench_function(BenchmarkId::from_parameter(differences), |b| {
            b.iter_batched_ref(
                || apart(MEMBERS, differences),
                |engines| compare(engines, question.clone()),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, reconcile, differences);
criterion_main!(benches);
