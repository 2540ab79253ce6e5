//! Crashes during flushes, merges and edits of the manifest, on the simulated faulty disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_lsm::Batch;
use cairn_vfs::{Rng, SeededRng, SimConfig, SimVfs};

use crate::soaking::{is_soak, seeds};
use crate::{all, open};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn batch(rng: &SeededRng, map: &Map) -> (Batch, Map) {
    let (mut batch, mut after) = (Batch::new(), map.clone());
    for _ in 0..1 + rng.below(12) {
        let key = format!("k{:02}", rng.below(60)).into_bytes();
        if rng.below(4) == 0 {
            batch.delete(&key);
            after.remove(&key);
        } else {
            let value = vec![b'x'; rng.below(50) as usize];
            batch.put(&key, &value);
            after.insert(key, value);
        }
    }
    (batch, after)
}

#[test]
fn after_any_crash_the_acknowledged_batches_are_there_and_no_half_of_another() {
    let (mut recoveries, mut flushed) = (0, 0);
    for seed in seeds(0..150) {
        let rng = SeededRng::new(seed);
        let disk = SimVfs::new(seed, SimConfig::default());
        let mut map = Map::new();
        for _ in 0..6 {
            disk.crash_after(1 + rng.below(160));
            let mut possible = vec![map.clone()];
            if let Ok(tree) = open(Arc::new(disk.clone()), rng.next_u64()) {
                for _ in 0..60 {
                    let (batch, after) = batch(&rng, &map);
                    if tree.write(&batch).is_ok() {
                        map = after;
                        possible = vec![map.clone()];
                    } else {
                        possible = vec![map.clone(), after];
                        break;
                    }
                    if rng.below(20) == 0 && tree.merge_all().is_err() {
                        break;
                    }
                }
                flushed += tree.stats().table_count;
                if rng.below(2) == 0 { disk.power_crash() } else { disk.process_crash() }
            } else {
                assert!(disk.is_down(), "seed {seed}: refused without a crash");
                disk.power_crash();
            }
            let tree = open(Arc::new(disk.clone()), rng.next_u64());
            let tree = tree.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let found: Map = all(&tree).into_iter().collect();
            assert!(possible.contains(&found), "seed {seed}: neither before nor after");
            assert_eq!(tree.count(..).expect("counts"), found.len() as u64, "seed {seed}");
            tree.verify().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            map = found;
            recoveries += 1;
        }
    }
    println!("total: crashes={recoveries} tables={flushed} violations=0");
    assert!(is_soak() || recoveries == 900, "{recoveries}");
    assert!(is_soak() || flushed > 500, "tables were there when it crashed: {flushed}");
}

#[test]
fn a_flush_or_merge_that_fails_leaves_no_table_behind_and_can_be_done_again() {
    let disk = SimVfs::new(3, SimConfig::default());
    let tree = open(Arc::new(disk.clone()), 3).expect("opens");
    let tables = || disk.paths().iter().filter(|path| path.ends_with(".table")).count();
    let mut failed = 0;
    for round in 0..40_u32 {
        for n in 0..20_u32 {
            tree.put(&(n * 7 % 60).to_le_bytes(), &round.to_le_bytes()).expect("puts");
        }
        disk.set_config(SimConfig { write_error: 40_000, ..SimConfig::default() });
        let compacted = tree.merge_all();
        disk.set_config(SimConfig::default());
        failed += u32::from(compacted.is_err());
        assert_eq!(tables() as u64, tree.stats().table_count, "round {round}: {compacted:?}");
    }
    assert!(failed > 10, "{failed}");
    tree.merge_all().expect("the disk is well again");
    tree.verify().expect("whole");
    assert_eq!(tables() as u64, tree.stats().table_count, "no table is left over");
    assert_eq!(all(&tree).len(), 20);
}
