//! The tree over the log, its signatures and its proofs.

use std::sync::Arc;

use cairn_engine::proof::{Error, Policy, Standing, check};
use cairn_engine::{Engine, NewEvent, TopicConfig};
use cairn_merkle::hash::leaf_hash;
use cairn_merkle::log::{Tree, TreeHead, consistency};
use cairn_merkle::note::{Checkpoint, KeyName, Note, SignatureKind, Signer};
use cairn_merkle::proof_file::ProofFile;
use cairn_segment::{Log, LogConfig, RecordKind, Retention};
use cairn_types::{Durability, ErrorKind, Lsn};
use cairn_vfs::{ManualClock, MemVfs, OpenMode, SeededRng, Vfs};

pub(crate) fn open(vfs: &MemVfs) -> Engine {
    open_with(vfs, Durability::Sync)
}

fn open_with(vfs: &MemVfs, durability: Durability) -> Engine {
    let config =
        LogConfig { segment_size: 64 << 10, background: false, durability, ..LogConfig::default() };
    let log = Log::options()
        .vfs(Arc::new(vfs.clone()))
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(7)))
        .config(config);
    Engine::options().log(log).open().expect("opens")
}

pub(crate) fn fill(engine: &Engine, count: u64) {
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    for number in 0..count {
        engine.append("t", NewEvent::text(format!("event {number}"))).expect("appends");
    }
}

/// The tree as somebody else would build it: from nothing but the records.
pub(crate) fn rebuilt(engine: &Engine, size: u64) -> TreeHead {
    let mut tree = Tree::new();
    let mut scan = engine.log().scan(Lsn::ZERO);
    while tree.size() < size {
        let record = scan.next_record().expect("reads").expect("there");
        let leaf = leaf_hash(&record.statement().expect("whole"));
        assert_eq!(leaf, record.leaf().into());
        tree.push(leaf).expect("pushes");
    }
    tree.head()
}

fn flip(vfs: &MemVfs, path: &str, position: u64) {
    let file = vfs.open(path, OpenMode::ReadWrite).expect("opens");
    let mut byte = [0];
    file.read_exact_at(position, &mut byte).expect("reads");
    file.write_all_at(position, &[byte[0] ^ 1]).expect("writes");
}

#[test]
fn the_tree_is_the_one_rebuilt_from_the_records() {
    let vfs = MemVfs::new();
    for round in 1..=6_u64 {
        let engine = open(&vfs);
        fill(&engine, 150 * round);
        let proofs = engine.proofs().expect("opens");
        assert!(proofs.catch_up().expect("catches up") > 0);
        let head = proofs.head().expect("head");
        assert_eq!(head.size, engine.log().durable_end().get());
        assert_eq!(head, rebuilt(&engine, head.size));
        assert_eq!(proofs.catch_up().expect("catches up"), 0);
        assert_eq!(proofs.root_at(70).expect("root"), rebuilt(&engine, 70).root);
        let reader = Engine::options()
            .log(Log::options().vfs(Arc::new(vfs.clone())))
            .open_read_only()
            .expect("opens");
        let beside = reader.proofs().expect("opens");
        beside.catch_up().expect("catches up");
        assert_eq!(beside.head().expect("head"), head);
        assert!(matches!(beside.checkpoint(), Err(Error::ReadOnly)));
    }
}

