//! What the map proves is what the model says, and its root is what the definition says.

use crate::model::{Model, Random, path};
use cairn_merkle::map::{Claim, Error, KeyMap, KeyProof, PathHash, VersionLeaf, verify};
use cairn_types::{Lsn, Revision};
use sha2::{Digest, Sha256};

type Hash = [u8; 32];

#[test]
fn every_claim_at_every_revision_is_proven_as_the_model_says() {
    for seed in 1..=8 {
        let keys = seed * 7;
        let model = Model::random(seed, keys, 60);
        let (map, head) = (model.map(), model.map().head());
        for key in 0..keys + 5 {
            for claim in model.claims(path(key)) {
                let proof = map.prove(&claim, &model).expect("provable");
                let proof = KeyProof::decode(&proof.encode()).expect("as written");
                let verdict = verify(&head, &claim, &proof).expect("holds");
                assert_eq!(verdict, model.truth(&claim), "seed {seed}, {claim:?}");
            }
        }
    }
}

/// Whatever proof is offered for whatever claim: what is accepted is true.
#[test]
fn no_proof_of_one_claim_shows_something_false_of_another() {
    let model = Model::random(99, 6, 14);
    let (map, head) = (model.map(), model.map().head());
    let claims: Vec<Claim> = (0..8).flat_map(|key| model.claims(path(key))).collect();
    let proofs: Vec<KeyProof> =
        claims.iter().map(|claim| map.prove(claim, &model).expect("provable")).collect();
    let mut accepted = 0;
    for proof in &proofs {
        for claim in &claims {
            if let Ok(verdict) = verify(&head, claim, proof) {
                assert_eq!(verdict, model.truth(claim), "{claim:?}");
                accepted += 1;
            }
        }
    }
    assert!(accepted >= claims.len(), "each proof is accepted for its own claim");
}

#[test]
fn proofs_hold_against_their_own_head_only() {
    let model = Model::random(3, 9, 40);
    let (mut map, mut start) = (KeyMap::new(), 0);
    let mut heads = vec![map.head()];
    for revision in 2..=model.revision {
        let len = model.log[start..].partition_point(|(_, one)| one.modified.main <= revision);
        let batch = &model.log[start..start + len];
        start += len;
        let end = batch.last().expect("a change each").1.lsn.get() + 1;
        heads.push(map.update(batch, revision, Lsn::new(end)).expect("in order"));
    }
    let claim = Claim::history(model.log.last().expect("some").0);
    let proof = map.prove(&claim, &model).expect("provable");
    for (age, head) in heads.iter().rev().enumerate() {
        assert_eq!(verify(head, &claim, &proof).is_ok(), age == 0, "{age} heads before");
    }
}

/// RFC 6962 as its text has it.
fn tree(leaves: &[Hash]) -> Hash {
    if let [leaf] = leaves {
        return *leaf;
    }
    let half = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(half);
    Sha256::digest([&[1][..], &tree(left), &tree(right)].concat()).into()
}

/// Empty, an entry alone, or an inner node: what the module's text says.
fn trie(entries: &[(PathHash, Hash)], depth: usize) -> Hash {
    match entries {
        [] => [0; 32],
        [(_, hash)] => *hash,
        _ => {
            let is_left = |path: &PathHash| path.as_bytes()[depth / 8] & (0x80 >> (depth % 8)) == 0;
            let middle = entries.partition_point(|(path, _)| is_left(path));
            let (left, right) = entries.split_at(middle);
            let sides = [&b"CRNmpn1\0"[..], &trie(left, depth + 1), &trie(right, depth + 1)];
            Sha256::digest(sides.concat()).into()
        }
    }
}

fn root_by_definition(model: &Model) -> Hash {
    let entry = |(path, history): (&PathHash, &Vec<VersionLeaf>)| {
        let leaf = |one: &VersionLeaf| Sha256::digest([&[0][..], &one.encode()].concat()).into();
        let root = tree(&history.iter().map(leaf).collect::<Vec<Hash>>());
        let count = (history.len() as u64).to_le_bytes();
        let parts = [&b"CRNmpe1\0"[..], path.as_bytes(), &count, &root].concat();
        (*path, Sha256::digest(parts).into())
    };
    trie(&model.histories.iter().map(entry).collect::<Vec<_>>(), 0)
}

