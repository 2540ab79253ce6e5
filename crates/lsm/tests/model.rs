//! Random work compared with a plain map, with snapshots, counts, both directions and reopens.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use cairn_lsm::{Batch, LsmTree, Snapshot};
use cairn_vfs::{MemVfs, Rng, SeededRng};

use crate::{all, open};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn key(rng: &SeededRng, spread: u64) -> Vec<u8> {
    format!("key/{:03}", rng.below(spread)).into_bytes()
}

fn change(tree: &LsmTree, map: &mut Map, rng: &SeededRng, spread: u64) {
    match rng.below(12) {
        0..6 => {
            let (key, value) = (key(rng, spread), vec![b'v'; rng.below(60) as usize]);
            tree.put(&key, &value).expect("puts");
            map.insert(key, value);
        }
        6..8 => {
            let key = key(rng, spread);
            tree.delete(&key).expect("deletes");
            map.remove(&key);
        }
        8..11 => {
            let mut batch = Batch::new();
            for _ in 0..rng.below(20) {
                let (key, value) = (key(rng, spread), rng.next_u64().to_le_bytes().to_vec());
                batch.put(&key, &value);
                map.insert(key, value);
            }
            tree.write(&batch).expect("writes");
        }
        _ => {
            let (start, end) = (key(rng, spread), key(rng, spread));
            let expected = map.range(start.clone()..).take_while(|(key, _)| **key < end).count();
            assert_eq!(tree.delete_range(&start, &end).expect("deletes"), expected as u64);
            map.retain(|key, _| *key < start || *key >= end);
        }
    }
}

fn check(tree: &LsmTree, map: &Map, rng: &SeededRng, spread: u64) {
    let probe = key(rng, spread);
    assert_eq!(tree.get(&probe).expect("gets").as_deref(), map.get(&probe).map(|v| &v[..]));
    let (start, end) = (key(rng, spread), key(rng, spread));
    let range = (Bound::Excluded(&start[..]), Bound::Included(&end[..]));
    let expected: Vec<_> = match start < end {
        true => map.range::<[u8], _>(range).collect(),
        false => Vec::new(),
    };
    assert_eq!(tree.count(range).expect("counts"), expected.len() as u64, "count");
    let found: Vec<_> = tree.scan(range).map(|f| f.expect("reads")).collect();
    let pairs = |(key, value): &(bytes::Bytes, bytes::Bytes)| (key.to_vec(), value.to_vec());
    let forward: Vec<_> = found.iter().map(pairs).collect();
    let wanted: Vec<_> = expected.iter().map(|(k, v)| ((*k).clone(), (*v).clone())).collect();
    assert_eq!(forward, wanted, "forward");
    let back = tree.scan(range).rev().map(|f| f.expect("reads"));
    let mut back: Vec<_> = back.map(|pair| pairs(&pair)).collect();
    back.reverse();
    assert_eq!(back, wanted, "backward");
}

fn run(seed: u64, spread: u64, rounds: u64) {
    let rng = SeededRng::new(seed);
    let disk = MemVfs::new();
    let mut map = Map::new();
    let mut tree = open(Arc::new(disk.clone()), seed).expect("opens");
    let mut snapshots: Vec<(Snapshot, Map)> = Vec::new();
    for round in 0..rounds {
        change(&tree, &mut map, &rng, spread);
        if round % 7 == 0 {
            check(&tree, &map, &rng, spread);
        }
        match rng.below(60) {
            0 => snapshots.push((tree.snapshot(), map.clone())),
            1 => snapshots.retain(|_| rng.below(2) == 0),
            2 => tree.flush().expect("flushes"),
            3 => tree.merge_all().expect("merges"),
            4 => {
                snapshots.clear();
                if rng.below(2) == 0 {
                    tree.close().expect("closes");
                }
                drop(tree);
                tree = open(Arc::new(disk.clone()), rng.next_u64()).expect("opens again");
            }
            _ => {}
        }
        for (snapshot, then) in &snapshots {
            let probe = key(&rng, spread);
            let found = snapshot.get(&probe).expect("gets");
            assert_eq!(found.as_deref(), then.get(&probe).map(|v| &v[..]), "seed {seed}");
        }
    }
    for (snapshot, then) in &snapshots {
        let found = snapshot.scan(..).map(|found| found.expect("reads"));
        let found: Map = found.map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        assert_eq!(&found, then, "seed {seed}: a snapshot repeats itself");
    }
    assert_eq!(all(&tree), map.into_iter().collect::<Vec<_>>(), "seed {seed}");
    tree.verify().expect("all tables are well");
}

#[test]
fn random_work_is_as_in_a_plain_map() {
    for seed in 0..24 {
        run(seed, 40, 400);
    }
    for seed in 100..110 {
        run(seed, 900, 700);
    }
}