#[test]
fn a_record_is_proven_to_somebody_without_the_log() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    fill(&engine, 700);
    let proofs = engine.proofs().expect("opens");
    let key = proofs.verifier().expect("a key");
    for lsn in [0, 1, 255, 256, 300, 700] {
        let shown = proofs.prove_lsn(Lsn::new(lsn)).expect("proves");
        let text = shown.file.to_string();
        let checked = check::record(text.as_bytes(), Some(&shown.leaf), std::slice::from_ref(&key));
        let checked = checked.expect("holds");
        assert_eq!((checked.lsn.get(), checked.head), (lsn, shown.head));
        let record = engine.log().read(Lsn::new(lsn)).expect("reads");
        assert_eq!((checked.kind, checked.sequence), (record.kind, record.sequence));
        checked.check_payload(&record.payload.expect("there")).expect("is the payload");
        assert!(checked.check_payload(b"another").is_err());
        assert!(
            check::record(text.as_bytes(), Some(b"another leaf"), std::slice::from_ref(&key))
                .is_err()
        );
        let bare = ProofFile::parse(text.as_bytes()).expect("parses").with_extra(Vec::new());
        let bare = bare.expect("without").to_string();
        assert!(
            check::record(bare.as_bytes(), None, std::slice::from_ref(&key)).is_err(),
            "no leaf"
        );
        check::record(bare.as_bytes(), Some(&shown.leaf), std::slice::from_ref(&key))
            .expect("holds");
    }
    let event = proofs.prove_event("t", 0, 5).expect("proves");
    assert_eq!(event.lsn, engine.event("t", 0, 5).expect("there").lsn);
    assert!(matches!(proofs.prove_lsn(Lsn::new(99_999)), Err(Error::NoRecord { .. })));
    assert_eq!(proofs.prove_event("t", 0, 9999).expect_err("no").kind(), ErrorKind::NotFound);
}

#[test]
fn only_what_is_synced_is_in_the_tree_and_a_checkpoint_syncs_first() {
    let vfs = MemVfs::new();
    let engine = open_with(&vfs, Durability::Buffered);
    fill(&engine, 50);
    let proofs = engine.proofs().expect("opens");
    proofs.catch_up().expect("catches up");
    assert_eq!(proofs.head().expect("head").size, engine.log().durable_end().get());
    assert!(engine.log().durable_end() < engine.log().visible_end(), "buffered");
    let signed = proofs.checkpoint().expect("signs");
    assert!(signed.head.size > 50 && signed.head.size <= engine.log().durable_end().get());
    assert_eq!(proofs.last_signed().expect("reads"), Some(signed.head));
}

#[test]
fn heads_that_were_signed_are_consistent_with_each_other() {
    let vfs = MemVfs::new();
    let mut heads: Vec<TreeHead> = Vec::new();
    for round in 0..20 {
        let engine = open(&vfs);
        fill(&engine, 1 + round * 13);
        let proofs = engine.proofs().expect("opens");
        proofs.set_policy(Policy { record_every: None, ..Policy::default() }).expect("sets");
        let signed = proofs.checkpoint().expect("signs");
        let again = proofs.checkpoint().expect("signs");
        assert_eq!(signed, again, "nothing came between");
        for old in &heads {
            let proof = proofs.consistency(old.size, signed.head.size).expect("proves");
            consistency::verify(old, &signed.head, &proof).expect("only grew");
        }
        heads.push(signed.head);
        let text = signed.note.to_string();
        let note = Note::parse(text.as_bytes()).expect("parses");
        let against = proofs.verify_against(&note, &[]).expect("compares");
        assert_eq!(against.standing, Standing::Continues { further: 0 });
        assert_eq!(against.signed_by.len(), 1);
    }
    let engine = open(&vfs);
    let proofs = engine.proofs().expect("opens");
    assert!(matches!(proofs.consistency(0, 5), Err(Error::NoSuchSizes { .. })));
    assert!(matches!(proofs.consistency(5, 1 << 40), Err(Error::NoSuchSizes { .. })));
}

#[test]
fn damaged_lost_and_foreign_tiles_are_built_again() {
    for case in 0..5 {
        let vfs = MemVfs::new();
        let engine = open(&vfs);
        fill(&engine, 600);
        let proofs = engine.proofs().expect("opens");
        let head = proofs.checkpoint().expect("signs").head;
        drop((proofs, engine));
        match case {
            0 => flip(&vfs, "proofs/tree", 40),
            1 => vfs.remove("proofs/tree").expect("removes"),
            2 => flip(&vfs, "tiles/tile/0/000", 77),
            3 => vfs.remove("tiles/tile/0/001").expect("removes"),
            _ => vfs
                .open("tiles/tile/0/001", OpenMode::ReadWrite)
                .expect("opens")
                .set_len(9)
                .expect("cuts"),
        }
        let engine = open(&vfs);
        let proofs = engine.proofs().expect("opens");
        proofs.catch_up().expect("catches up");
        assert_eq!(proofs.root_at(head.size).expect("root"), head.root, "case {case}");
        for lsn in [5, 300, 601] {
            proofs.prove_lsn(Lsn::new(lsn)).expect("proves");
        }
        let rebuilt = proofs.rebuilt_count().expect("counts");
        assert_eq!(rebuilt, u64::from(case > 1), "case {case}");
    }
}

