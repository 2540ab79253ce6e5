//! Versions of keys as the records of the log have them. Reads truth.

use cairn_codec::RecordKind;
use cairn_lsm::{Found, Records};
use cairn_segment::{Log, RecordRef};
use cairn_types::Lsn;

use crate::index::SPACE_LEN;
use crate::key_value::{LeaseId, Place, Version, place_of};

/// The records of a log.
#[derive(Debug)]
pub(crate) struct LogRecords(pub(crate) Log);

impl Records<Version> for LogRecords {
    fn find(&self, reference: u64, key: &[u8], share: bool) -> Found<Version> {
        match self.0.look_at(Lsn::new(reference), |record| version_of(record, key, share)) {
            Ok(Some(found)) => found,
            // Compressed, sealed, or gone with retention: the tables know.
            Ok(None) | Err(_) => Found::Unknown,
        }
    }
}

fn version_of(record: &RecordRef<'_>, key: &[u8], share: bool) -> Found<Version> {
    let Some((space, key)) = key.split_first_chunk::<SPACE_LEN>() else { return Found::Other };
    let view = &record.view;
    if view.stream.get() != u32::from_be_bytes(*space) || view.key != Some(key) {
        return Found::Other;
    }
    let (main, lsn) = (view.sequence, record.lsn);
    let found = match (view.kind, view.facts) {
        (RecordKind::PUT, Some(facts)) => Version {
            main,
            create: facts.create_revision,
            version: facts.version,
            lease: LeaseId::new(facts.lease.cast_signed()),
            lsn,
            place: match record.payload() {
                // Read and let go of, of whatever length.
                Some(_) if share => Place::Inline(record.payload_bytes().unwrap_or_default()),
                Some(value) => place_of(value),
                None => Place::Erased,
            },
        },
        (RecordKind::DELETE, _) => Version::tombstone(main, lsn),
        _ => return Found::Other,
    };
    Found::Version(found)
}
