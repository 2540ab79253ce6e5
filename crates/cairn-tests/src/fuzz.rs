//! Bodies of the fuzz targets: each takes any bytes, and must neither panic, hang, allocate
//! past a limit, nor answer wrongly. The fuzzer calls them with inputs it breeds, the tests
//! with random and mutated ones.

mod graph;
mod keys;
mod secrets;

use std::sync::Arc;

use cairn_codec::value::{Bincode, Json, ValueCodec};
use cairn_codec::{
    BATCH_HEADER_LEN, BatchContext, BatchHeader, BatchView, CodecId, CodecRegistry, Draft,
    RecordDraft, RecordKind, SaltedCrc, Scratch, encode, verify_batch,
};
use cairn_lsm::{LsmOptions, LsmTree};
use cairn_segment::format::segment_header::{SEGMENT_HEADER_LEN, SegmentHeader};
use cairn_segment::{IoMode, Log, LogConfig, Repair, VerifyOptions, verify_store};
use cairn_types::{ChainHash, Lsn, StreamId, Timestamp};
use cairn_vfs::{ManualClock, MemVfs, OpenMode, SeededRng, Vfs};

pub use graph::{graph_key, graph_value, valid_graph};
pub use keys::{txn, watch};
pub use secrets::{envelopes, key_ring, password_hashes, tokens, valid_secrets};

/// A fuzz target.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Target); 21] = [
    ("batch_decode", batch_decode),
    ("record_decode", record_decode),
    ("segment_open", segment_open),
    ("segment_mutated", segment_mutated),
    ("superblock_checkpoint", superblock_checkpoint),
    ("codecs", codecs),
    ("names", names),
    ("json_event", json_event),
    ("value_codecs", value_codecs),
    ("metadata", metadata),
    ("tables_mutated", tables_mutated),
    ("command", command),
    ("snapshot_import", snapshot_import),
    ("txn", txn),
    ("watch", watch),
    ("tokens", tokens),
    ("password_hashes", password_hashes),
    ("envelopes", envelopes),
    ("key_ring", key_ring),
    ("graph_key", graph_key),
    ("graph_value", graph_value),
];

const SALT: [u8; 16] = [7; 16];

/// Bytes as a batch: header, then everything behind it.
pub fn batch_decode(bytes: &[u8]) {
    let crc = SaltedCrc::new(&SALT);
    if let Ok(header) = BatchHeader::decode(bytes, &crc) {
        let body = bytes.get(BATCH_HEADER_LEN..).unwrap_or_default();
        let _refused = verify_batch(&header, body, &CodecRegistry::standard(), &crc);
    }
}

/// Bytes as the body of a batch whose checksums are right: nothing but the decoder stands
/// between them and the reader.
pub fn record_decode(bytes: &[u8]) {
    let Some((head, body)) = bytes.split_first_chunk::<8>() else { return };
    let crc = SaltedCrc::new(&SALT);
    let statements_len = u32::from_le_bytes([head[0], head[1], head[2], 0]);
    let statements_len = statements_len.min(u32::try_from(body.len()).unwrap_or(u32::MAX));
    let stored_len = u32::try_from(body.len()).unwrap_or(u32::MAX) - statements_len;
    let header = BatchHeader {
        codec: CodecId::new(head[3] % 4),
        cleaned: head[4] & 1 == 1,
        sealed: false,
        record_count: u32::from(head[5]) + 1,
        statements_len,
        stored_len,
        raw_len: if head[3] % 4 == 0 { stored_len } else { u32::from(head[6]) << 8 },
        first_lsn: Lsn::new(u64::from(head[7])),
        first_revision: 0,
        commit_time: Timestamp::from_micros(0),
        durable_end: Lsn::new(0),
        prev_hash: ChainHash::GENESIS,
        body_crc: crc.checksum(body),
    };
    if let Ok(view) = BatchView::new(&header, body) {
        for record in view.records().flatten() {
            let _statement = record.statement();
        }
        for index in 0..header.record_count.min(64) {
            let _cursor = view.seek(index);
        }
    }
    let _verified = verify_batch(&header, body, &CodecRegistry::standard(), &crc);
}