#[test]
fn a_log_that_was_rolled_back_is_found_out_and_gets_no_signature() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    fill(&engine, 300);
    let signed = engine.proofs().expect("opens").checkpoint().expect("signs");
    drop(engine);
    // An older copy of the log; the keys stay.
    let other = MemVfs::new();
    let engine = open(&other);
    fill(&engine, 100);
    drop(engine);
    for path in ["keys/checkpoint.key", "keys/signed"] {
        copy(&vfs, &other, path);
    }
    let proofs = open(&other).proofs().expect("opens");
    let refused = proofs.checkpoint().expect_err("refuses");
    assert!(matches!(refused, Error::BelowSigned { .. }) && refused.is_alarm(), "{refused}");
    let against = proofs.verify_against(&signed.note, &[]).expect("compares");
    assert!(matches!(against.standing, Standing::RolledBack { .. }) && !against.is_consistent());
    assert!(proofs.prove_lsn(Lsn::new(3)).is_err(), "a proof would need a signature");
}

fn copy(from: &MemVfs, to: &MemVfs, path: &str) {
    let file = from.open(path, OpenMode::Read).expect("opens");
    let mut bytes = vec![0; usize::try_from(file.len().expect("len")).expect("small")];
    file.read_exact_at(0, &mut bytes).expect("reads");
    to.create_dir_all(cairn_vfs::path::split(path).0).expect("creates");
    let file = to.open(path, OpenMode::CreateOrOpen).expect("opens");
    file.set_len(0).expect("cuts");
    file.write_all_at(0, &bytes).expect("writes");
}

#[test]
fn another_past_of_the_same_length_is_reported() {
    let build = |word: &str| {
        let vfs = MemVfs::new();
        let engine = open(&vfs);
        fill(&engine, 100);
        engine.append("t", NewEvent::text(word)).expect("appends");
        fill(&engine, 100);
        (vfs, engine)
    };
    let (vfs, engine) = build("honest");
    let signed = engine.proofs().expect("opens").checkpoint().expect("signs");
    drop(engine);
    let (other, engine) = build("forged");
    fill(&engine, 10);
    assert_eq!(engine.log().store_id(), open_id(&vfs), "the same seed, the same store");
    drop(engine);
    for path in ["keys/checkpoint.key", "keys/signed"] {
        copy(&vfs, &other, path);
    }
    let engine = open(&other);
    let proofs = engine.proofs().expect("opens");
    let refused = proofs.checkpoint().expect_err("refuses");
    assert!(matches!(refused, Error::SignedDiffers { .. }) && refused.is_alarm(), "{refused}");
    let against = proofs.verify_against(&signed.note, &[]).expect("compares");
    assert!(matches!(against.standing, Standing::Forked { .. }));
    assert_eq!(against.signed_by.len(), 1, "the log's own key signed it");
    // A forged checkpoint under the known key is refused before it is compared.
    let text = signed.note.to_string().replacen("\n2", "\n1", 1);
    let forged = Note::parse(text.as_bytes()).expect("parses");
    assert!(proofs.verify_against(&forged, &[]).is_err());
    vfs.remove("keys/signed").expect("removes");
    let engine = open(&vfs);
    let refused = engine.proofs().expect("opens").checkpoint();
    assert!(matches!(refused, Err(Error::SignedMissing)), "{refused:?}");
}

fn open_id(vfs: &MemVfs) -> [u8; 16] {
    open(vfs).log().store_id()
}

