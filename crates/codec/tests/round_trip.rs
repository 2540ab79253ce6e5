//! What goes in comes out, whatever the codec, from any record on, and after cleaning.

use crate::model::*;
use cairn_codec::*;
use proptest::prelude::*;

fn same(plain: &Plain, record: &RecordView<'_>, payloads: &[u8]) {
    let timestamp = plain.timestamp.unwrap_or(COMMIT_TIME.as_micros());
    assert_eq!(record.kind, plain.kind);
    assert_eq!(record.stream.get(), plain.stream);
    assert_eq!(record.sequence, plain.sequence);
    assert_eq!(record.timestamp.as_micros(), timestamp);
    assert_eq!(record.key, plain.key.as_deref());
    assert_eq!(record.facts, plain.facts);
    assert_eq!(record.payload(payloads), Some(plain.payload.as_slice()));
}

proptest! {
    #[test]
    fn batches_survive_a_round_trip(
        records in proptest::collection::vec(plain(), 1..60),
        compression in prop_oneof![
            Just(Compression::None), Just(Compression::Lz4), Just(Compression::Zstd { level: 3 })
        ],
    ) {
        let (bytes, encoded) = encode_plain(&records, compression);
        let header = BatchHeader::decode(&bytes, &crc()).expect("valid");
        let body = &bytes[BATCH_HEADER_LEN..];
        let registry = CodecRegistry::standard();
        let verified = verify_batch(&header, body, &registry, &crc()).expect("valid");
        prop_assert_eq!(verified.chain, encoded.chain);
        let payloads = raw_payloads(&header, body, &registry).expect("valid");
        let view = BatchView::new(&header, body).expect("valid");
        let mut count = 0;
        for (record, plain) in view.records().zip(&records) {
            same(plain, &record.expect("valid"), &payloads);
            count += 1;
        }
        prop_assert_eq!(count, records.len());
        for (index, plain) in records.iter().enumerate() {
            let mut cursor = view.seek(u32::try_from(index).expect("few")).expect("valid");
            let record = cursor.next(&header, &body[..header.statements_len as usize]);
            same(plain, &record.expect("there").expect("valid"), &payloads);
        }
    }

    #[test]
    fn cleaning_and_copying_keep_the_chain(
        records in proptest::collection::vec(plain(), 1..60),
        fates in proptest::collection::vec(0_u8..3, 60),
    ) {
        let (bytes, encoded) = encode_plain(&records, Compression::Lz4);
        let header = BatchHeader::decode(&bytes, &crc()).expect("valid");
        let registry = CodecRegistry::standard();
        let other = SaltedCrc::new(&[77; 16]);
        let mut cleaned = Vec::new();
        let changed = rewrite(
            &header,
            &bytes[BATCH_HEADER_LEN..],
            &registry,
            &compress::Raw,
            &other,
            |record| [Fate::Keep, Fate::Erase, Fate::Drop][usize::from(fates[record.index as usize])],
            &mut cleaned,
        ).expect("valid");
        prop_assert_eq!(changed, fates[..records.len()].iter().any(|fate| *fate != 0));
        let header = BatchHeader::decode(&cleaned, &other).expect("valid");
        let body = &cleaned[BATCH_HEADER_LEN..];
        let verified = verify_batch(&header, body, &registry, &other).expect("valid");
        prop_assert_eq!(verified.chain, encoded.chain);
        let mut copied = Vec::new();
        copy_batch(&cleaned, &other, &registry, &crc(), None, &mut copied).expect("valid");
        let header = BatchHeader::decode(&copied, &crc()).expect("valid");
        let verified = verify_batch(&header, &copied[BATCH_HEADER_LEN..], &registry, &crc());
        prop_assert_eq!(verified.expect("valid").chain, encoded.chain);
        let kept = records.iter().zip(&fates).filter(|(_, fate)| **fate == 0);
        let kept_len: usize = kept.map(|(record, _)| record.payload.len()).sum();
        prop_assert_eq!(header.raw_len as usize, kept_len);
    }
}

proptest! {
    #[test]
    fn a_canonical_statement_has_one_form(record in plain(), at in any::<usize>(), bit in 0..8) {
        let (bytes, _) = encode_plain(std::slice::from_ref(&record), Compression::None);
        let header = BatchHeader::decode(&bytes, &crc()).expect("valid");
        let view = BatchView::new(&header, &bytes[BATCH_HEADER_LEN..]).expect("valid");
        let stored = view.records().next().expect("one").expect("valid");
        let statement = statement_of(&stored, &record.payload).expect("whole");
        prop_assert_eq!(hash::leaf(&statement), leaf_of(&stored, &record.payload));
        let (decoded, payload) =
            batch::statement::Statement::decode_canonical(&statement).expect("valid");
        prop_assert_eq!(decoded, stored.statement());
        prop_assert_eq!(payload, hash::payload(&record.payload));
        // Whatever else decodes says something else, in its own one form.
        let mut changed = statement.clone();
        let at = at % changed.len();
        changed[at] ^= 1_u8 << bit;
        for bytes in [&changed[..], &statement[..at]] {
            if let Ok((other, payload)) = batch::statement::Statement::decode_canonical(bytes) {
                let mut again = Vec::new();
                other.canonical(&payload, &mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
