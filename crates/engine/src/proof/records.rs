//! What the log says about its own proofs. Truth: records of the system stream.
//!
//! | kind | payload |
//! |---|---|
//! | 32, signing key | a signed note (C2SP): its text is `cairn/signing-key`, newline, the verifier key, newline; signed by that key and, when it follows another, by the one before |
//! | 33, tree head | a signed note: the checkpoint as it was handed out |
//! | 7, map root | the map head, 64 bytes (`cairn_merkle::map`) |
//!
//! The sequence of a signing key is its number from 0, of a tree head its size, of a map root
//! its revision.

use cairn_merkle::note::{Note, Signer, Verifier};
use cairn_segment::{Draft, Log, RecordDraft, RecordKind, RecordRef, SequenceRule};
use cairn_types::{Lsn, StreamId};

use super::Result;

/// First line of a signing key's record.
const TITLE: &str = "cairn/signing-key";
/// Keys that are remembered at most; a log with more rotations forgets the oldest.
pub(super) const KEYS_MAX: usize = 256;

/// What was found on the way through the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Verifier keys in the order they were recorded.
    pub(super) keys: Vec<String>,
    /// Size of the newest signed head that was recorded.
    pub(super) recorded_size: u64,
    /// Place of the newest map root.
    pub(super) map_root: Option<Lsn>,
}

impl Found {
    /// Takes a record in; the same for the same record, and again.
    pub(super) fn note(&mut self, record: &RecordRef<'_>) {
        match record.view.kind {
            RecordKind::SIGNING_KEY => {
                let key = record.payload().and_then(decode_key);
                if let Some(key) = key.filter(|key| self.keys.last() != Some(key)) {
                    self.keys.push(key);
                    let extra = self.keys.len().saturating_sub(KEYS_MAX);
                    self.keys.drain(..extra);
                }
            }
            RecordKind::TREE_HEAD => {
                self.recorded_size = self.recorded_size.max(record.view.sequence);
            }
            RecordKind::MAP_ROOT => self.map_root = self.map_root.max(Some(record.lsn)),
            _ => {}
        }
    }

    /// The keys that can be read.
    pub(super) fn verifiers(&self) -> Vec<Verifier> {
        self.keys.iter().filter_map(|key| key.parse().ok()).collect()
    }
}

/// The payload that records a key.
pub(super) fn encode_key(key: &Signer, before: Option<&Signer>) -> Result<Vec<u8>> {
    let mut note = Note::new(format!("{TITLE}\n{}\n", key.verifier()))?;
    for signer in before.into_iter().chain([key]) {
        note.add(signer.sign(note.text())?)?;
    }
    Ok(note.to_string().into_bytes())
}

/// The verifier key in a payload.
pub(super) fn decode_key(payload: &[u8]) -> Option<String> {
    let note = Note::parse(payload).ok()?;
    let mut lines = note.text().lines();
    let (TITLE, key) = (lines.next()?, lines.next()?) else { return None };
    key.parse::<Verifier>().ok()?;
    Some(key.to_owned())
}

/// Appends a record of the system stream and waits until it is on the disk.
pub(super) fn append(log: &Log, kind: RecordKind, sequence: u64, payload: &[u8]) -> Result<Lsn> {
    let mut draft = Draft::new();
    let sequence = SequenceRule::At(sequence);
    draft
        .push(RecordDraft { sequence, ..RecordDraft::new(kind, StreamId::SYSTEM) }, payload)
        .map_err(crate::Error::from)?;
    let ticket = log.submit(&draft, &[])?;
    log.wait_sync(&ticket)?;
    // On a log that is not synced with each append, readers see it after the ordinary wait.
    log.wait(&ticket)?;
    Ok(ticket.appended.first_lsn)
}
