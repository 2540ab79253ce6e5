//! Trees and proofs against the definition in RFC 6962, for every small size.

use cairn_merkle::chain;
use cairn_merkle::hash::{Hash, empty_root, node_hash};
use cairn_merkle::log::{Leaves, Tree, TreeHead, consistency, inclusion, prove, state};
use cairn_types::{ChainHash, LeafHash};
use cairn_vfs::SeededRng;
use proptest::prelude::*;

use crate::support::{LARGE, entry, flips, leaf, leaves};

const SIZE: u64 = 70;

/// MTH of RFC 6962 section 2.1, as it stands there.
fn root_by_definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let left = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(left);
            node_hash(&root_by_definition(left), &root_by_definition(right))
        }
    }
}

fn head_of(leaves: &[Hash]) -> TreeHead {
    TreeHead { size: leaves.len() as u64, root: root_by_definition(leaves) }
}

#[test]
fn the_chain_of_records_is_that_of_the_log_format() {
    let (mut ours, mut theirs) = (ChainHash::GENESIS, ChainHash::GENESIS);
    for n in 0..100 {
        assert_eq!(LeafHash::from(leaf(n)), cairn_codec::hash::leaf(&entry(n)));
        ours = chain::next(&ours, &leaf(n));
        theirs = cairn_codec::hash::record_chain(&theirs, &leaf(n).into());
        assert_eq!(ours, theirs);
    }
    assert!(chain::verify(&ChainHash::GENESIS, &leaves(100), &ours).is_ok());
    assert!(chain::verify(&ChainHash::GENESIS, &leaves(99), &ours).is_err());
}

#[test]
fn every_root_is_that_of_the_definition() {
    let leaves = leaves(300);
    let mut tree = Tree::new();
    assert_eq!(tree.root(), empty_root());
    for size in 1..=leaves.len() {
        assert_eq!(tree.push(leaves[size - 1]).expect("not full"), size as u64 - 1);
        assert_eq!(tree.head(), head_of(&leaves[..size]));
        assert_eq!(prove::root(&Leaves(&leaves), size as u64).expect("in range"), tree.root());
        let mut bulk = Tree::new();
        bulk.extend(&leaves[..size / 3]).expect("not full");
        bulk.extend(&leaves[size / 3..size]).expect("not full");
        assert_eq!(bulk, tree);
    }
}

#[test]
fn every_inclusion_proof_verifies_and_no_changed_one_does() {
    let all = leaves(SIZE);
    for size in 1..=SIZE {
        let root = head_of(&all[..size as usize]).root;
        for index in 0..size {
            let leaf = &all[index as usize];
            let proof = prove::inclusion(&Leaves(&all), index, size).expect("in range");
            assert_eq!(proof.len() as u64, inclusion::proof_len(index, size).expect("in range"));
            let check = |index, size, leaf: &Hash, proof: &[Hash], root: &Hash| {
                inclusion::verify(index, size, leaf, proof, root).is_ok()
            };
            assert!(check(index, size, leaf, &proof, &root), "{index} of {size}");
            for other in (0..=size).filter(|other| *other != index) {
                assert!(!check(other, size, leaf, &proof, &root), "{index} of {size} as {other}");
            }
            for (at, _) in proof.iter().enumerate() {
                let mut changed = proof.clone();
                changed[at] = Hash::new([7; 32]);
                assert!(!check(index, size, leaf, &changed, &root));
                changed = proof.clone();
                changed.remove(at);
                assert!(!check(index, size, leaf, &changed, &root), "one hash too few");
                changed = proof.clone();
                changed.insert(at, proof[at]);
                assert!(!check(index, size, leaf, &changed, &root), "one hash too many");
            }
            assert!(size == 1 || !check(index, size, &root, &proof, leaf), "roles swapped");
        }
    }
}

