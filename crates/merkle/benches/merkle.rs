//! What a record costs in the tree, and what making and checking a proof costs.
//!
//! `CAIRN_LEAVES` sets the size of the tree that is proven from (1 million without it; 10 million
//! need 320 MB).

use std::hint::black_box;
use std::sync::Arc;

use cairn_merkle::chain;
use cairn_merkle::hash::{Hash, leaf_hash, node_hash};
use cairn_merkle::log::{
    MemTiles, TileReader, TiledTree, Tree, TreeHead, VfsTiles, consistency, inclusion, prove,
};
use cairn_merkle::note::{Checkpoint, KeyName, Note, Policy, SignatureKind, Signer};
use cairn_merkle::proof_file::{self, ProofFile};
use cairn_types::ChainHash;
use cairn_vfs::{SeededRng, StdVfs};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const BATCH: u64 = 10_000;

fn data(n: u64) -> [u8; 64] {
    let mut data = [7; 64];
    data[..8].copy_from_slice(&n.to_le_bytes());
    data
}

fn hashing(c: &mut Criterion) {
    let [left, right] = [1, 2].map(|n| leaf_hash(&data(n)));
    c.bench_function("hash/leaf of 64 B", |b| b.iter(|| leaf_hash(black_box(&data(3)))));
    c.bench_function("hash/node", |b| b.iter(|| node_hash(black_box(&left), black_box(&right))));
    c.bench_function("chain/next", |b| {
        b.iter(|| chain::next(black_box(&ChainHash::GENESIS), black_box(&left)));
    });
}

fn growing(c: &mut Criterion) {
    let mut group = c.benchmark_group("tree");
    group.throughput(Throughput::Elements(BATCH));
    let hashed = || (0..BATCH).map(|n| leaf_hash(&data(n)));
    group.bench_function("push with the leaf hash of 64 B", |b| {
        let mut tree = Tree::new();
        b.iter(|| hashed().map(|leaf| tree.push(leaf).expect("not full")).max());
    });
    let leaves: Vec<Hash> = hashed().collect();
    group.bench_function("extend by leaves", |b| {
        let mut tree = Tree::new();
        b.iter(|| tree.extend(&leaves).expect("not full"));
    });
    group.bench_function("hash and extend, tiles in memory", |b| {
        let mut tree = TiledTree::new(MemTiles::new());
        b.iter(|| {
            let leaves: Vec<Hash> = hashed().collect();
            tree.extend(&leaves).expect("not full");
        });
    });
    let dir = tempfile::tempdir().expect("a directory");
    group.bench_function("hash and extend, tiles in files", |b| {
        let vfs = Arc::new(StdVfs::open(dir.path()).expect("a directory"));
        let mut tree = TiledTree::new(VfsTiles::new(vfs, "tiles"));
        b.iter(|| {
            let leaves: Vec<Hash> = hashed().collect();
            tree.extend(&leaves).expect("not full");
        });
    });
    group.finish();
    let mut tree = Tree::new();
    tree.extend(&leaves).expect("not full");
    c.bench_function("tree/root", |b| b.iter(|| black_box(&tree).root()));
}

fn big_tree() -> (Arc<MemTiles>, TreeHead) {
    let size = std::env::var("CAIRN_LEAVES").map_or(1_000_000, |n| n.parse().expect("a number"));
    let tiles = Arc::new(MemTiles::new());
    let mut tree = TiledTree::new(tiles.clone());
    for n in 0..size {
        tree.push(leaf_hash(&data(n))).expect("not full");
    }
    (tiles, tree.publish().expect("memory takes everything"))
}

fn proving(c: &mut Criterion) {
    let (tiles, head) = big_tree();
    let TreeHead { size, root } = head;
    let rng = SeededRng::new(1);
    let mut reader = TileReader::open(tiles.clone(), head).expect("published");
    let m = size / 1_000_000;
    c.bench_function(&format!("prove/random entry of {m} M"), |b| {
        b.iter(|| prove::inclusion(&reader, rng.below(size), size).expect("in range"));
    });
    c.bench_function(&format!("prove/one of 1,000 recent entries of {m} M"), |b| {
        b.iter(|| prove::inclusion(&reader, size - 1 - rng.below(1000), size).expect("in range"));
    });
    c.bench_function(&format!("prove/random growth to {m} M"), |b| {
        b.iter(|| prove::consistency(&reader, 1 + rng.below(size), size).expect("in range"));
    });
    c.bench_function(&format!("prove/open a reader of {m} M and advance"), |b| {
        b.iter(|| {
            let mut reader = TileReader::open(&tiles, head).expect("published");
            reader.advance(head).expect("the same");
        });
    });
    reader.advance(head).expect("the same");
    let proof = prove::inclusion(&reader, size / 3, size).expect("in range");
    let leaf = leaf_hash(&data(size / 3));
    println!("a proof has {} hashes, {} bytes", proof.len(), proof.len() * 32);
    c.bench_function(&format!("verify/entry of {m} M"), |b| {
        b.iter(|| inclusion::verify(size / 3, size, &leaf, &proof, &root).expect("it is there"));
    });
    let old = TreeHead { size: size / 3, root: prove::root(&reader, size / 3).expect("in range") };
    let grown = prove::consistency(&reader, old.size, size).expect("in range");
    c.bench_function(&format!("verify/growth to {m} M"), |b| {
        b.iter(|| consistency::verify(&old, &head, &grown).expect("it grew"));
    });

    let name = KeyName::new("example.com/log").expect("a good name");
    let key = Signer::generate(name, SignatureKind::Ed25519, &rng);
    let checkpoint = Checkpoint::new("example.com/log", head).expect("good");
    c.bench_function("note/sign a checkpoint", |b| b.iter(|| checkpoint.sign(&key)));
    let note = checkpoint.sign(&key).expect("fits");
    let (text, policy) = (note.to_string(), Policy::new("example.com/log", vec![key.verifier()]));
    c.bench_function("note/parse and verify a checkpoint", |b| {
        b.iter(|| policy.check(&Note::parse(text.as_bytes()).expect("a note")).expect("signed"));
    });
    let file = ProofFile::new(size / 3, proof, note).expect("fits").to_string();
    println!("a proof file has {} bytes", file.len());
    let keys = [key.verifier()];
    c.bench_function("proof file/verify", |b| {
        b.iter(|| proof_file::verify(file.as_bytes(), &leaf, &keys, "example.com/log"));
    });
    c.bench_function("proof file/parse", |b| b.iter(|| ProofFile::parse(file.as_bytes())));
}

criterion_group!(benches, hashing, growing, proving);
criterion_main!(benches);
