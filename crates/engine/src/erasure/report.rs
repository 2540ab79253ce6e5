//! Telling what was erased from what is missing. Nothing is kept here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use cairn_codec::{Content, RecordView};
use cairn_segment::{RecordKind, VerifyOptions, VerifyReport};
use cairn_types::{Lsn, StreamId};

use super::{ErasureKind, ErasureRecord};
use crate::{Engine, Result, Shredded};

/// Records without their payload, as a verification met them.
#[derive(Debug, Default)]
pub struct ErasedRecords {
    met: Mutex<Vec<Met>>,
}

#[derive(Debug, Clone, Copy)]
struct Met {
    lsn: Lsn,
    kind: RecordKind,
    stream: StreamId,
    sequence: u64,
    has_key: bool,
}

impl ErasedRecords {
    /// Notes one; what [`VerifyOptions::on_erased`] is to call.
    pub fn note(&self, lsn: Lsn, record: &RecordView<'_>) {
        let (kind, stream, sequence) = (record.kind, record.stream, record.sequence);
        let met = Met { lsn, kind, stream, sequence, has_key: record.key.is_some() };
        self.met.lock().unwrap_or_else(PoisonError::into_inner).push(met);
    }
}

/// An erasure with what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorised {
    /// The record that authorises it.
    pub by: Lsn,
    /// What was asked for.
    pub kind: ErasureKind,
    /// Who asked and why.
    pub reason: String,
    /// Records of the log whose payload is gone by it.
    pub erased_count: u64,
}

/// Why payloads are not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErasureReport {
    /// Erased by the authority of a record, in order of these records.
    pub authorised: Vec<Authorised>,
    /// Subjects whose key was dropped: what was sealed with it is there and cannot be read.
    pub shredded: Vec<Shredded>,
    /// Gone as a topic's retention says.
    pub retention_count: u64,
    /// Gone, and nothing in the log says why, in order.
    pub missing: Vec<Lsn>,
    /// Erased by the authority of a record, but the payload is still in a file:
    /// [`Engine::finish_erasures`] has not come to it.
    pub pending: Vec<Lsn>,
}

impl Engine {
    /// Verifies the whole store from its files, and says of every payload that is not there by
    /// which record it was erased.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_erasures(
        &self,
        options: &VerifyOptions<'_>,
    ) -> Result<(VerifyReport, ErasureReport)> {
        let met = ErasedRecords::default();
        let on_erased = |lsn: Lsn, record: &RecordView<'_>| met.note(lsn, record);
        let options = VerifyOptions { on_erased: Some(&on_erased), ..*options };
        let report = self.verify(&options)?;
        Ok((report, self.explain_erased(&met)?))
    }

    /// Says of records without a payload by which record they were erased.
    ///
    /// # Errors
    /// The log's.
    pub fn explain_erased(&self, met: &ErasedRecords) -> Result<ErasureReport> {
        let mut met = met.met.lock().unwrap_or_else(PoisonError::into_inner).clone();
        met.sort_by_key(|met| met.lsn);
        let mut report = ErasureReport { shredded: self.shredded(), ..ErasureReport::default() };
        let mut counts: BTreeMap<Lsn, u64> = BTreeMap::new();
        for met in &met {
            if let Some(by) = self.shared.erased.by(met.lsn) {
                *counts.entry(by).or_default() += 1;
            } else if self.went_by_retention(met) {
                report.retention_count += 1;
            } else {
                report.missing.push(met.lsn);
            }
        }
        let start = self.log().start_lsn();
        for (lsn, by) in self.shared.erased.all() {
            counts.entry(by).or_default();
            let is_met = met.binary_search_by_key(&lsn, |met| met.lsn).is_ok();
            if !is_met && lsn >= start && self.has_payload(lsn)? {
                report.pending.push(lsn);
            }
        }
        for (by, erased_count) in counts {
            report.authorised.extend(self.authority(by, erased_count)?);
        }
        Ok(report)
    }

    fn has_payload(&self, lsn: Lsn) -> Result<bool> {
        let mut scan = self.log().scan(lsn);
        let record = scan.next_record()?;
        Ok(record.is_some_and(|record| matches!(record.view.content, Content::Payload(_))))
    }

    fn authority(&self, by: Lsn, erased_count: u64) -> Result<Option<Authorised>> {
        let mut scan = self.log().scan(by);
        let record = scan.next_record()?;
        let said = record.and_then(|record| ErasureRecord::decode(record.payload()?));
        Ok(said.map(|said| {
            let ErasureRecord { kind, reason, .. } = said;
            Authorised { by, kind, reason, erased_count }
        }))
    }

    /// Whether retention leaves such an event without its payload: a stream's newest record is
    /// never dropped, because its number must stay known.
    fn went_by_retention(&self, met: &Met) -> bool {
        if met.kind != RecordKind::EVENT {
            return false;
        }
        let view = self.view();
        let trimmed = view.trimmed.get(&met.stream).is_some_and(|begin| met.sequence < *begin);
        let by_key = view
            .topics
            .values()
            .any(|entry| entry.meta.config.latest_by_key && entry.has_stream(met.stream));
        trimmed || (by_key && met.has_key) || !view.has_stream(met.stream)
    }
}
