//! Proofs while others write.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::proofs::{fill, open, rebuilt};
use cairn_engine::NewEvent;
use cairn_engine::proof::check;
use cairn_merkle::log::consistency;
use cairn_merkle::map::{Question, Verdict};
use cairn_types::Lsn;
use cairn_vfs::MemVfs;

/// Ends the writers, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn heads_are_consistent_and_proofs_hold_while_others_write() {
    let vfs = MemVfs::new();
    let engine = open(&vfs);
    fill(&engine, 10);
    engine.create_keyspace("k").expect("creates");
    let space = engine.keyspace("k").expect("there");
    let proofs = engine.proofs().expect("opens");
    let keys = [proofs.verifier().expect("key")];
    let is_over = AtomicBool::new(false);
    let heads = std::thread::scope(|scope| {
        let _over = Over(&is_over);
        for writer in 0..3 {
            let (engine, space, is_over) = (&engine, &space, &is_over);
            scope.spawn(move || {
                for number in 0_u64.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    engine.append("t", NewEvent::text(format!("{writer}"))).expect("appends");
                    space.put(format!("k{}", number % 7), "v").expect("puts");
                }
            });
        }
        let mut heads = Vec::new();
        for number in 0..20 {
            let signed = proofs.checkpoint().expect("signs");
            assert!(signed.head.size <= engine.log().durable_end().get());
            let shown = proofs.prove_lsn(Lsn::new(number)).expect("proves").file.to_string();
            check::record(shown.as_bytes(), None, &keys).expect("holds");
            let shown = proofs.prove_map("k", b"k3", Question::History).expect("proves");
            let Verdict::History(_) = shown.file.check(&keys).expect("holds").verdict else {
                assert_eq!(number, 0, "written by then");
                continue;
            };
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
