//! The prefix index against a `BTreeMap`: same answers, in the promised memory.

use cairn_index::{PrefixIndex, key_hash, prefix_end};
use cairn_types::limits::MAX_INDEX_KEY_LEN;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Short keys over a small alphabet meet often; some are long and share much.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => proptest::collection::vec(prop_oneof![Just(0), Just(97), Just(98), Just(255)], 0..6),
        3 => (0_u32..2000).prop_map(|n| format!("/registry/pods/{n}").into_bytes()),
        1 => (0_usize..4097, any::<u8>()).prop_map(|(len, last)| {
            let mut key = vec![b'x'; len];
            if let Some(byte) = key.last_mut() { *byte = last; }
            key
        }),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Insert(Vec<u8>),
    Remove(Vec<u8>),
    /// Removes the key nearest to this one, so that removals find something.
    RemoveNear(Vec<u8>),
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => key().prop_map(Step::Insert),
        1 => key().prop_map(Step::Remove),
        2 => key().prop_map(Step::RemoveNear),
    ];
    proptest::collection::vec(step, 1..most)
}

fn apply(steps: &[Step]) -> (PrefixIndex<usize>, BTreeMap<Vec<u8>, usize>) {
    let (mut index, mut model) = (PrefixIndex::new(), BTreeMap::new());
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Insert(key) => {
                let old = index.insert(key, number).expect("short enough");
                assert_eq!(old, model.insert(key.clone(), number));
            }
            Step::Remove(key) => assert_eq!(index.remove(key), model.remove(key)),
            Step::RemoveNear(key) => {
                let near = model.range(key.clone()..).next().map(|(key, _)| key.clone());
                let near = near.unwrap_or_default();
                assert_eq!(index.remove(&near), model.remove(&near));
            }
        }
        assert_eq!(index.len(), model.len());
    }
    index.check_invariants();
    (index, model)
}