#[test]
fn the_name_is_chosen_once_and_rotations_are_recorded() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    fill(&engine, 10);
    let proofs = engine.proofs().expect("opens");
    let first = proofs.set_origin("example.com/log").expect("sets");
    assert_eq!(first.name().as_str(), "example.com/log");
    assert!(matches!(proofs.set_origin("example.com/other"), Err(Error::OriginFixed { .. })));
    let old = proofs.prove_lsn(Lsn::new(3)).expect("proves").file.to_string();
    let second = proofs.rotate_key().expect("rotates");
    assert_ne!(first, second);
    let new = proofs.prove_lsn(Lsn::new(3)).expect("proves").file.to_string();
    assert!(
        check::record(old.as_bytes(), None, std::slice::from_ref(&first)).is_ok(),
        "stays good"
    );
    assert!(check::record(new.as_bytes(), None, std::slice::from_ref(&first)).is_err());
    check::record(new.as_bytes(), None, &[first.clone(), second.clone()]).expect("holds");
    drop((proofs, engine));
    let engine = open(&vfs);
    let proofs = engine.proofs().expect("opens");
    assert_eq!(proofs.verifiers().expect("keys"), [first.clone(), second.clone()]);
    let name = KeyName::new("example.com/log").expect("a name");
    let rng = SeededRng::new(99);
    let third = Signer::generate(name, SignatureKind::Ed25519, &rng);
    proofs.supply_key(&third).expect("takes it");
    let name = KeyName::new("example.com/other").expect("a name");
    let foreign = Signer::generate(name, SignatureKind::Ed25519, &rng);
    assert!(matches!(proofs.supply_key(&foreign), Err(Error::OriginFixed { .. })));
    assert_eq!(proofs.verifier().expect("key"), third.verifier());
    // The record of a rotation is signed by both keys.
    let mut scan = engine.log().scan(Lsn::ZERO);
    let mut notes = Vec::new();
    while let Some(record) = scan.next_record().expect("reads") {
        if record.view.kind == RecordKind::SIGNING_KEY {
            notes.push(Note::parse(record.payload().expect("there")).expect("a note"));
        }
    }
    assert_eq!(notes.len(), 3);
    assert_eq!(notes[1].verify(&[first, second]).expect("signed").len(), 2);
}

#[test]
fn checkpoints_are_written_into_the_log_by_policy() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    fill(&engine, 30);
    let proofs = engine.proofs().expect("opens");
    proofs.set_policy(Policy { record_every: Some(20), ..Policy::default() }).expect("sets");
    let signed = proofs.checkpoint().expect("signs");
    let end = engine.log().visible_end();
    proofs.checkpoint().expect("signs");
    assert_eq!(engine.log().visible_end(), end, "too little came since");
    let record = engine.log().read(Lsn::new(end.get() - 1)).expect("reads");
    assert_eq!(record.kind, RecordKind::TREE_HEAD);
    let note = Note::parse(&record.payload.expect("there")).expect("a note");
    let checkpoint: Checkpoint = note.text().parse().expect("a checkpoint");
    assert_eq!(*checkpoint.head(), signed.head);
    note.verify(&[proofs.verifier().expect("key")]).expect("signed");
}

#[test]
fn heads_are_recorded_without_being_asked_for_when_their_number_or_time_has_come() {
    let (vfs, clock) = (MemVfs::new(), Arc::new(ManualClock::default()));
    let config =
        LogConfig { background: false, durability: Durability::Buffered, ..LogConfig::default() };
    let log = Log::options().vfs(Arc::new(vfs.clone())).clock(clock.clone()).config(config);
    let engine = Engine::options().log(log).open().expect("opens");
    let heads = || {
        let mut scan = engine.log().scan(Lsn::ZERO);
        let mut heads = Vec::new();
        while let Some(record) = scan.next_record().expect("reads") {
            if record.view.kind == RecordKind::TREE_HEAD {
                heads.push((record.view.sequence, record.lsn.get()));
            }
        }
        heads
    };
    fill(&engine, 50);
    engine.maintain().expect("maintains");
    let proofs = engine.proofs().expect("opens");
    let after = Some(std::time::Duration::from_secs(60));
    proofs.set_policy(Policy { record_every: Some(40), record_after: after }).expect("sets");
    proofs.catch_up().expect("catches up");
    assert_eq!(heads(), [], "no key is made for it");
    proofs.verifier().expect("makes a key");

    // By their number, and only what is on the disk.
    engine.log().sync().expect("syncs");
    proofs.catch_up().expect("catches up");
    let [(size, lsn)] = heads()[..] else { panic!("{:?}", heads()) };
    assert!(size >= 40 && size <= lsn);
    assert!(proofs.last_signed().expect("reads").is_some_and(|head| head.size == size));
    let end = engine.log().visible_end();
    for _ in 0..3 {
        engine.maintain().expect("maintains");
    }
    assert_eq!(engine.log().visible_end(), end, "its own record is not news");

    // By the time, when there is something new.
    clock.advance(std::time::Duration::from_secs(61));
    engine.maintain().expect("maintains");
    assert_eq!(heads().len(), 1, "nothing new");
    fill(&engine, 3);
    engine.log().sync().expect("syncs");
    engine.maintain().expect("maintains");
    assert_eq!(heads().len(), 2);
    fill(&engine, 3);
    engine.log().sync().expect("syncs");
    clock.advance(std::time::Duration::from_secs(59));
    engine.maintain().expect("maintains");
    assert_eq!(heads().len(), 2, "too early");
    for (size, lsn) in heads() {
        let root = proofs.root_at(size).expect("root");
        let record = engine.log().read(Lsn::new(lsn)).expect("reads");
        let note = Note::parse(&record.payload.expect("there")).expect("a note");
        let checkpoint: Checkpoint = note.text().parse().expect("a checkpoint");
        assert_eq!(checkpoint.head().root, root);
    }
}

