//! The cipher of files: known answers, places, counters.

use cairn_codec::Error;
use cairn_codec::seal::{BlockCipher, BlockIdentity, FileCipher, FileKind, StoreKey};
use proptest::prelude::*;

const STORE: [u8; 16] =
    [200, 201, 202, 203, 204, 205, 206, 207, 208, 209, 210, 211, 212, 213, 214, 215];
const FILE: u64 = 0x01_0203_0405;

fn key() -> StoreKey {
    let secret: Vec<u8> = (1..=32).collect();
    StoreKey::new(STORE, &secret).expect("a key")
}

fn salt() -> [u8; 16] {
    std::array::from_fn(|n| 100 + u8::try_from(n).expect("small"))
}

fn at(place: u64) -> BlockIdentity {
    BlockIdentity { store_id: STORE, file: FILE, place }
}

fn seal(cipher: &FileCipher, place: u64, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    cipher.seal(&at(place), plain, &mut out).expect("seals");
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Computed from the description of the format by another implementation of HKDF and
/// AES-256-GCM (OpenSSL's).
#[test]
fn blocks_are_those_that_another_program_computes_from_the_description() {
    let segment = key().new_file(FileKind::Segment, FILE, &salt());
    assert_eq!(hex(&seal(&segment, 256, b"")), "0000000000000000ce1d2183b473257de2f18f4e4c87a916");
    assert_eq!(
        hex(&seal(&segment, 4096, b"a batch of records")),
        "010000000000000047d43e52d101456c7a4a5f25dc7a97a16350aa32ce1b514359f081f2\
         c523ccb5674f"
    );
    let table = key().new_file(FileKind::Table, FILE, &salt());
    assert_eq!(
        hex(&seal(&table, 7, &[0; 100])),
        "0000000000000000c3a965472423043ee47361c045e566064944d38c2bf17f1f1bc9feb4\
         f2cc21ba2f4ddd14b95e25b7c7d3652c0608d29d8e578db70ccefd3160b58cac6cfadbf1\
         5baecae07936e33020b8971bc889d5373d79f6a1b1527b0555dc7f8549ca8512317fd74d\
         357a4b2b8e340bce340012a25c909eb3"
    );
    assert_eq!(segment.sealed_count(), 2);
}

#[test]
fn the_same_block_sealed_twice_is_never_the_same_bytes() {
    let cipher = key().new_file(FileKind::Segment, FILE, &salt());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        let sealed = seal(&cipher, 256, b"the same block");
        assert!(seen.insert(sealed[8..].to_vec()));
    }
    // Another salt, another key: the counter begins anew and nothing repeats.
    let other = key().new_file(FileKind::Segment, FILE, &[1; 16]);
    assert!(seen.insert(seal(&other, 256, b"the same block")[8..].to_vec()));
}

#[test]
fn a_block_opens_in_its_place_alone() {
    let writer = key().new_file(FileKind::Segment, FILE, &salt());
    let sealed = seal(&writer, 256, b"secret");
    let reader = key().old_file(FileKind::Segment, FILE, &salt());
    let open = |cipher: &FileCipher, place: &BlockIdentity| {
        let mut out = vec![9];
        let opened = cipher.open(place, &sealed, &mut out);
        if opened.is_err() {
            assert_eq!(out, [9], "nothing is given out");
        }
        opened.map(|()| out[1..].to_vec())
    };
    assert_eq!(open(&reader, &at(256)), Ok(b"secret".to_vec()));
    assert_eq!(open(&reader, &at(257)), Err(Error::Decrypt), "another place");
    let moved = BlockIdentity { file: FILE + 1, ..at(256) };
    assert_eq!(open(&reader, &moved), Err(Error::Decrypt), "another file");
    let foreign = BlockIdentity { store_id: [0; 16], ..at(256) };
    assert_eq!(open(&reader, &foreign), Err(Error::Decrypt), "another store");
    let others = [
        key().old_file(FileKind::Table, FILE, &salt()),
        key().old_file(FileKind::Segment, FILE, &[0; 16]),
        StoreKey::new(STORE, &[5; 32]).expect("a key").old_file(FileKind::Segment, FILE, &salt()),
    ];
    for other in &others {
        assert_eq!(open(other, &at(256)), Err(Error::Decrypt), "{other:?}");
    }
}

#[test]
fn a_file_that_was_opened_for_reading_is_not_sealed_into() {
    let reader = key().old_file(FileKind::Segment, FILE, &salt());
    let mut out = Vec::new();
    assert!(reader.seal(&at(0), b"x", &mut out).is_err());
    assert!(out.is_empty());
}

#[test]
fn short_and_empty_keys_are_refused_and_no_key_is_shown() {
    for len in [0, 16, 31, 33, 64] {
        assert!(StoreKey::new(STORE, &vec![7; len]).is_err(), "{len}");
    }
    assert!(StoreKey::new(STORE, &[0; 32]).is_err());
    let shown = format!("{:?} {:?}", key(), key().new_file(FileKind::Table, 1, &salt()));
    assert_eq!(shown, "StoreKey(..) FileCipher(Table 1)");
}

proptest! {
    #[test]
    fn what_was_sealed_opens_and_every_flipped_bit_and_every_cut_is_refused(
        plain in proptest::collection::vec(any::<u8>(), 0..200),
        bit in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let cipher = key().new_file(FileKind::Segment, FILE, &salt());
        let mut sealed = seal(&cipher, 1, &plain);
        let mut out = Vec::new();
        cipher.open(&at(1), &sealed, &mut out).expect("opens");
        prop_assert_eq!(&out, &plain);
        out.clear();
        let short = &sealed[..cut.index(sealed.len())];
        prop_assert_eq!(cipher.open(&at(1), short, &mut out), Err(Error::Decrypt));
        let bit = bit.index(sealed.len() * 8);
        sealed[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(cipher.open(&at(1), &sealed, &mut out), Err(Error::Decrypt));
        prop_assert!(out.is_empty());
    }
}
