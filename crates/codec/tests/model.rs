//! Records as plain values, and batches made from them.

use cairn_codec::*;
use cairn_types::{ChainHash, Lsn, StreamId, Timestamp};
use proptest::prelude::*;

#[derive(Debug, Clone)]
pub struct Plain {
    pub kind: RecordKind,
    pub stream: u32,
    pub sequence: u64,
    pub timestamp: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub facts: Option<Facts>,
    pub payload: Vec<u8>,
}

pub fn plain() -> impl Strategy<Value = Plain> {
    let facts = (any::<u64>(), any::<u64>(), any::<u64>());
    (
        prop_oneof![Just(RecordKind::EVENT), Just(RecordKind::PUT), Just(RecordKind::USER)],
        0_u32..4,
        prop_oneof![0_u64..8, any::<u64>()],
        proptest::option::of(any::<i64>()),
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        proptest::option::of(facts),
        proptest::collection::vec(any::<u8>(), 0..200),
    )
        .prop_map(|(kind, stream, sequence, timestamp, key, facts, payload)| Plain {
            kind,
            stream,
            sequence,
            timestamp,
            key,
            facts: facts.map(|(create_revision, version, lease)| Facts {
                create_revision,
                version,
                lease,
            }),
            payload,
        })
}

pub const COMMIT_TIME: Timestamp = Timestamp::from_secs(1_790_000_000);

pub fn crc() -> SaltedCrc {
    SaltedCrc::new(&[5; 16])
}

pub fn draft_of(records: &[Plain]) -> Draft {
    let mut draft = Draft::new();
    for record in records {
        let meta = RecordDraft {
            kind: record.kind,
            stream: StreamId::new(record.stream),
            sequence: SequenceRule::At(record.sequence),
            timestamp: record.timestamp.map(Timestamp::from_micros),
            key: record.key.as_deref(),
            facts: record.facts,
            salted: false,
        };
        draft.push(meta, &record.payload).expect("within limits");
    }
    draft
}

pub fn encode_plain(records: &[Plain], compression: Compression) -> (Vec<u8>, Encoded) {
    let mut draft = draft_of(records);
    let codec = CodecRegistry::standard().writer(compression).expect("registered");
    draft.compress(&*codec).expect("compresses");
    let crc = crc();
    let context = BatchContext {
        first_lsn: Lsn::new(40),
        commit_time: COMMIT_TIME,
        durable_end: Lsn::new(33),
        prev_hash: ChainHash::new([6; 32]),
        crc: &crc,
    };
    let sequences: Vec<u64> = records.iter().map(|record| record.sequence).collect();
    let mut out = Vec::new();
    let encoded = encode(&draft, &context, &sequences, &mut Scratch::default(), &mut out);
    assert!(encoded.len <= draft.encoded_len_max(), "the bound holds");
    (out, encoded)
}
