//! The first step of a comparison, over clusters of several sizes: it walks all that is held. And
//! whole comparisons of two engines, at the price of what differs.

use std::hint::black_box;

use convoke_benches::comparison::{apart, compare, items, question};
use convoke_core::reconcile::opening;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

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

fn differences(c: &mut Criterion) {
    const MEMBERS: u32 = 10_000;
    let mut group = c.benchmark_group("compare 10000");
    group.sample_size(10);
    let question = question(MEMBERS);
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