#[test]
fn proofs_outlive_the_segments_that_retention_drops() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    fill(&engine, 2000);
    let proofs = engine.proofs().expect("opens");
    let old = proofs.checkpoint().expect("signs").head;
    fill(&engine, 2000);
    let retention = Retention { before: Some(Lsn::new(3000)), ..Retention::default() };
    assert!(engine.retain(&retention).expect("retains").segment_count > 0);
    let start = proofs.minimum_index();
    assert!(start > Lsn::ZERO);
    drop((proofs, engine));
    let engine = open(&vfs);
    let proofs = engine.proofs().expect("opens");
    let key = proofs.verifier().expect("key");
    let head = proofs.checkpoint().expect("signs").head;
    let proof = proofs.consistency(old.size, head.size).expect("proves");
    consistency::verify(&old, &head, &proof).expect("only grew");
    let shown = proofs.prove_lsn(start).expect("proves").file.to_string();
    check::record(shown.as_bytes(), None, &[key]).expect("holds");
    assert!(proofs.prove_lsn(Lsn::new(5)).is_err(), "the record is gone");
    let exported = MemVfs::new();
    let done = proofs.export_tiles(Arc::new(exported.clone())).expect("exports");
    assert!(done.tile_count > 8 && done.bundle_count > 0);
    assert!(exported.exists("minimum-index").expect("asks"));
    drop((proofs, engine));
    // Without the tiles the tree cannot be built again, and that is said.
    vfs.remove("proofs/tree").expect("removes");
    assert!(matches!(open(&vfs).proofs(), Err(Error::Pruned { .. })));
}

#[test]
fn erased_records_are_proven_and_dropped_ones_are_named() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    fill(&engine, 1000);
    let proofs = engine.proofs().expect("opens");
    let key = proofs.verifier().expect("key");
    let before = proofs.prove_lsn(Lsn::new(10)).expect("proves");
    let mut fate = |lsn: Lsn, _: &cairn_codec::RecordView<'_>| match lsn.get() {
        10 => cairn_segment::Fate::Erase,
        11 => cairn_segment::Fate::Drop,
        _ => cairn_segment::Fate::Keep,
    };
    engine.log().roll().expect("rolls");
    fill(&engine, 1);
    engine.log().clean(&mut fate, &Default::default()).expect("cleans");
    let after = proofs.prove_lsn(Lsn::new(10)).expect("proves");
    assert_eq!(after.leaf, before.leaf);
    let text = after.file.to_string();
    check::record(text.as_bytes(), None, &[key]).expect("holds");
    assert!(matches!(proofs.prove_lsn(Lsn::new(11)), Err(Error::Dropped { .. })));
    drop(proofs);
    vfs.remove("proofs/tree").expect("removes");
    drop(engine);
    let engine = open(&vfs);
    let proofs = engine.proofs().expect("opens");
    proofs.catch_up().expect("catches up");
    assert_eq!(proofs.root_at(before.head.size).expect("root"), before.head.root);
}
