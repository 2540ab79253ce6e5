//! Planted bugs of signing: a checkpoint that leaves the process must be kept by the log for
//! ever. The check that finds it broken must find it when the guards are taken away.

use std::sync::Arc;

use cairn_codec::CodecRegistry;
use cairn_engine::proof::mutation::Mutation;
use cairn_engine::{Engine, NewEvent, TopicConfig};
use cairn_merkle::log::{TreeHead, consistency};
use cairn_segment::{Log, LogConfig};
use cairn_types::{Durability, Lsn};
use cairn_vfs::{ManualClock, SeededRng, SimConfig, SimVfs, Vfs};

const SEEDS: u64 = 20;

fn open(disk: &SimVfs, seed: u64) -> Engine {
    let config =
        LogConfig { background: false, durability: Durability::Buffered, ..LogConfig::default() };
    let log = Log::options()
        .vfs(Arc::new(disk.clone()))
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(seed)))
        .config(config);
    Engine::options().log(log).open().expect("opens")
}

fn fill(engine: &Engine, rng: &SeededRng, count: u64) {
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    for _ in 0..count {
        let text = format!("{}", rng.below(u64::MAX));
        engine.append("t", NewEvent::text(text)).expect("appends");
    }
}

/// The newest head, signed with or without a planted bug; nothing when that is refused.
fn sign(engine: &Engine, mutation: Option<Mutation>) -> Option<TreeHead> {
    let proofs = engine.proofs().expect("opens");
    if let Some(mutation) = mutation {
        proofs.plant(mutation).expect("plants");
    }
    proofs.checkpoint().ok().map(|signed| signed.head)
}

/// Whether the log still begins with every head that was handed out.
fn keeps(engine: &Engine, heads: &[TreeHead]) -> bool {
    let proofs = engine.proofs().expect("opens");
    proofs.catch_up().expect("catches up");
    let head = proofs.head().expect("a head");
    heads.iter().all(|old| {
        old.size <= head.size
            && proofs
                .consistency(old.size, head.size)
                .is_ok_and(|proof| consistency::verify(old, &head, &proof).is_ok())
    })
}

/// Signs, writes without a sync, signs, and loses power.
fn signs_and_loses_power(seed: u64, mutation: Option<Mutation>) -> bool {
    let (disk, rng) = (SimVfs::new(seed, SimConfig::default()), SeededRng::new(seed));
    let engine = open(&disk, seed);
    fill(&engine, &rng, 20);
    let mut heads: Vec<_> = sign(&engine, mutation).into_iter().collect();
    fill(&engine, &rng, 1 + rng.below(20));
    heads.extend(sign(&engine, mutation));
    disk.power_crash();
    drop(engine);
    disk.power_crash();
    keeps(&open(&disk, seed), &heads)
}

/// Signs, is rolled back by somebody, goes on with another past, and signs again.
fn is_rolled_back_and_signs(seed: u64, mutation: Option<Mutation>) -> bool {
    let (disk, rng) = (SimVfs::new(seed, SimConfig::default()), SeededRng::new(seed));
    let engine = open(&disk, seed);
    fill(&engine, &rng, 60);
    let mut heads: Vec<_> = sign(&engine, mutation).into_iter().collect();
    assert_eq!(heads.len(), 1, "the first one is signed");
    engine.close().expect("closes");
    drop(engine);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let end = Lsn::new(20 + rng.below(30));
    cairn_segment::cut(vfs, &CodecRegistry::standard(), &ManualClock::default(), end)
        .expect("cuts");
    let engine = open(&disk, seed);
    fill(&engine, &rng, rng.below(100));
    heads.extend(sign(&engine, mutation));
    // With one signature nobody is told two stories.
    heads.len() == 1 || keeps(&engine, &heads)
}

#[test]
fn nothing_is_signed_that_the_log_cannot_keep_and_planted_bugs_of_signing_are_caught() {
    for seed in 0..SEEDS {
        assert!(signs_and_loses_power(seed, None), "seed {seed}");
        assert!(is_rolled_back_and_signs(seed, None), "seed {seed}");
    }
    let ahead = Some(Mutation::SignAheadOfDurable);
    assert!((0..SEEDS).any(|seed| !signs_and_loses_power(seed, ahead)), "not caught");
    let after = Some(Mutation::SignAfterRollback);
    assert!((0..SEEDS).any(|seed| !is_rolled_back_and_signs(seed, after)), "not caught");
}
