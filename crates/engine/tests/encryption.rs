//! Encryption at rest as a whole: nothing in the clear in any write to any file, and rotation of
//! keys under everything an engine keeps.

use std::sync::Arc;

use cairn_auth::GivenKey;
use cairn_engine::*;
use cairn_merkle::note::{KeyName, SignatureKind, Signer};
use cairn_segment::{Log, LogConfig, SnapshotOptions, VerifyOptions};
use cairn_vfs::{MemVfs, OpenMode, RecordVfs, SeededRng, SimConfig, SimVfs, Vfs};

const CANARY: &str = "canary-that-must-not-be-seen";

fn key(seed: u8) -> GivenKey {
    let bytes: Vec<u8> = (0..32).map(|n: u8| n.wrapping_mul(7).wrapping_add(seed)).collect();
    GivenKey::from_bytes(&bytes).expect("strong enough")
}

fn open_with(vfs: Arc<dyn Vfs>, seed: u64, keys: &[u8]) -> Result<Engine> {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    let log = Log::options().vfs(vfs).rng(Arc::new(SeededRng::new(seed))).config(config);
    let options = Engine::options().log(log);
    let with =
        |options: EngineOptions, seed: &u8| options.encrypted_by(&key(*seed)).expect("a key");
    keys.iter().fold(options, with).open()
}

fn open(vfs: &MemVfs, seed: u64, keys: &[u8]) -> Result<Engine> {
    open_with(Arc::new(vfs.clone()), seed, keys)
}