fn options(vfs: &MemVfs) -> cairn_segment::LogOptions {
    let config = LogConfig {
        segment_size: 64 << 10,
        background: false,
        io: IoMode::Pread,
        ..LogConfig::default()
    };
    Log::options()
        .vfs(Arc::new(vfs.clone()) as Arc<dyn Vfs>)
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(1)))
        .config(config)
}

fn draft(payload: &[u8]) -> Draft {
    let mut draft = Draft::new();
    let record =
        RecordDraft { key: Some(b"key"), ..RecordDraft::new(RecordKind::EVENT, StreamId::new(1)) };
    draft.push(record, payload).expect("within limits");
    draft
}

/// A small store with two segments, not closed.
fn sample() -> (MemVfs, Vec<Vec<u8>>) {
    let vfs = MemVfs::new();
    let log = options(&vfs).open().expect("an empty disk opens");
    let mut payloads = Vec::new();
    for number in 0..6_u8 {
        let payload = vec![number; 20 + usize::from(number) * 5];
        log.append(&draft(&payload)).expect("memory takes it");
        payloads.push(payload);
        if number == 2 {
            log.roll().expect("memory takes it");
        }
    }
    (vfs.fork(), payloads)
}

/// Opens, reads, verifies and repairs whatever lies there; answers must be right or errors.
fn exercise(vfs: &MemVfs, payloads: Option<&[Vec<u8>]>) {
    let verified = verify_store(
        vfs,
        &CodecRegistry::standard(),
        &VerifyOptions { threads: 1, ..VerifyOptions::default() },
    );
    if let Ok(log) = options(vfs).open() {
        let mut scan = log.scan(log.start_lsn());
        let mut index = 0;
        while let Ok(Some(record)) = scan.next_record() {
            if let (Some(expected), Some(found)) =
                (payloads.and_then(|all| all.get(index)), record.payload())
            {
                assert_eq!(found, expected.as_slice(), "record {index} is wrong data");
            }
            index += 1;
            assert!(index < 100_000, "a small store holds no more");
        }
        let _more = log.append(&draft(b"more"));
    }
    drop(verified);
    let vfs: Arc<dyn Vfs> = Arc::new(vfs.clone());
    if let Ok(Some(repair)) = Repair::plan(vfs, &CodecRegistry::standard()) {
        let _done = repair.carry_out(&ManualClock::default());
    }
}

/// Bytes in place of the last segment's batches, after a whole header.
pub fn segment_open(bytes: &[u8]) {
    let (vfs, _) = sample();
    vfs.tamper("log/segment_000001.log", |content| {
        let keep =
            if bytes.first().is_some_and(|first| first & 1 == 1) { SEGMENT_HEADER_LEN } else { 0 };
        content.truncate(keep);
        content.extend_from_slice(bytes.get(1..).unwrap_or_default());
    });
    exercise(&vfs, None);
}

/// A whole store with mutations: bytes flipped, copied, cut, and CRCs put right again. What
/// is readable must still be what was written, unless a CRC was forged.
pub fn segment_mutated(bytes: &[u8]) {
    let (vfs, payloads) = sample();
    let mut forged = false;
    for step in bytes.chunks_exact(6).take(24) {
        let path = match step[0] % 4 {
            0 => "log/segment_000000.log",
            1 | 2 => "log/segment_000001.log",
            _ => "log/superblock",
        };
        let at = usize::from(u16::from_le_bytes([step[1], step[2]]));
        vfs.tamper(path, |content| {
            if content.is_empty() {
                return;
            }
            let at = at % content.len();
            match step[3] % 5 {
                0 | 1 => content[at] ^= step[4].max(1),
                2 => content.truncate(at),
                3 => {
                    let len = usize::from(step[5]).min(content.len() - at);
                    let part = content[at..at + len].to_vec();
                    content.extend_from_slice(&part);
                }
                _ => {
                    forged |= path != "log/superblock" && fix_first_batch(content);
                }
            }
        });
    }
    exercise(&vfs, if forged { None } else { Some(&payloads) });
}