#[test]
fn the_root_is_what_the_definition_says() {
    for (seed, keys, revisions) in [(1, 1, 1), (2, 1, 9), (3, 2, 4), (4, 30, 99), (5, 999, 900)] {
        let model = Model::random(seed, keys, revisions);
        assert_eq!(model.map().root(), root_by_definition(&model), "seed {seed}");
        assert_eq!(model.map().head().key_count, model.histories.len() as u64);
    }
}

#[test]
fn the_root_is_independent_of_order_and_batches() {
    let model = Model::random(11, 400, 800);
    let expected = model.map().head();
    for seed in 1..=6 {
        let mut random = Random(seed);
        let (mut map, mut start) = (KeyMap::new(), 0);
        while start < model.log.len() {
            let size = 1 + random.below([3, 50, 900][seed as usize % 3]) as usize;
            let until = model.log[(start + size).min(model.log.len()) - 1].1.modified.main;
            let len = model.log[start..].partition_point(|(_, one)| one.modified.main <= until);
            let mut batch = model.log[start..start + len].to_vec();
            start += len;
            let end = model.log.get(start).map_or(model.lsn, |(_, next)| next.lsn.get());
            random.shuffle(&mut batch);
            map.update(&batch, until, Lsn::new(end)).expect("in order");
        }
        assert_eq!(map.head(), expected, "seed {seed}");
    }
}

/// Paths that share long prefixes, as nobody will find them by hashing keys.
#[test]
fn paths_that_differ_in_the_last_bit_have_their_places() {
    let mut paths = vec![PathHash::new([0; 32]), PathHash::new([0xff; 32])];
    for bit in 0..8 {
        let mut bytes = [0; 32];
        bytes[31] = 1 << bit;
        paths.push(PathHash::new(bytes));
    }
    let mut model = Model { revision: 2, ..Model::default() };
    for (lsn, path) in (0..).zip(&paths[1..]) {
        let version = VersionLeaf::put(Revision { main: 2, sub: lsn }, Lsn::new(lsn.into()), b"v");
        model.histories.insert(*path, vec![version]);
        model.log.push((*path, version));
        model.lsn += 1;
    }
    let map = model.map();
    assert_eq!(map.root(), root_by_definition(&model));
    for path in &paths {
        let claim = Claim::newest(*path);
        let proof = map.prove(&claim, &model).expect("provable").encode();
        let proof = KeyProof::decode(&proof).expect("as written");
        assert_eq!(verify(&map.head(), &claim, &proof).expect("holds"), model.truth(&claim));
    }
    let deepest = map.prove_path(&paths[2]).siblings.len();
    assert_eq!(deepest, 255, "beside the path that was never written");
}

#[test]
fn a_revision_after_the_head_has_no_answer() {
    let model = Model::random(5, 3, 5);
    let (map, claim) = (model.map(), Claim::at(path(0), model.revision + 1));
    assert!(matches!(map.prove(&claim, &model), Err(Error::FutureRevision { .. })));
    let proof = map.prove(&Claim::newest(path(0)), &model).expect("provable");
    assert!(matches!(verify(&map.head(), &claim, &proof), Err(Error::FutureRevision { .. })));
}

#[test]
fn an_empty_map_proves_that_nothing_ever_was() {
    let (map, claim) = (KeyMap::new(), Claim::at(path(0), 0));
    let proof = map.prove(&claim, [].as_slice()).expect("provable");
    assert_eq!(proof.encode().len(), 4);
    assert_eq!(verify(&map.head(), &claim, &proof).expect("holds"), Model::default().truth(&claim));
}

#[test]
fn a_source_with_other_versions_proves_nothing() {
    let model = Model::random(21, 2, 20);
    let map = model.map();
    let mut other = model.clone();
    for history in other.histories.values_mut() {
        history.iter_mut().for_each(|one| one.lease += u64::from(!one.tombstone));
    }
    for claim in model.claims(path(0)) {
        assert!(matches!(map.prove(&claim, &other), Err(Error::SourceDiffers)), "{claim:?}");
    }
    let gone = map.prove(&Claim::newest(path(0)), [].as_slice());
    assert!(matches!(gone, Err(Error::Source(_))), "versions that cannot be read");
}
