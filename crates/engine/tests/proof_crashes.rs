//! What a crash leaves of tree and signatures, on a disk that loses whatever was not synced.
//! `CAIRN_CRASHES` sets how many; every failure prints its seed.

use std::sync::Arc;

use crate::proofs::rebuilt;
use crate::soaking::seeds;
use cairn_engine::proof::{Error, check};
use cairn_engine::{Engine, NewEvent, TopicConfig};
use cairn_merkle::log::{TreeHead, consistency};
use cairn_segment::{Log, LogConfig};
use cairn_types::{Durability, Lsn};
use cairn_vfs::{ManualClock, SeededRng, SimConfig, SimVfs};

const CRASHES_A_LIFE: u32 = 8;

fn lives() -> u64 {
    let crashes = std::env::var("CAIRN_CRASHES").ok().and_then(|text| text.parse().ok());
    (crashes.unwrap_or(100_000_u64) / 200).clamp(1, 2000)
}

fn open(disk: &SimVfs, seed: u64, durability: Durability) -> Result<Engine, cairn_engine::Error> {
    let config =
        LogConfig { segment_size: 64 << 10, background: false, durability, ..LogConfig::default() };
    let log = Log::options()
        .vfs(Arc::new(disk.clone()))
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(seed)))
        .config(config);
    Engine::options().log(log).open()
}

/// One stretch of work until the disk goes down; heads that left the process are kept.
fn work(
    disk: &SimVfs,
    seed: u64,
    durability: Durability,
    rng: &SeededRng,
    handed_out: &mut Vec<TreeHead>,
) -> Result<(), Error> {
    let engine = open(disk, seed, durability)?;
    engine.create_topic("t", TopicConfig::default())?;
    engine.create_keyspace("k")?;
    let space = engine.keyspace("k")?;
    loop {
        for _ in 0..rng.below(8) {
            engine.append("t", NewEvent::text("x".repeat(rng.below(300) as usize)))?;
            space.put(format!("k{}", rng.below(5)), "v")?;
        }
        let proofs = engine.proofs()?;
        match rng.below(8) {
            0 => drop(proofs.catch_up()?),
            1 => drop(proofs.rotate_key()?),
            2 => drop(proofs.prove_map("k", b"k1", cairn_merkle::map::Question::Newest)?),
            3 => proofs.save_key_map()?,
            _ => {
                let signed = proofs.checkpoint()?;
                assert!(signed.head.size <= engine.log().durable_end().get());
                handed_out.push(signed.head);
            }
        }
    }
}

/// Holds what came back against what was handed out.
fn judge(engine: &Engine, handed_out: &[TreeHead]) {
    let proofs = engine.proofs().expect("opens");
    proofs.catch_up().expect("catches up");
    let head = proofs.head().expect("head");
    assert_eq!(head.size, engine.log().durable_end().get());
    assert_eq!(head, rebuilt(engine, head.size), "the tree is that of the records");
    for old in handed_out {
        assert!(old.size <= head.size, "{old:?} was signed and is not there any more");
        let proof = proofs.consistency(old.size, head.size).expect("proves");
        consistency::verify(old, &head, &proof).expect("what was signed is what there is");
    }
    let key = proofs.verifier().expect("key");
    let shown = proofs.prove_lsn(Lsn::ZERO).expect("proves").file.to_string();
    check::record(shown.as_bytes(), None, &[key]).expect("holds");
}

fn live(seed: u64, durability: Durability) {
    let (disk, rng) = (SimVfs::new(seed, SimConfig::default()), SeededRng::new(seed));
    let mut handed_out = Vec::new();
    for _ in 0..CRASHES_A_LIFE {
        disk.crash_after(20 + rng.below(400));
        match work(&disk, seed, durability, &rng, &mut handed_out) {
            Ok(()) => unreachable!("it ends when the disk does"),
            Err(error) => assert!(disk.is_down(), "seed {seed}: {error}"),
        }
        if rng.below(4) == 0 {
            disk.process_crash()
        } else {
            disk.power_crash()
        }
        let engine = open(&disk, seed, durability).expect("recovers");
        if engine.log().visible_end() > Lsn::ZERO {
            judge(&engine, &handed_out);
        }
    }
}

#[test]
fn no_signed_head_is_lost_and_the_tree_is_rebuilt_after_any_crash() {
    let mut crashes = 0;
    for seed in seeds(0..lives()) {
        println!("seed {seed}");
        live(seed, if seed % 3 == 0 { Durability::Buffered } else { Durability::Sync });
        crashes += CRASHES_A_LIFE;
    }
    println!("total: crashes={crashes} violations=0");
}

/// The fault that the memory of signatures is there for: a log that loses what was durable.
#[test]
fn a_log_below_the_last_signed_size_gets_no_signature_after_a_crash() {
    let disk = SimVfs::new(1, SimConfig::default());
    let engine = open(&disk, 1, Durability::Sync).expect("opens");
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    for number in 0..100 {
        engine.append("t", NewEvent::text(number.to_string())).expect("appends");
    }
    let signed = engine.proofs().expect("opens").checkpoint().expect("signs").head;
    engine.close().expect("closes");
    drop(engine);
    let vfs: Arc<dyn cairn_vfs::Vfs> = Arc::new(disk.clone());
    let registry = cairn_codec::CodecRegistry::standard();
    cairn_segment::cut(vfs, &registry, &ManualClock::default(), Lsn::new(60)).expect("cuts");
    disk.power_crash();
    let engine = open(&disk, 1, Durability::Sync).expect("opens");
    let proofs = engine.proofs().expect("opens");
    for _ in 0..2 {
        let refused = proofs.checkpoint().expect_err("refuses");
        assert!(matches!(refused, Error::BelowSigned { signed: s, .. } if s == signed.size));
        assert!(refused.is_alarm());
        assert!(proofs.prove_lsn(Lsn::new(2)).is_err(), "a proof would need a signature");
    }
    // Also once the log has grown past that size with other records.
    for number in 0..200 {
        engine.append("t", NewEvent::text(format!("other {number}"))).expect("appends");
    }
    let refused = proofs.checkpoint().expect_err("refuses");
    assert!(matches!(refused, Error::SignedDiffers { .. }), "{refused}");
}