/// Makes the first batch's body CRC and header CRC right for what is there now.
fn fix_first_batch(content: &mut [u8]) -> bool {
    let Some(head) = content.first_chunk::<SEGMENT_HEADER_LEN>() else { return false };
    let Ok(header) = SegmentHeader::decode(head) else { return false };
    let crc = header.crc();
    let Some(batch) = content.get_mut(SEGMENT_HEADER_LEN..) else { return false };
    if batch.len() < BATCH_HEADER_LEN {
        return false;
    }
    let len = |at: usize| {
        let field = batch.get(at..at + 4).and_then(|field| field.first_chunk::<4>());
        field.map_or(0, |field| u32::from_le_bytes(*field) as usize)
    };
    let body_len = len(12).saturating_add(len(16)).min(batch.len() - BATCH_HEADER_LEN);
    let body_crc = crc.checksum(&batch[BATCH_HEADER_LEN..BATCH_HEADER_LEN + body_len]);
    batch[88..92].copy_from_slice(&body_crc.to_le_bytes());
    let header_crc = crc.checksum(&batch[..92]);
    batch[92..96].copy_from_slice(&header_crc.to_le_bytes());
    true
}

/// Bytes as superblock, store file, index and checkpoint.
pub fn superblock_checkpoint(bytes: &[u8]) {
    let _refused = cairn_segment::checkpoint::Checkpoint::decode(bytes);
    let (vfs, payloads) = sample();
    let which = bytes.first().copied().unwrap_or(0);
    let rest = bytes.get(1..).unwrap_or_default();
    match which % 3 {
        0 => vfs.tamper("log/superblock", |content| *content = rest.to_vec()),
        1 => vfs.tamper("CAIRN", |content| *content = rest.to_vec()),
        _ => vfs.tamper("log/segment_000000.idx", |content| *content = rest.to_vec()),
    }
    exercise(&vfs, Some(&payloads));
}

/// Bytes as compressed data under every codec, and through every codec and back.
pub fn codecs(bytes: &[u8]) {
    let registry = CodecRegistry::standard();
    let claimed = bytes.first().map_or(0, |first| usize::from(*first) * 257);
    for id in [CodecId::NONE, CodecId::LZ4, CodecId::ZSTD] {
        let Ok(codec) = registry.get(id) else { continue };
        let mut out = Vec::new();
        if codec.decompress(bytes, claimed, &mut out).is_ok() {
            assert_eq!(out.len(), claimed, "exactly what was declared");
        }
        let mut stored = Vec::new();
        codec.compress(bytes, &mut stored).expect("any bytes compress");
        out.clear();
        codec.decompress(&stored, bytes.len(), &mut out).expect("what was compressed");
        assert_eq!(out, bytes);
    }
}

/// Bytes as names: what is accepted is harmless.
pub fn names(bytes: &[u8]) {
    if let Ok(topic) = cairn_types::Topic::from_bytes(bytes) {
        let name = topic.as_str();
        assert!(!name.is_empty() && name.len() <= 249 && name != "." && name != "..");
        assert!(!name.contains(['/', '\\', '\0']));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _refused = text.parse::<Timestamp>();
        let _refused = text.parse::<cairn_types::Durability>();
        let _refused = text.parse::<cairn_types::EventId>();
    }
}

/// Bytes as a JSON event of a real engine.
pub fn json_event(bytes: &[u8]) {
    let log = options(&MemVfs::new());
    let engine = cairn_engine::Engine::options().log(log).open().expect("an empty disk opens");
    engine.create_topic("t", cairn_engine::TopicConfig::default()).expect("memory takes it");
    let event = cairn_engine::NewEvent::json(bytes.to_vec());
    match engine.append("t", event) {
        Ok(_) => {
            let stored = engine.event("t", 0, 0).expect("was acknowledged");
            assert_eq!(stored.data.as_bytes(), bytes);
        }
        Err(error) => assert!(matches!(error, cairn_engine::Error::InvalidJson { .. }), "{error}"),
    }
}

/// Bytes as values of users' types.
pub fn value_codecs(bytes: &[u8]) {
    type Value = (u32, String, Option<Vec<u16>>);
    let _refused: Result<Value, _> = Bincode.decode(bytes);
    let _refused: Result<Value, _> = Json.decode(bytes);
    if let Ok(value) = <Bincode as ValueCodec<Value>>::decode(&Bincode, bytes) {
        let again = Bincode.encode(&value).expect("a value encodes");
        assert_eq!(again, bytes, "the encoding is the only one");
    }
}

