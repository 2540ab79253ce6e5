//! Proofs while others write.

use crate::proofs::{fill, open, rebuilt};
use cairn_engine::NewEvent;
use cairn_engine::proof::check;
use cairn_merkle::log::consistency;
use cairn_merkle::map::{Question, Verdict};
use cairn_types::Lsn;
use cairn_vfs::MemVfs;

#[test]
fn heads_are_consistent_and_proofs_hold_while_others_write() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    fill(&engine, 10);
    engine.create_keyspace("k").expect("creates");
    let space = engine.keyspace("k").expect("there");
    let proofs = engine.proofs().expect("opens");
    let keys = [proofs.verifier().expect("key")];
    let heads = std::thread::scope(|scope| {
        for writer in 0..3 {
            let (engine, space) = (&engine, &space);
            scope.spawn(move || {
                for number in 0..300 {
                    engine.append("t", NewEvent::text(format!("{writer}"))).expect("appends");
                    space.put(format!("k{}", number % 7), "v").expect("puts");
                }
            });
        }
        let mut heads = Vec::new();
        for number in 0..20 {
            let signed = proofs.checkpoint().expect("signs");
            assert!(signed.head.size <= engine.log().durable_end().get());
            // One of the records that are there however slow the writers are.
            let lsn = Lsn::new(number % 10);
            let shown = proofs.prove_lsn(lsn).expect("proves").file.to_string();
            check::record(shown.as_bytes(), None, &keys).expect("holds");
            let shown = proofs.prove_map("k", b"k3", Question::History).expect("proves");
            // How far the writers are by now is theirs; what is said of it must hold.
            let _answer: Verdict = shown.file.check(&keys).expect("holds").verdict;
            heads.push(signed.head);
        }
        heads
    });
    for pair in heads.windows(2) {
        let proof = proofs.consistency(pair[0].size, pair[1].size).expect("proves");
        consistency::verify(&pair[0], &pair[1], &proof).expect("only grew");
    }
    proofs.catch_up().expect("catches up");
    let head = proofs.head().expect("head");
    assert_eq!(head, rebuilt(&engine, head.size));
}
