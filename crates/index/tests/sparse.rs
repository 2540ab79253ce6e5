//! Sparse indexes: every key is found where a scan would find it, no damage goes unnoticed.

use cairn_index::{Span, SparseBuilder, SparseIndex, SparseView, key_hash};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn key() -> impl Strategy<Value = Vec<u8>> {
    let letter = prop_oneof![Just(0), Just(b'a'), Just(b'b'), Just(255)];
    prop_oneof![
        proptest::collection::vec(letter, 0..12),
        (0_u32..500).prop_map(|n| format!("/registry/pods/{n}").into_bytes()),
    ]
}

fn built(keys: &BTreeSet<Vec<u8>>, stride: usize) -> Vec<u8> {
    let mut builder = SparseBuilder::every(stride);
    for (number, key) in keys.iter().enumerate() {
        builder.add(key, number as u64 * 10).expect("in order");
    }
    assert_eq!(builder.len(), keys.len().div_ceil(stride));
    builder.build(keys.len() as u64 * 10).expect("small")
}

proptest! {
    #[test]
    fn a_key_is_sought_where_a_scan_finds_it(
        keys in proptest::collection::btree_set(key(), 0..120),
        probes in proptest::collection::vec(key(), 1..40),
        stride in 1_usize..9,
    ) {
        let index = SparseIndex::open(built(&keys, stride)).expect("opens");
        for probe in keys.iter().chain(&probes) {
            let above = keys.range(..=probe.clone()).count();
            let entry = above.checked_sub(1).map(|number| number / stride * stride);
            prop_assert_eq!(index.seek(probe), entry.map(|number| number as u64 * 10));
            let end = entry.map(|number| ((number + stride).min(keys.len()) * 10) as u64);
            prop_assert_eq!(index.seek_span(probe).map(|span| span.end), end);
        }
        let kept: Vec<_> = (0..index.view().len()).filter_map(|at| index.view().key(at)).collect();
        prop_assert!(kept.iter().eq(keys.iter().step_by(stride)));
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(SparseView::open(&bytes).is_err());
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_an_error() {
    let keys = (0..20).map(|n| format!("key {n:03}").into_bytes()).collect();
    let bytes = built(&keys, 2);
    assert!(SparseView::open(&bytes).is_ok());
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(SparseView::open(&damaged).is_err(), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(SparseView::open(&bytes[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn what_is_not_in_order_is_refused() {
    let mut builder = SparseBuilder::every(2);
    builder.add(b"b", 5).expect("first");
    assert!(builder.add(b"b", 6).is_err() && builder.add(b"a", 6).is_err());
    assert!(builder.add(b"c", 4).is_err() && builder.add(&[255; 4113], 9).is_err());
    builder.add(b"c", 9).expect("in order");
    assert!(builder.build(8).is_err());
    let index = SparseIndex::open(builder.build(9).expect("fits")).expect("opens");
    assert_eq!(index.seek_span(b"zebra"), Some(Span { start: 5, end: 9 }));
}

/// Frozen: later versions read what is on disk.
#[test]
fn the_layout_never_changes() {
    let keys = [&b"ab"[..], b"abcdefghijk", b"ac"].map(<[u8]>::to_vec).into_iter().collect();
    let bytes = built(&keys, 1);
    assert_eq!(&bytes[..8], b"CSPX\x01\x00\x01\x00");
    assert_eq!(bytes[8..24], [3, 0, 0, 0, 12, 0, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(&bytes[32..48], b"\0\0\0\0\0\0\0bihgfedcb");
    assert_eq!(&bytes[32 + 60..], b"abbcdefghijkc");
    assert_eq!(format!("{:016x}", key_hash(&bytes)), "e898f4eab4de153d");
}
