//! Publishing one member's change to a view of many, while a reader holds the one before.

use convoke::LonePublisher;
use convoke_benches::crowd::{drain, engine};
use convoke_benches::profile;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn publish(c: &mut Criterion) {
    let mut group = c.benchmark_group("publish one change");
    for members in [100, 10_000, 100_000] {
        let mut engine = engine(members);
        drain(&mut engine);
        let mut publisher = LonePublisher::new(&engine);
        assert_eq!(publisher.view().members().count(), members as usize);
        let ids: Vec<_> = (0..members).map(|n| profile(n).id()).collect();
        let mut changed = ids.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(members), |b| {
            b.iter(|| {
                let held = publisher.view();
                let id = changed.next().expect("a cycle does not end");
                publisher.publish(&engine, *id);
                held
            });
        });
    }
    group.finish();
}

criterion_group!(benches, publish);
criterion_main!(benches);
