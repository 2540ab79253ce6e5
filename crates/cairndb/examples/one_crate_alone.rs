//! The log alone: streams of records with a hash chain, without topics or events.

use cairndb::log::{Draft, Log, RecordDraft, RecordKind, VerifyOptions};
use cairndb::types::StreamId;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let log = Log::open(dir.path().join("log"))?;
    let mut draft = Draft::new();
    for payload in ["first", "second", "third"] {
        let record = RecordDraft::new(RecordKind::USER, StreamId::new(7));
        draft.push(record, payload.as_bytes())?;
    }
    let appended = log.append(&draft)?;
    println!("records {} to {}, chain {}", appended.first_lsn, appended.end_lsn, appended.chain);
    let mut scan = log.scan_stream(StreamId::new(7), 1);
    while let Some(record) = scan.next_record()? {
        println!(
            "{}: {}",
            record.view.sequence,
            String::from_utf8_lossy(record.payload().unwrap_or_default())
        );
    }
    println!("intact: {}", log.verify(&VerifyOptions::default())?.is_intact());
    Ok(())
}
