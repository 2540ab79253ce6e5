//! Validating a name and parsing a time: both run once per request at the edges.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

fn names(c: &mut Criterion) {
    c.bench_function("topic name of 20 bytes", |b| {
        b.iter(|| cairn_types::Topic::new(black_box("orders.europe-west-1")));
    });
    c.bench_function("parse RFC 3339", |b| {
        b.iter(|| black_box("2026-11-21T08:30:00.123456Z").parse::<cairn_types::Timestamp>());
    });
}

criterion_group!(benches, names);
criterion_main!(benches);
