//! A proof that was changed in any way shows nothing: it is refused, and nothing panics.

use crate::model::{Model, path};
use cairn_merkle::map::{Claim, Ending, KeyProof, MapHead, VersionLeaf, verify};
use proptest::prelude::*;

/// Whether these bytes show anything.
fn is_accepted(head: &MapHead, claim: &Claim, bytes: &[u8]) -> bool {
    KeyProof::decode(bytes).is_ok_and(|proof| verify(head, claim, &proof).is_ok())
}

/// A model, and one proof of each kind.
fn proofs() -> (Model, MapHead, Vec<(Claim, KeyProof)>) {
    let model = Model::random(17, 12, 50);
    let map = model.map();
    let claims = (0..20).flat_map(|key| {
        let at = [1, 9, 30, model.revision].map(|revision| Claim::at(path(key), revision));
        at.into_iter().chain([Claim::newest(path(key)), Claim::history(path(key))])
    });
    let proofs = claims.map(|claim| (claim, map.prove(&claim, &model).expect("provable")));
    let proofs = proofs.collect();
    (model, map.head(), proofs)
}

#[test]
fn every_bit_of_a_proof_matters() {
    let (_, head, proofs) = proofs();
    let kinds: std::collections::HashSet<_> =
        proofs.iter().map(|(_, proof)| std::mem::discriminant(&proof.ending)).collect();
    assert_eq!(kinds.len(), 3, "every ending is among them");
    for (claim, proof) in &proofs {
        let bytes = proof.encode();
        assert!(is_accepted(&head, claim, &bytes));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_accepted(&head, claim, &bytes), "{claim:?}: bit {bit}");
        }
    }
}

#[test]
fn no_byte_can_be_missing_or_added() {
    let (_, head, proofs) = proofs();
    for (claim, proof) in &proofs {
        let bytes = proof.encode();
        for len in 0..bytes.len() {
            assert!(!is_accepted(&head, claim, &bytes[..len]), "{claim:?}: {len} bytes");
        }
        assert!(!is_accepted(&head, claim, &[&bytes[..], &[0]].concat()));
    }
}

type Parts<'a> = (&'a mut u64, &'a mut u64, &'a mut Vec<VersionLeaf>, &'a mut Vec<[u8; 32]>);
type Forgery = (&'static str, fn(Parts<'_>));

/// What a dishonest prover would try with the versions.
const FORGERIES: &[Forgery] = &[
    ("the first left out", |(_, _, versions, _)| {
        versions.remove(0);
    }),
    ("the first left out, told", |(count, _, versions, _)| {
        versions.remove(0);
        *count -= 1;
    }),
    ("the first left out, begun later", |(_, first, versions, _)| {
        versions.remove(0);
        *first += 1;
    }),
    ("the last left out", |(_, _, versions, _)| {
        versions.pop();
    }),
    ("the last left out, told", |(count, _, versions, _)| {
        versions.pop();
        *count -= 1;
    }),
    ("the middle left out", |(_, _, versions, _)| {
        versions.remove(versions.len() / 2);
    }),
    ("the middle left out, told", |(count, _, versions, _)| {
        versions.remove(versions.len() / 2);
        *count -= 1;
    }),
    ("one twice", |(_, _, versions, _)| versions.push(versions[0])),
    ("one twice, told", |(count, _, versions, _)| {
        versions.push(versions[0]);
        *count += 1;
    }),
    ("reversed", |(_, _, versions, _)| {
        versions.reverse();
        if versions.len() == 1 {
            versions.clear();
        }
    }),
    ("none", |(_, _, versions, _)| versions.clear()),
    ("count up", |(count, ..)| *count += 1),
    ("count down", |(count, ..)| *count -= 1),
    ("count of all", |(count, ..)| *count = u64::MAX),
    ("count of none", |(count, ..)| *count = 0),
    ("begun later", |(_, first, ..)| *first += 1),
    ("begun at the end of numbers", |(_, first, ..)| *first = u64::MAX),
    ("begun earlier", |(_, first, ..)| *first = first.wrapping_sub(1)),
    ("a hash more", |(_, _, _, hashes)| hashes.push([1; 32])),
    ("a hash less", |(count, _, _, hashes)| {
        if hashes.pop().is_none() {
            *count += 1;
        }
    }),
    ("a version as a hash", |(_, _, versions, hashes)| {
        versions.pop();
        hashes.push([2; 32]);
    }),
    ("a tombstone undone", |(_, _, versions, _)| {
        versions[0].tombstone = !versions[0].tombstone;
    }),
    ("another revision", |(_, _, versions, _)| versions[0].modified.main += 1),
    ("another value", |(_, _, versions, _)| {
        versions[0].payload_hash = cairn_types::PayloadHash::new([3; 32]);
    }),
];

