//! The raw costs that the log is built on: small writes with and without a sync.

use cairn_vfs::{OpenMode, StdVfs, Vfs};
use criterion::{Criterion, criterion_group, criterion_main};

fn disk(c: &mut Criterion) {
    let dir = tempfile::tempdir_in(".").expect("a directory on the disk");
    let vfs = StdVfs::open(dir.path()).expect("opens");
    let file = vfs.open("a", OpenMode::Create).expect("opens");
    file.allocate(0, 64 << 20).expect("room");
    file.write_zeroes(0, 64 << 20).expect("room");
    file.sync_all().expect("syncs");
    let mut position = 0;
    let mut next = move || {
        position = (position + 230) % (60 << 20);
        position
    };
    c.bench_function("write 230 B, not synced", |b| {
        b.iter(|| file.write_all_at(next(), &[7; 230]));
    });
    c.bench_function("write 230 B and sync", |b| {
        b.iter(|| {
            file.write_all_at(0, &[7; 230]).expect("writes");
            file.sync_data().expect("syncs");
        });
    });
}

criterion_group!(benches, disk);
criterion_main!(benches);
