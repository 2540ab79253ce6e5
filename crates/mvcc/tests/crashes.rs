//! Crashes on the simulated faulty disk: what was acknowledged is there, revisions are whole,
//! and what is there is a prefix of what was done.

use std::sync::Arc;

use crate::S;
use crate::model::Model;
use crate::soaking::{is_soak, seeds};
use cairn_mvcc::*;
use cairn_segment::{Log, LogConfig};
use cairn_vfs::{ManualClock, Rng, SeededRng, SimConfig, SimVfs, Vfs};

pub(crate) fn open(disk: &SimVfs, seed: u64, cramped: bool) -> Result<Store> {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    open_with(disk, seed, cramped, config)
}

pub(crate) fn open_with(
    disk: &SimVfs,
    seed: u64,
    cramped: bool,
    config: LogConfig,
) -> Result<Store> {
    let log = Log::options()
        .vfs(Arc::new(disk.clone()) as Arc<dyn Vfs>)
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(seed)))
        .config(config)
        .open()?;
    // With and without places of keys that are not in memory, from one life to the next.
    let hot_len = [0, 2 << 10, 1 << 20][(seed % 3) as usize];
    let tree = TreeOptions { hot_len, ..crate::cramped() };
    let tree = if cramped { tree } else { TreeOptions::default() };
    Store::open_with(log, Options { tree, ..Options::default() })
}

/// Tries one random write; whether it was acknowledged, and the model after it.
pub(crate) fn write(store: &Store, model: &Model, rng: &SeededRng) -> (bool, Model) {
    let mut after = model.clone();
    let key = |n: u64| format!("key{n}").into_bytes();
    let outcome = match rng.below(10) {
        0..5 => {
            let value = vec![7; usize::try_from(rng.below(300)).expect("small")];
            let key = key(rng.below(8));
            after.put_all(&[(key.clone(), value.clone(), 0)]);
            store.put(Put::new(S, key, value)).map(drop)
        }
        5..7 => {
            let keys: Vec<_> = (0..4).map(key).collect();
            let puts: Vec<_> = keys.iter().map(|key| (key.clone(), b"t".to_vec(), 0)).collect();
            after.put_all(&puts);
            let ops = keys.into_iter().map(|key| TxnOp::Put(Put::new(S, key, "t"))).collect();
            store.txn(&Txn { success: ops, ..Txn::default() }).map(drop)
        }
        7..9 => {
            let from = key(rng.below(8));
            after.delete(|key, _| key >= &from[..]);
            store.delete(&DeleteRange::new(S, Range::from_key(from))).map(drop)
        }
        _ if model.revision > model.oldest.max(1) + 3 => {
            after.oldest = model.revision - 2;
            store.compact(after.oldest).map(drop)
        }
        _ => Ok(()),
    };
    (outcome.is_ok(), after)
}

pub(crate) fn judge(store: &Store, candidates: &[Model]) -> Result<usize, String> {
    let revision = store.revision();
    let same = |model: &Model| {
        model.revision == revision && model.oldest == store.compact_revision() && {
            (model.oldest.max(1)..=revision).all(|at| {
                let request = RangeRequest::new(S, Range::all()).at(at);
                store.range(&request).is_ok_and(|found| model.same(at, &found.kvs).is_ok())
            })
        }
    };
    let found = candidates.iter().position(same);
    found.ok_or_else(|| {
        let revisions: Vec<_> = candidates.iter().map(|m| (m.revision, m.oldest)).collect();
        format!("revision {revision} compact {}: none of {revisions:?}", store.compact_revision())
    })
}

#[test]
fn m33_after_any_crash_the_state_is_a_prefix_of_what_was_acknowledged_or_tried() {
    let mut recoveries = 0;
    for seed in seeds(0..250) {
        let rng = SeededRng::new(seed);
        let disk = SimVfs::new(seed, SimConfig::default());
        let mut model = Model::new();
        for _ in 0..6 {
            let most = if seed % 3 == 0 { 60 } else { 300 };
            disk.crash_after(1 + rng.below(most));
            // States that a crash may leave: the acknowledged one, or with the write in flight.
            let mut possible = vec![model.clone()];
            if let Ok(store) = open(&disk, rng.next_u64(), seed % 3 != 0) {
                // Reading tables is an operation too: it may be the one that the crash comes in.
                let judged = judge(&store, &possible);
                assert!(judged.is_ok() || disk.is_down(), "seed {seed}: {judged:?}");
                for _ in 0..40 {
                    let (acknowledged, after) = write(&store, &model, &rng);
                    if acknowledged {
                        model = after;
                        possible = vec![model.clone()];
                    } else {
                        possible = vec![model.clone(), after];
                        break;
                    }
                }
                if rng.below(2) == 0 { disk.power_crash() } else { disk.process_crash() }
            } else {
                assert!(disk.is_down(), "seed {seed}: refused without a crash");
                disk.power_crash();
            }
            let store = open(&disk, rng.next_u64(), seed % 3 != 0).expect("recovers");
            let place = judge(&store, &possible).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            model = possible.swap_remove(place);
            recoveries += 1;
            // I7: the rebuilt view equals the live one.
            let hash = store.state_hash(0).expect("hashes");
            disk.process_crash();
            drop(store);
            let store = open(&disk, rng.next_u64(), seed % 3 != 0).expect("recovers");
            assert_eq!(store.state_hash(0).expect("hashes"), hash, "seed {seed}");
            drop(store);
        }
    }
    println!("total: crashes={recoveries} violations=0");
    assert!(is_soak() || recoveries == 1500, "{recoveries}");
}
