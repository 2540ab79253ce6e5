//! Filters: no key is denied, few strangers pass, no damage goes unnoticed.

use cairn_index::{Filter, FilterBuilder, FilterView, key_hash};
use proptest::prelude::*;

fn built(bits: u32, keys: impl Iterator<Item = u64>) -> Vec<u8> {
    let mut builder = FilterBuilder::new(bits);
    keys.for_each(|key| builder.add(&key.to_be_bytes()));
    assert_eq!(builder.build().len(), builder.built_len());
    builder.build()
}

fn passing(bits: u32, count: u64) -> f64 {
    let bytes = built(bits, 0..count);
    let filter = FilterView::open(&bytes).expect("opens");
    assert!((0..count).all(|key| filter.may_contain(&key.to_be_bytes())), "none is denied");
    let strangers = 200_000;
    let passed =
        (count..count + strangers).filter(|key| filter.may_contain(&key.to_be_bytes())).count();
    passed as f64 / strangers as f64
}

#[test]
fn one_in_a_hundred_strangers_passes_at_ten_bits_a_key() {
    for count in [1000, 100_000, 1_000_000] {
        let share = passing(10, count);
        println!("{count} keys at 10 bits: {:.2} %", share * 100.0);
        assert!(share < 0.0125, "{count} keys: {share}");
    }
    let bytes = built(10, 0..100_000);
    assert!(bytes.len() < 100_000 * 10 / 8 + 200);
}

#[test]
fn more_bits_let_fewer_strangers_pass() {
    for (bits, most) in [(2, 0.6), (5, 0.12), (8, 0.03), (12, 0.006), (16, 0.0016), (24, 0.0004)] {
        let share = passing(bits, 200_000);
        println!("{bits} bits a key: {:.3} %", share * 100.0);
        assert!(share < most, "{bits} bits: {share}");
    }
}

#[test]
fn an_empty_filter_denies_everything() {
    let filter = Filter::open(FilterBuilder::new(10).build()).expect("opens");
    assert!(filter.is_empty() && !filter.may_contain(b"") && !filter.may_contain_hash(u64::MAX));
}

#[test]
fn versions_of_one_key_count_once() {
    let mut builder = FilterBuilder::new(10);
    (0..1000).for_each(|_| builder.add(b"same"));
    assert_eq!(builder.len(), 1);
    assert_eq!(Filter::open(builder.build()).expect("opens").len(), 1);
}

#[test]
fn every_flipped_bit_and_every_cut_is_an_error() {
    let bytes = built(10, 0..500);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(FilterView::open(&damaged).is_err(), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(FilterView::open(&bytes[..len]).is_err(), "{len} bytes");
        assert!(FilterView::open_header(&bytes[..len]).is_err(), "{len} bytes");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(FilterView::open(&longer).is_err());
}

/// Frozen: filters on disk are read by later versions.
#[test]
fn the_layout_never_changes() {
    let bytes = built(10, 0..3);
    assert_eq!(bytes.len(), 128);
    assert_eq!(&bytes[..8], b"CFLT\x01\x00\x06\x00");
    assert_eq!(bytes[8..20], [3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(format!("{:016x}", key_hash(&bytes)), "e29ada41bb1c36ff");
}

proptest! {
    #[test]
    fn no_key_is_denied(
        bits in 0_u32..40,
        keys in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..300),
    ) {
        let mut builder = FilterBuilder::new(bits);
        keys.iter().for_each(|key| builder.add(key));
        let filter = Filter::open(builder.build()).expect("opens");
        prop_assert!(keys.iter().all(|key| filter.may_contain(key)));
        prop_assert_eq!(filter.view().len(), filter.len());
    }

    #[test]
    fn arbitrary_bytes_are_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(FilterView::open(&bytes).is_err());
        bytes.splice(0..0, *b"CFLT\x01\x00\x06\x00");
        prop_assert!(FilterView::open(&bytes).is_err());
    }
}