/// Bytes as payloads of system records and events.
pub fn metadata(bytes: &[u8]) {
    use cairn_engine::{envelope, metadata};
    let _refused = metadata::TopicCreated::decode(bytes);
    let _refused = metadata::GroupOffset::decode(bytes);
    let _refused = metadata::KeyspaceCreated::decode(bytes);
    let _refused = metadata::ProducerRegistered::decode(bytes);
    let _refused = metadata::decode_trimmed(bytes);
    let _refused = metadata::decode_applied(bytes);
    let _refused = envelope::decode(&bytes.to_vec().into());
    let _refused = envelope::stamp_of(bytes);
    // Also through the log: an engine must open over any system record or say what is wrong.
    let vfs = MemVfs::new();
    let log = options(&vfs).open().expect("an empty disk opens");
    let kinds = [8, 9, 11, 12, 14, 15];
    let kind = kinds[usize::from(bytes.first().copied().unwrap_or(0)) % kinds.len()];
    let kind = RecordKind::new(kind).expect("a known kind");
    let mut draft = Draft::new();
    draft.push(RecordDraft::new(kind, StreamId::SYSTEM), bytes).expect("within limits");
    log.append(&draft).expect("memory takes it");
    drop(log);
    let _refused = cairn_engine::Engine::options().log(options(&vfs)).open();
}

/// Bytes as a command: what is accepted has one encoding, and a store carries it out or refuses
/// it. The version is put right, so that the fuzzer need not find it.
pub fn command(bytes: &[u8]) {
    use cairn_engine::{Command, Engine, Position, TopicConfig};
    let mut bytes = bytes.to_vec();
    if let Some(first) = bytes.first_mut() {
        *first = 1;
    }
    let bytes = bytes.into();
    let Ok(command) = Command::decode(&bytes) else { return };
    assert_eq!(command.encode().expect("within limits"), bytes, "the encoding is the only one");
    let engine = Engine::options().log(options(&MemVfs::new())).open().expect("an empty disk");
    engine.create_topic("t", TopicConfig::default()).expect("memory takes it");
    engine.create_keyspace("k").expect("memory takes it");
    let answer = engine.apply(Position::new(1), &command).expect("a refusal is an answer");
    let _bytes = answer.encode();
    assert_eq!(engine.applied_position(), Position::new(1));
}

/// Bytes as a snapshot's stream, or in place of a part of a valid one: what can be opened
/// afterwards is what was exported.
pub fn snapshot_import(bytes: &[u8]) {
    use cairn_segment::{SnapshotImport, SnapshotOptions};
    let (vfs, payloads) = sample();
    let mut stream = Vec::new();
    let log = options(&vfs).open().expect("a valid store opens");
    let chosen = SnapshotOptions { chunk_len: 512, ..SnapshotOptions::default() };
    let snapshot = log.snapshot(&chosen).expect("a valid log");
    snapshot.write_to(&mut stream, 0, None).expect("memory takes it");
    if let Some((at, replaced)) = bytes.split_first_chunk::<2>() {
        let at = usize::from(u16::from_le_bytes(*at)) % stream.len();
        let end = stream.len().min(at + replaced.len());
        match stream.get_mut(at..end) {
            Some(part) if at > 0 => part.copy_from_slice(&replaced[..end - at]),
            _ => stream = replaced.to_vec(),
        }
    }
    let target = MemVfs::new();
    let vfs: Arc<dyn Vfs> = Arc::new(target.clone());
    let Ok(mut import) = SnapshotImport::open(vfs) else { return };
    let taken = import.read_from(&mut stream.as_slice(), None);
    if taken.is_ok() && import.finish(&CodecRegistry::standard()).is_ok() {
        exercise(&target, Some(&payloads));
    } else {
        assert!(options(&target).open_read_only().is_err(), "half a store does not open");
    }
}

