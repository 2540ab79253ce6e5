//! No damaged byte passes, and no bytes make a decoder panic.

use crate::model::*;
use cairn_codec::*;
use proptest::prelude::*;

/// Decodes and verifies whatever `bytes` hold.
fn check(bytes: &[u8]) -> Result<VerifiedBatch> {
    let header = BatchHeader::decode(bytes, &crc())?;
    let body = bytes.get(BATCH_HEADER_LEN..header.total_len()).unwrap_or_default();
    verify_batch(&header, body, &CodecRegistry::standard(), &crc())
}

fn sample() -> Vec<Plain> {
    (0..40)
        .map(|index| Plain {
            kind: RecordKind::EVENT,
            stream: index / 30,
            sequence: u64::from(index),
            timestamp: (index % 3 == 0).then_some(i64::from(index)),
            key: (index % 2 == 0).then(|| vec![7; 5]),
            facts: None,
            payload: vec![9; 20],
        })
        .collect()
}

#[test]
fn every_flipped_bit_is_found() {
    for compression in [Compression::None, Compression::Lz4] {
        let (bytes, _) = encode_plain(&sample(), compression);
        check(&bytes).expect("valid before");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&flipped).is_err(), "bit {bit} of {compression:?}");
        }
    }
}

#[test]
fn every_cut_is_found() {
    let (bytes, _) = encode_plain(&sample(), Compression::None);
    for len in 0..bytes.len() {
        assert!(check(&bytes[..len]).is_err(), "cut to {len}");
    }
}

#[test]
fn nothing_follows_a_record_that_cannot_be_read() {
    let (mut bytes, _) = encode_plain(&sample(), Compression::None);
    // The first record's kind becomes a reserved one.
    bytes[BATCH_HEADER_LEN] = 99;
    let header = BatchHeader::decode(&bytes, &crc()).expect("the header is whole");
    let view = BatchView::new(&header, &bytes[BATCH_HEADER_LEN..]).expect("long enough");
    assert_eq!(view.records().take(1000).filter(Result::is_err).count(), 1);
}

/// Puts correct CRCs over changed bytes, as an attacker with write access would.
fn fix_crcs(bytes: &mut [u8]) {
    let crc = crc();
    let body = crc.checksum(&bytes[BATCH_HEADER_LEN..]);
    bytes[88..92].copy_from_slice(&body.to_le_bytes());
    let head = crc.checksum(&bytes[..92]);
    bytes[92..96].copy_from_slice(&head.to_le_bytes());
}

#[test]
fn a_change_with_corrected_checksums_changes_the_chain_or_is_refused() {
    let (bytes, encoded) = encode_plain(&sample(), Compression::None);
    for bit in 0..bytes.len() * 8 {
        let byte = bit / 8;
        let chained_by_the_next = (56..88).contains(&byte);
        if (88..96).contains(&byte) {
            continue;
        }
        let mut forged = bytes.clone();
        forged[byte] ^= 1 << (bit % 8);
        fix_crcs(&mut forged);
        if let Ok(verified) = check(&forged) {
            assert_ne!(verified.chain, encoded.chain, "bit {bit}, {chained_by_the_next}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_make_the_decoder_panic(mut bytes in proptest::collection::vec(any::<u8>(), 96..400)) {
        let _ = check(&bytes);
        bytes[..4].copy_from_slice(b"CRNB");
        bytes[4] = 1;
        bytes[5] %= 3;
        bytes[6] &= 1;
        bytes[7] = 0;
        // Small plausible lengths get further into the decoder than random ones.
        for at in [9, 10, 11, 13, 14, 15, 17, 18, 19, 21, 22, 23] {
            bytes[at] = 0;
        }
        fix_crcs(&mut bytes);
        let _ = check(&bytes);
        if let Ok(header) = BatchHeader::decode(&bytes, &crc()) {
            let body = &bytes[BATCH_HEADER_LEN..];
            if let Ok(view) = BatchView::new(&header, body) {
                for record in view.records() {
                    if record.is_err() { break; }
                }
                for index in 0..header.record_count.min(100) {
                    let _ = view.seek(index);
                }
            }
        }
    }
}