#[test]
fn no_version_can_be_left_out_repeated_moved_or_changed() {
    let (_, head, proofs) = proofs();
    for (claim, proof) in &proofs {
        for (name, forge) in FORGERIES {
            let mut forged = proof.clone();
            let Ending::Key { count, first, versions, hashes } = &mut forged.ending else {
                continue;
            };
            forge((count, first, versions, hashes));
            assert!(verify(&head, claim, &forged).is_err(), "{claim:?}: {name}");
            assert!(!is_accepted(&head, claim, &forged.encode()), "{claim:?}: {name}, encoded");
        }
    }
}

#[test]
fn what_is_there_cannot_be_shown_absent() {
    let (model, head, proofs) = proofs();
    for (claim, proof) in &proofs {
        let Ending::Key { count, .. } = &proof.ending else { continue };
        for depth in 0..=proof.siblings.len() {
            let siblings = proof.siblings[..depth].to_vec();
            let mut forged = KeyProof { siblings, ending: Ending::Nothing };
            assert!(verify(&head, claim, &forged).is_err(), "nothing at {depth}");
            for other in model.histories.keys() {
                let (path, root) = (*other, [5; 32]);
                forged.ending = Ending::Other { path, count: *count, root };
                assert!(verify(&head, claim, &forged).is_err(), "{other} at {depth}");
            }
        }
        let mut deeper = proof.clone();
        deeper.siblings.push([0; 32]);
        assert!(verify(&head, claim, &deeper).is_err(), "an empty sibling more");
        deeper.siblings.resize(300, [1; 32]);
        assert!(verify(&head, claim, &deeper).is_err(), "deeper than a path");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_written_back_alike(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        kind in 0_u8..4,
        siblings in 0_u8..3,
    ) {
        let mut bytes = bytes;
        for (at, byte) in [1, kind, siblings, 0].into_iter().enumerate().take(bytes.len()) {
            bytes[at] = byte;
        }
        if let Ok(proof) = KeyProof::decode(&bytes) {
            prop_assert_eq!(proof.encode(), bytes);
            let claim = Claim::newest(path(1));
            prop_assert!(verify(&Model::random(1, 4, 4).map().head(), &claim, &proof).is_err());
        }
    }

    #[test]
    fn any_head_or_leaf_is_refused_or_written_back_alike(
        bytes in proptest::collection::vec(any::<u8>(), 0..90),
    ) {
        if let Ok(head) = MapHead::decode(&bytes) {
            prop_assert_eq!(head.encode().to_vec(), bytes.clone());
        }
        if let Ok(leaf) = VersionLeaf::decode(&bytes) {
            prop_assert_eq!(leaf.encode().to_vec(), bytes);
        }
    }
}

#[test]
fn heads_and_leaves_survive_a_round_trip() {
    let model = Model::random(8, 5, 9);
    let head = model.map().head();
    assert_eq!(MapHead::decode(&head.encode()).expect("as written"), head);
    for (_, leaf) in &model.log {
        assert_eq!(VersionLeaf::decode(&leaf.encode()).expect("as written"), *leaf);
    }
}
