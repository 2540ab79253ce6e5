//! The key ring: damage, outer keys, places.

use cairn_codec::Error;
use cairn_codec::seal::{KeyNumber, KeyRing, OuterKey, RING_LEN_MAX};
use cairn_types::Timestamp;
use proptest::prelude::*;

const STORE: [u8; 16] = [9; 16];

fn outer(seed: u8) -> OuterKey {
    OuterKey::new(&[seed; 32]).expect("a key")
}

fn random() -> impl FnMut(&mut [u8]) {
    let mut next = 0_u8;
    move |bytes| bytes.iter_mut().for_each(|byte| (*byte, next) = (next, next.wrapping_add(37)))
}

fn ring() -> KeyRing {
    let mut random = random();
    let ring = KeyRing::create(STORE, &outer(1), Timestamp::from_micros(5), &mut random);
    let given = [outer(1)];
    let rotated = ring.rotate(&given, &outer(2), Timestamp::from_micros(6), &mut random);
    rotated.expect("rotates")
}

#[test]
fn a_ring_survives_its_bytes_and_opens_with_its_outer_key_alone() {
    let ring = ring();
    assert_eq!(KeyRing::decode(&ring.encode()), Ok(ring.clone()));
    assert_eq!((ring.active(), ring.generation()), (KeyNumber::new(2), 2));
    assert_eq!(ring.check(&[outer(7), outer(2)]), Ok(()));
    assert_eq!(ring.check(&[outer(1)]), Err(Error::KeyMissing { id: outer(2).id() }));
    assert_eq!(ring.check(&[]), Err(Error::KeyMissing { id: outer(2).id() }));
    assert_ne!(outer(1).id(), outer(2).id());
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused_also_behind_a_checksum_that_is_right() {
    let bytes = ring().encode();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(KeyRing::decode(&flipped).is_err(), "bit {bit}");
        let body = flipped.len() - 4;
        let crc = crc32fast::hash(&flipped[..body]);
        flipped[body..].copy_from_slice(&crc.to_le_bytes());
        // The generation says which copy is newer and is bound to nothing.
        let is_bound = !(24..32).contains(&(bit / 8)) && bit / 8 < body;
        if let (Ok(ring), true) = (KeyRing::decode(&flipped), is_bound) {
            assert!(ring.check(&[outer(1), outer(2)]).is_err(), "bit {bit}");
        }
    }
    for len in 0..bytes.len() {
        assert!(KeyRing::decode(&bytes[..len]).is_err(), "cut to {len}");
    }
}

#[test]
fn a_ring_holds_so_many_keys_and_no_more() {
    let mut random = random();
    let now = Timestamp::from_micros(0);
    let mut ring = KeyRing::create(STORE, &outer(1), now, &mut random);
    let given = [outer(1)];
    while let Ok(next) = ring.rotate(&given, &given[0], now, &mut random) {
        ring = next;
    }
    assert_eq!(ring.keys().count(), cairn_codec::seal::RING_KEYS_MAX);
    assert_eq!(ring.encode().len(), RING_LEN_MAX);
    assert_eq!(KeyRing::decode(&ring.encode()), Ok(ring.clone()));
    let kept = ring.retain(|number| number.get() == 3);
    assert_eq!(kept.keys().map(|key| key.number.get()).collect::<Vec<_>>(), [3, 1024]);
    assert_eq!(kept.joined(&ring).keys().count(), 1024);
    assert!(kept.joined(&ring).check(&given).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(KeyRing::decode(&bytes).is_err());
    }
}