fn same(index: &PrefixIndex<usize>, model: &BTreeMap<Vec<u8>, usize>) {
    let mut keys = index.range(..);
    for (key, value) in model {
        assert_eq!(keys.step(), Some((&key[..], value)));
    }
    assert_eq!(keys.step(), None);
    let mut keys = index.range(..);
    for (key, value) in model.iter().rev() {
        assert_eq!(keys.step_back(), Some((&key[..], value)));
    }
    assert_eq!(keys.step_back(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn it_holds_what_a_map_holds(steps in steps(1500)) {
        let (index, model) = apply(&steps);
        same(&index, &model);
        for (key, value) in &model {
            prop_assert_eq!(index.get(key), Some(value));
        }
    }

    #[test]
    fn ranges_counts_and_places_are_those_of_a_map(
        steps in steps(600),
        bounds in proptest::collection::vec((key(), key(), 0_u8..9, 0_usize..50), 1..30),
    ) {
        let (index, model) = apply(&steps);
        for (a, b, kinds, n) in &bounds {
            let bound = |kind: u8, key| match kind {
                0 => Bound::Included(key),
                1 => Bound::Excluded(key),
                _ => Bound::Unbounded,
            };
            let (from, to) = (bound(kinds % 3, &a[..]), bound(kinds / 3, &b[..]));
            let within = |key: &[u8]| {
                (match from { Bound::Included(a) => key >= a, Bound::Excluded(a) => key > a, _ => true })
                    && match to { Bound::Included(b) => key <= b, Bound::Excluded(b) => key < b, _ => true }
            };
            let right: Vec<_> =
                model.iter().filter(|(key, _)| within(key)).map(|(k, v)| (k.clone(), v)).collect();
            prop_assert_eq!(index.count((from, to)), right.len());
            prop_assert_eq!(index.nth((from, to), *n), right.get(*n).cloned());
            prop_assert_eq!(index.range((from, to)).page(usize::MAX), right.clone());
            let mut keys = index.range((from, to));
            keys.skip_back(*n);
            let last = right.len().checked_sub(n + 1).map(|at| (&right[at].0[..], right[at].1));
            prop_assert_eq!(keys.step_back(), last);
            // Both ends meet: no key twice, none left out.
            let mut keys = index.range((from, to));
            let (mut front, mut back) = (Vec::new(), Vec::new());
            while let Some((key, _)) = keys.step() {
                front.push(key.to_vec());
                back.extend(keys.step_back().map(|(key, _)| key.to_vec()));
            }
            front.extend(back.into_iter().rev());
            prop_assert!(front.iter().eq(right.iter().map(|(key, _)| key)));
            let right: Vec<_> = model.iter().filter(|(key, _)| key.starts_with(a)).collect();
            let mut keys = index.prefix(a);
            prop_assert_eq!(keys.len(), right.len());
            for (key, value) in right {
                prop_assert_eq!(keys.step(), Some((&key[..], value)));
            }
        }
    }

    #[test]
    fn the_end_of_a_prefix_is_its_tight_bound(prefix: Vec<u8>, key: Vec<u8>) {
        let below = prefix_end(&prefix).is_none_or(|end| key < end);
        prop_assert_eq!(key.starts_with(&prefix), key >= prefix && below);
    }
}

fn random(n: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&key_hash(&n.to_le_bytes()).to_be_bytes());
    key[8..].copy_from_slice(&key_hash(&n.to_be_bytes()).to_be_bytes());
    key
}

#[test]
fn a_million_random_keys_are_counted_and_packed() {
    let mut index = PrefixIndex::new();
    for n in 0..1_000_000_u64 {
        assert_eq!(index.insert(&random(n), n), Ok(None));
    }
    index.check_invariants();
    let each = index.memory() as f64 / 1e6;
    println!("random keys of 16 B with values of 8 B: {each:.1} B each");
    assert!(each < 42.0, "{each}");
    let mut keys = index.range(..);
    let mut rank = 0;
    while let Some((key, _)) = keys.step() {
        if rank % 9973 == 0 {
            assert_eq!(index.count(..key), rank);
            assert_eq!(index.nth(.., rank).expect("there").0, key);
        }
        rank += 1;
    }
    for n in 0..1_000_000 {
        assert_eq!(index.remove(&random(n)), Some(n));
    }
    index.check_invariants();
    assert!(index.is_empty() && index.memory() < 10_000, "{}", index.memory());
}

#[test]
fn keys_that_come_in_order_fill_their_blocks() {
    let mut index = PrefixIndex::new();
    for n in 0..1_000_000_u64 {
        index
            .insert(format!("/registry/pods/namespace-{:03}/{n:08}", n / 1000).as_bytes(), n)
            .expect("short");
    }
    index.check_invariants();
    let each = index.memory() as f64 / 1e6;
    println!("keys of 35 B in order with values of 8 B: {each:.1} B each");
    assert!(each < 24.0, "{each}");
    assert_eq!(index.prefix(b"/registry/pods/namespace-007/").len(), 1000);
}

#[test]
fn the_longest_keys_fit_and_longer_ones_are_refused() {
    let mut index = PrefixIndex::new();
    for n in 0..2000_u32 {
        let mut key = vec![7; MAX_INDEX_KEY_LEN];
        key[MAX_INDEX_KEY_LEN - 4..].copy_from_slice(&n.to_be_bytes());
        index.insert(&key, n).expect("just fits");
        // Breaks up the prefix that all others share.
        index.insert(&[n as u8, (n >> 8) as u8], n).expect("short");
    }
    index.check_invariants();
    assert_eq!(index.len(), 4000);
    assert!(index.insert(&[0; MAX_INDEX_KEY_LEN + 1], 1).is_err());
}

/// Blocks of few long keys are split by their bytes, wherever the next key goes; once such a
/// block was full and a key belonged in its middle.
#[test]
fn long_keys_that_share_anything_from_nothing_to_everything_fit() {
    for seed in 0..6_u64 {
        let (mut index, mut model) = (PrefixIndex::new(), BTreeMap::new());
        for n in 0..3000_usize {
            let random = key_hash(&[seed.to_le_bytes(), (n as u64).to_le_bytes()].concat());
            let mut key = vec![b'x'; (random % 4097) as usize];
            for place in [random >> 16, random >> 28] {
                let place = (place % 4096) as usize;
                if let Some(byte) = key.get_mut(place) {
                    *byte = (random >> 40) as u8;
                }
            }
            assert_eq!(index.insert(&key, n), Ok(model.insert(key, n)));
            if n % 3 == 0 {
                let at = (random >> 20) as usize % model.len();
                let key = index.nth(.., at).expect("there").0;
                assert_eq!(index.remove(&key), model.remove(&key));
            }
        }
        index.check_invariants();
        same(&index, &model);
    }
}
