//! The first step of a comparison, over clusters of several sizes: it walks all that is held.

use std::hint::black_box;

use convoke_benches::{life, profile};
use convoke_core::NodeId;
use convoke_core::member::Standing;
use convoke_core::reconcile::opening;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

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

criterion_group!(benches, reconcile);
criterion_main!(benches);
