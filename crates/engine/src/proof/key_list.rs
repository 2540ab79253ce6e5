//! The keys that ever signed, with when each was recorded. Nothing is kept here: read from the
//! records of the log.

use cairn_merkle::note::Verifier;
use cairn_segment::RecordKind;
use cairn_types::{Lsn, Timestamp};

use super::{Proofs, Result, records, signing};

/// A key that signs this log, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its public part, with name and id.
    pub verifier: Verifier,
    /// Where and when the log says so first; nothing when that record went with retention, or
    /// the key has not signed anything yet.
    pub recorded: Option<(Lsn, Timestamp)>,
    /// When the next key took its place.
    pub replaced: Option<(Lsn, Timestamp)>,
    /// It signs now.
    pub is_current: bool,
}

impl Proofs {
    /// All keys that ever signed this log, the newest last. Reads the statements of the whole
    /// log.
    ///
    /// # Errors
    /// The log's.
    pub fn signing_keys(&self) -> Result<Vec<SigningKey>> {
        let mut held = self.held()?;
        held.tree.catch_up()?;
        let known = signing::known(&held.log, &held.tree)?;
        let current = signing::find(&held.log, &held.tree)?.map(|key| key.verifier());
        let log = held.log.clone();
        drop(held);
        let mut recorded: Vec<(String, Lsn, Timestamp)> = Vec::new();
        let mut scan = log.scan(log.start_lsn());
        while let Some(record) = scan.next_record()? {
            if record.view.kind != RecordKind::SIGNING_KEY {
                continue;
            }
            let key = record.payload().and_then(records::decode_key);
            // Written again before old records went, it is no other key.
            if let Some(key) = key.filter(|key| recorded.last().is_none_or(|last| last.0 != *key)) {
                recorded.push((key, record.lsn, record.view.timestamp));
            }
        }
        let place_of = |verifier: &Verifier| {
            let text = verifier.to_string();
            let at = recorded.iter().position(|(key, ..)| *key == text)?;
            recorded.get(at).map(|(_, lsn, time)| (*lsn, *time))
        };
        let mut keys: Vec<SigningKey> = known
            .into_iter()
            .map(|verifier| SigningKey {
                recorded: place_of(&verifier),
                replaced: None,
                is_current: current.as_ref() == Some(&verifier),
                verifier,
            })
            .collect();
        for at in 1..keys.len() {
            let next = keys.get(at).and_then(|key| key.recorded);
            if let Some(key) = keys.get_mut(at - 1) {
                key.replaced = next;
            }
        }
        Ok(keys)
    }
}