fn files(vfs: &MemVfs) -> Vec<(String, Vec<u8>)> {
    let read = |path: String| {
        let file = vfs.open(&path, OpenMode::Read).expect("opens");
        let mut bytes = vec![0; usize::try_from(file.len().expect("a length")).expect("small")];
        file.read_exact_at(0, &mut bytes).expect("reads");
        (path, bytes)
    };
    vfs.paths().into_iter().map(read).collect()
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// Events, keys, tables, proofs, a map, and a signing key.
fn fill(engine: &Engine, count: u64) -> Result<()> {
    engine.create_keyspace(CANARY)?;
    engine.create_topic(CANARY, TopicConfig::default())?;
    let keys = engine.keyspace(CANARY)?;
    for number in 0..count {
        keys.put(format!("{CANARY}/{number}"), CANARY)?;
        engine.append(CANARY, NewEvent::text(CANARY).with_key(CANARY))?;
    }
    engine.keys().flush()?;
    Ok(())
}

fn prove(engine: &Engine) {
    let proofs = engine.proofs().expect("proofs");
    proofs.checkpoint().expect("signs");
    proofs.save_key_map().expect("saves");
    let lsn = engine.log().visible_end().get() - 1;
    proofs.prove_lsn(cairn_types::Lsn::new(lsn)).expect("proves");
}

fn assert_whole(engine: &Engine, count: u64, when: &str) {
    let keys = engine.keyspace(CANARY).expect("there");
    assert_eq!(keys.key_count().expect("counts"), count, "{when}");
    for number in 0..count {
        let found = keys.get(format!("{CANARY}/{number}")).expect("reads");
        assert_eq!(found.as_deref(), Some(CANARY.as_bytes()), "{when}");
    }
    let events = engine.events(CANARY, 0, 0).expect("reads");
    let events: Vec<_> = events.map(|event| event.expect("reads")).collect();
    assert_eq!(events.len() as u64, count, "{when}");
    engine.keys().verify_tables().expect("whole");
    let report = engine.verify(&VerifyOptions::default()).expect("verifies");
    assert!(report.is_intact(), "{when}: {:?}", report.damage);
}

#[test]
fn a_canary_is_in_no_file_of_tables_proofs_keys_backups_and_snapshots_and_no_leaf_in_a_tile() {
    let vfs = MemVfs::new();
    let leaves = |engine: &Engine| {
        let mut scan = engine.log().scan(engine.log().start_lsn());
        let mut leaves = Vec::new();
        while let Some(record) = scan.next_record().expect("reads") {
            leaves.push(record.leaf());
        }
        leaves
    };
    let unseen = |vfs: &MemVfs, engine: &Engine, when: &str| {
        let leaves = leaves(engine);
        for (path, bytes) in files(vfs) {
            assert!(!holds(&bytes, CANARY.as_bytes()), "{when}: the canary is in {path}");
            assert!(!holds(&bytes, b"PRIVATE+KEY"), "{when}: the signing key is in {path}");
            let leaf = leaves.iter().find(|leaf| holds(&bytes, leaf.as_bytes()));
            assert!(leaf.is_none(), "{when}: a leaf is in {path}");
        }
    };
    let engine = open(&vfs, 1, &[3]).expect("opens");
    fill(&engine, 300).expect("fills");
    prove(&engine);
    unseen(&vfs, &engine, "written");
    for dir in ["tables/", "tiles/", "proofs/key-map", "proofs/tree", "keys/checkpoint.key"] {
        assert!(vfs.paths().iter().any(|path| path.starts_with(dir)), "{dir}");
    }
    let backup = MemVfs::new();
    engine.log().backup(&backup, None).expect("backs up");
    unseen(&backup, &engine, "backed up");
    let mut stream = Vec::new();
    let snapshot = engine.log().snapshot(&SnapshotOptions::default()).expect("takes");
    snapshot.write_to(&mut stream, 0, None).expect("writes");
    assert!(!holds(&stream, CANARY.as_bytes()), "the canary is in a snapshot");
    engine.rotate_encryption_key(Some(&key(4))).expect("rotates");
    engine.reseal(None).expect("seals anew");
    unseen(&vfs, &engine, "sealed anew");
    engine.close().expect("closes");
    drop(engine);
    for wrong in [&[][..], &[3], &[5]] {
        let refused = open(&vfs, 2, wrong).expect_err("refused");
        assert!(refused.to_string().contains("encrypted"), "{refused}");
    }
    let engine = open(&vfs, 3, &[4]).expect("opens");
    assert_whole(&engine, 300, "reopened");
    prove(&engine);
    assert!(engine.proofs().expect("proofs").last_signed().expect("reads").is_some());
    unseen(&vfs, &engine, "reopened");
}

#[test]
fn no_write_to_any_file_holds_a_canary_also_to_temporary_files_that_are_gone() {
    let vfs = RecordVfs::new(Arc::new(MemVfs::new()));
    let open = |seed, keys: &[u8]| open_with(Arc::new(vfs.clone()), seed, keys).expect("opens");
    let engine = open(1, &[3]);
    fill(&engine, 100).expect("fills");
    prove(&engine);
    engine.rotate_encryption_key(Some(&key(4))).expect("rotates");
    engine.reseal(None).expect("seals anew");
    // Not closed: what the log holds is recovered, and copied.
    drop(engine);
    let engine = open(2, &[4]);
    engine.append(CANARY, NewEvent::text(CANARY)).expect("appends");
    engine.keyspace(CANARY).expect("there").delete(format!("{CANARY}/7")).expect("deletes");
    engine.keys().compact(engine.revision()).expect("compacts");
    engine.retain_topics().expect("cleans");
    engine.reseal(None).expect("seals anew");
    prove(&engine);
    engine.close().expect("closes");
    assert!(!vfs.was_written(CANARY.as_bytes()));
    assert!(!vfs.was_written(b"PRIVATE+KEY"));
    // The look itself works.
    vfs.open("f", OpenMode::Create)
        .expect("creates")
        .write_all_at(0, CANARY.as_bytes())
        .expect("writes");
    assert!(vfs.was_written(CANARY.as_bytes()));
}

#[test]
fn after_sealing_anew_one_data_key_and_one_master_key_are_needed_for_everything() {
    let vfs = MemVfs::new();
    // Begun without a key: what is plain is sealed too.
    let engine = open(&vfs, 1, &[]).expect("opens");
    assert!(engine.encryption_status().is_err());
    fill(&engine, 50).expect("fills");
    prove(&engine);
    let signer = Signer::generate(
        KeyName::new("example.org/log").expect("valid"),
        SignatureKind::Ed25519,
        &SeededRng::new(5),
    );
    assert!(engine.proofs().expect("proofs").supply_key(&signer).is_err(), "the name is fixed");
    let head = engine.proofs().expect("proofs").last_signed().expect("reads");
    engine.close().expect("closes");
    drop(engine);
    let engine = open(&vfs, 2, &[3]).expect("opens");
    assert_whole(&engine, 50, "with a key");
    for (round, next) in [(1, 4), (2, 5), (3, 5)] {
        engine.rotate_encryption_key(Some(&key(next))).expect("rotates");
        let status = engine.encryption_status().expect("a status");
        assert!(!status.is_settled(), "round {round}");
        let resealed = engine.reseal(None).expect("seals anew");
        assert!(resealed.segments.replaced_count > 0 && resealed.file_count > 0, "{resealed:?}");
        assert_eq!(resealed.dropped_key_count, 1);
        let status = engine.encryption_status().expect("a status");
        assert!(status.is_settled(), "round {round}: {status:?}");
        assert_eq!((status.keys.len(), status.outer_keys().len()), (1, 1));
        assert_whole(&engine, 50, "sealed anew");
        prove(&engine);
    }
    let newest = engine.proofs().expect("proofs").last_signed().expect("reads");
    assert!(newest.expect("signed").size > head.expect("signed").size);
    engine.close().expect("closes");
    drop(engine);
    let engine = open(&vfs, 9, &[5]).expect("opens with the last key alone");
    assert_whole(&engine, 50, "reopened");
}

#[test]
fn a_crash_at_any_step_of_a_rotation_leaves_a_store_that_opens_with_both_keys() {
    let mut crashes = 0;
    for operations in (1..).step_by(5) {
        let vfs = SimVfs::new(operations, SimConfig::default());
        let open = |seed, keys: &[u8]| open_with(Arc::new(vfs.clone()), seed, keys);
        let engine = open(operations, &[3]).expect("opens");
        fill(&engine, 30).expect("fills");
        prove(&engine);
        vfs.crash_after(operations);
        let rotated = engine.rotate_encryption_key(Some(&key(4)));
        let done = rotated.and_then(|_| engine.reseal(None)).is_ok() && !vfs.is_down();
        drop(engine);
        vfs.power_crash();
        let engine = open(operations + 5000, &[3, 4])
            .unwrap_or_else(|error| panic!("{operations}: {error}"));
        assert_whole(&engine, 30, &format!("crashed at {operations}"));
        engine.rotate_encryption_key(Some(&key(4))).expect("rotates");
        engine.reseal(None).expect("seals anew");
        let status = engine.encryption_status().expect("a status");
        assert!(status.is_settled(), "{operations}: {status:?} {:?}", vfs.paths());
        prove(&engine);
        engine.close().expect("closes");
        drop(engine);
        let engine = open(operations + 9000, &[4]).expect("opens with the new key");
        assert_whole(&engine, 30, &format!("finished after {operations}"));
        if done {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 10, "{crashes}");
}