#[test]
fn every_consistency_proof_verifies_and_no_changed_one_does() {
    let all = leaves(SIZE);
    for new_size in 1..=SIZE {
        let new = head_of(&all[..new_size as usize]);
        for old_size in 1..=new_size {
            let old = head_of(&all[..old_size as usize]);
            let proof = prove::consistency(&Leaves(&all), old_size, new_size).expect("in range");
            consistency::verify(&old, &new, &proof).expect("the tree grew");
            consistency::verify_as_witness(&old, &new, &proof).expect("the tree grew");
            let refused = |old: &TreeHead, new: &TreeHead, proof: &[Hash]| {
                assert!(consistency::verify(old, new, proof).is_err(), "{old:?} {new:?}");
            };
            let wrong = Hash::new([7; 32]);
            refused(&TreeHead { root: wrong, ..old }, &new, &proof);
            refused(&old, &TreeHead { root: wrong, ..new }, &proof);
            refused(&TreeHead { size: old_size + 1, ..old }, &new, &proof);
            refused(&TreeHead { size: 0, ..old }, &new, &proof);
            refused(&old, &new, &[proof.as_slice(), &[wrong]].concat());
            for at in 0..proof.len() {
                let mut changed = proof.clone();
                changed[at] = wrong;
                refused(&old, &new, &changed);
                changed.remove(at);
                refused(&old, &new, &changed);
            }
            if old_size < new_size {
                refused(&new, &old, &proof);
                refused(&TreeHead { size: new_size, ..old }, &new, &[]);
            }
        }
    }
}

#[test]
fn a_witness_that_saw_nothing_takes_any_tree_with_an_empty_proof_only() {
    let new = head_of(&leaves(5));
    let empty = TreeHead::empty();
    assert!(consistency::verify_as_witness(&empty, &new, &[]).is_ok());
    assert!(consistency::verify_as_witness(&empty, &empty, &[]).is_ok());
    assert!(consistency::verify_as_witness(&empty, &new, &[new.root]).is_err());
    let odd = TreeHead { size: 0, root: new.root };
    assert!(consistency::verify_as_witness(&odd, &new, &[]).is_err());
    assert!(consistency::verify_as_witness(&odd, &odd, &[]).is_err());
    assert!(consistency::verify(&empty, &new, &[]).is_err());
}

#[test]
fn a_state_comes_back_and_every_flipped_bit_and_cut_is_an_error() {
    let mut tree = Tree::new();
    for size in 0..=LARGE.min(3_000) {
        assert_eq!(state::decode(&state::encode(&tree)).expect("as written"), tree, "{size}");
        tree.push(leaf(size)).expect("not full");
    }
    let bytes = state::encode(&tree);
    for (bit, flipped) in flips(&bytes) {
        assert!(state::decode(&flipped).is_err(), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(state::decode(&bytes[..len]).is_err(), "cut to {len}");
    }
    assert!(state::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    assert!(state::decode(&vec![0; 1 << 20]).is_err());
}

proptest! {
    #[test]
    fn random_proofs_of_random_trees_are_refused(
        index in 0..100_u64, size in 0..100_u64, count in 0..9_usize, seed in any::<u64>(),
    ) {
        let rng = SeededRng::new(seed);
        let random = || {
            let mut bytes = [0; 32];
            cairn_vfs::Rng::fill(&rng, &mut bytes);
            Hash::new(bytes)
        };
        let proof: Vec<Hash> = (0..count).map(|_| random()).collect();
        let [leaf, root] = [random(), random()];
        prop_assert!(inclusion::verify(index, size, &leaf, &proof, &root).is_err());
        let [old, new] = [TreeHead { size: index, root: leaf }, TreeHead { size, root }];
        prop_assert!(consistency::verify(&old, &new, &proof).is_err());
    }

    #[test]
    fn random_bytes_are_no_state(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(state::decode(&bytes).is_err());
        let posing = [b"CRNtree1".as_slice(), &bytes].concat();
        prop_assert!(state::decode(&posing).is_err());
    }
}
