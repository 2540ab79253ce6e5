//! A checkpoint restores the map that wrote it, or is refused.

use crate::model::Model;
use cairn_merkle::map::{Error, KeyMap};
use cairn_types::Lsn;
use proptest::prelude::*;
use std::convert::Infallible;

fn checkpoint(map: &KeyMap) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = map.checkpoint(|piece| {
        bytes.extend_from_slice(piece);
        Ok::<(), Infallible>(())
    });
    assert_eq!(written, Ok(bytes.len() as u64));
    bytes
}

#[test]
fn a_restored_map_is_the_same_and_goes_on_alike() {
    for (keys, revisions) in [(1, 0), (1, 1), (9, 40), (2_000, 3_000)] {
        let model = Model::random(6, keys, revisions);
        let half = model.log.len() / 2;
        let until = model.log.get(half).map_or(0, |(_, one)| one.modified.main);
        let half = model.log.partition_point(|(_, one)| one.modified.main <= until);
        let end = model.log.get(half).map_or(model.lsn, |(_, next)| next.lsn.get());
        let mut map = KeyMap::new();
        map.update(&model.log[..half], until, Lsn::new(end)).expect("in order");
        let mut restored = KeyMap::restore(&checkpoint(&map)).expect("as written");
        assert_eq!(restored.head(), map.head());
        assert_eq!(checkpoint(&restored), checkpoint(&map));
        restored.update(&model.log[half..], model.revision, Lsn::new(model.lsn)).expect("in order");
        assert_eq!(restored.head(), model.map().head());
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let bytes = checkpoint(&Model::random(2, 7, 20).map());
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(KeyMap::restore(&bytes).is_err(), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(KeyMap::restore(&bytes[..len]).is_err(), "{len} bytes");
    }
    assert!(KeyMap::restore(&[&bytes[..], &[0]].concat()).is_err());
    let mut newer = bytes;
    newer[4] = 2;
    assert!(matches!(KeyMap::restore(&newer), Err(Error::UnsupportedVersion { found: 2, .. })));
}

#[test]
fn blocks_that_are_missing_or_in_another_order_are_noticed() {
    let model = Model::random(2, 5_000, 4_000);
    let bytes = checkpoint(&model.map());
    let mut starts = vec![80];
    loop {
        let at = *starts.last().expect("one");
        let len = |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().expect("four"));
        if len(at) == 0 {
            break;
        }
        starts.push(at + 12 + len(at + 4) as usize);
    }
    assert!(starts.len() > 3, "at least three blocks");
    let [head, first, second, rest] =
        [&bytes[..80], &bytes[80..starts[1]], &bytes[starts[1]..starts[2]], &bytes[starts[2]..]];
    assert!(KeyMap::restore(&[head, first, second, rest].concat()).is_ok());
    for other in
        [vec![head, second, first, rest], vec![head, first, rest], vec![head, first, first]]
    {
        assert!(KeyMap::restore(&other.concat()).is_err());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(KeyMap::restore(&bytes).is_err());
        let valid = checkpoint(&KeyMap::new());
        let damaged = [&valid[..80], &bytes].concat();
        prop_assert!(KeyMap::restore(&damaged).is_err() || damaged == valid);
    }
}