/// Commands on the wire, for mutating.
#[must_use]
pub fn valid_commands() -> Vec<Vec<u8>> {
    use cairn_engine::{Command, Engine, NewEvent, TopicConfig};
    use cairn_mvcc::{Compare, CompareOp, CompareTarget, DeleteRange, Put, Range, Txn, TxnOp};
    let engine = Engine::options().log(options(&MemVfs::new())).open().expect("an empty disk");
    engine.create_topic("t", TopicConfig::default()).expect("memory takes it");
    engine.create_keyspace("k").expect("memory takes it");
    let space = engine.keyspace("k").expect("created").stream();
    let put = Put { prev_kv: true, ..Put::new(space, "key", "value") };
    let delete = DeleteRange::new(space, Range::prefix("k"));
    let compare = Compare::key(space, "key", CompareOp::Less, CompareTarget::Version(3));
    let inner = Txn { success: vec![TxnOp::Put(put.clone())], ..Txn::default() };
    let txn = Txn {
        compare: vec![compare],
        success: vec![TxnOp::Delete(delete.clone())],
        failure: vec![TxnOp::Txn(inner)],
    };
    let event = NewEvent::json("{}").with_key("key");
    let events = vec![engine.event_command("t", &event).expect("a topic")];
    let commands = [
        engine.append_command("t", &[event, NewEvent::text("two")]).expect("a topic"),
        engine.lease_command(7),
        Command::Put(put.clone()),
        Command::PutAll(vec![put]),
        Command::DeleteRange(delete),
        Command::Txn { txn, events },
        Command::Compact { revision: 1 },
    ];
    commands.iter().map(|command| command.encode().expect("within limits")).collect()
}

/// A batch that is valid, for mutating.
#[must_use]
pub fn valid_batch() -> Vec<u8> {
    let crc = SaltedCrc::new(&SALT);
    let context = BatchContext {
        first_lsn: Lsn::new(5),
        commit_time: Timestamp::from_micros(9),
        durable_end: Lsn::new(5),
        prev_hash: ChainHash::GENESIS,
        crc: &crc,
    };
    let mut out = Vec::new();
    encode(&draft(b"some payload"), &context, &[0], &mut Scratch::default(), &mut out);
    out
}

/// The files of a small store, for mutating.
#[must_use]
pub fn valid_files() -> Vec<Vec<u8>> {
    let (vfs, _) = sample();
    let read = |path: &String| {
        let file = vfs.open(path, OpenMode::Read).expect("listed");
        let mut bytes = vec![0; usize::try_from(file.len().expect("len")).expect("small")];
        file.read_exact_at(0, &mut bytes).expect("reads");
        bytes
    };
    vfs.paths().iter().map(read).collect()
}

/// A store of keys whose tables and manifest are changed: reading gives the right answer or an
/// error, never another answer.
pub fn tables_mutated(bytes: &[u8]) {
    let vfs = MemVfs::new();
    let open = |vfs: &MemVfs| {
        let tree = cairn_lsm::TreeOptions { memory_len: 0, block_len: 256, ..Default::default() };
        let log = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
        let rng = Arc::new(SeededRng::new(3));
        LsmTree::open_on(Arc::new(vfs.clone()), rng, LsmOptions { log, tree })
    };
    let written: Vec<(Vec<u8>, Vec<u8>)> =
        (0..60_u8).map(|n| (vec![b'k', n / 8, n], vec![n; usize::from(n)])).collect();
    let Ok(tree) = open(&vfs) else { return };
    assert_eq!(tree.ingest(written.iter().map(|(k, v)| (k, v))).ok(), Some(60), "fills");
    assert!(tree.close().is_ok(), "closes");
    drop(tree);
    let files: Vec<String> =
        vfs.paths().into_iter().filter(|path| path.contains("tables/")).collect();
    for step in bytes.chunks_exact(5).take(16) {
        let Some(path) = files.get(usize::from(step[0]) % files.len().max(1)) else { return };
        vfs.tamper(path, |content| {
            let at = usize::from(u16::from_le_bytes([step[1], step[2]]));
            let at = at % content.len().max(1);
            match step[3] % 3 {
                0 => content.truncate(at),
                1 => content.extend_from_slice(&[step[4]; 9]),
                _ => {
                    if let Some(byte) = content.get_mut(at) {
                        *byte ^= step[4].max(1);
                    }
                }
            }
        });
    }
    let Ok(tree) = open(&vfs) else { return };
    for (key, value) in &written {
        if let Ok(found) = tree.get(key) {
            assert_eq!(found.as_deref(), Some(&value[..]), "another answer");
        }
    }
    if let Ok(all) = tree.scan(..).collect::<Result<Vec<_>, _>>() {
        assert!(
            all.iter()
                .map(|(k, v)| (&k[..], &v[..]))
                .eq(written.iter().map(|(k, v)| (&k[..], &v[..]))),
            "another answer"
        );
    }
}
