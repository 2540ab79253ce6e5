//! The service's records as keys of the engine. Truth, like every key.
//!
//! The stamp of a value is the revision that wrote it. Revisions are never given twice and a
//! transaction writes a key once, so no two writes of a key share one, also with a deletion
//! between them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use cairn_auth::{Batch, Entry, Expect, KvStore, Stamp, Stamped, StoreError};
use cairn_mvcc::{DeleteRange, Planner, Put, Range, RangeRequest, Store};

use super::STREAM;
use super::acting::{self, AdmissionLost};
use super::admission::Admission;

/// The key-value store of the service: one stream's keys.
#[derive(Clone)]
pub struct EngineKv {
    keys: Store,
    admission: Arc<Admission>,
}

impl fmt::Debug for EngineKv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineKv(..)")
    }
}

impl EngineKv {
    pub(super) fn new(keys: Store, admission: Arc<Admission>) -> Self {
        Self { keys, admission }
    }

    /// Writes the batch as one transaction.
    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut crossed = false;
        let written = self.keys.write(|planner| {
            if let Some(key) = first_unmet(planner, batch)? {
                crossed = true;
                return Err(cairn_mvcc::Error::Conflict { key, revision: planner.revision() });
            }
            for key in &batch.deletes {
                planner.delete(&DeleteRange::key(STREAM, key.clone()))?;
            }
            for (key, value) in &batch.puts {
                planner.put(&Put::new(STREAM, key.clone(), value.clone()))?;
            }
            Ok(())
        });
        written.map_err(|error| if crossed { StoreError::Conflict } else { failed(error) })
    }
}

/// The first key of which something else holds than is expected, at the newest state.
fn first_unmet(planner: &Planner<'_>, batch: &Batch) -> cairn_mvcc::Result<Option<Bytes>> {
    for (key, expect) in &batch.expectations {
        let request = RangeRequest {
            keys_only: true,
            without_count: true,
            ..RangeRequest::key(STREAM, key.clone())
        };
        let found = planner.range(&request)?.kvs.first().map(|kv| kv.mod_revision);
        let holds = match expect {
            Expect::Absent => found.is_none(),
            Expect::Unchanged(stamp) => found == Some(stamp.get()),
        };
        if !holds {
            return Ok(Some(key.clone()));
        }
    }
    Ok(None)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Failed(Box::new(error))
}

/// Whether a batch changes or deletes a record that permissions may rest on. A batch that only
/// adds cannot: nobody's permissions rest on what was not there.
fn changes_a_record(batch: &Batch) -> bool {
    let changed = |key: &Bytes| {
        batch.expectations.iter().any(|(expected, what)| match what {
            Expect::Unchanged(_) => expected == key,
            Expect::Absent => false,
        })
    };
    !batch.deletes.is_empty() || batch.puts.iter().any(|(key, _)| changed(key))
}

/// An act is written only at the auth revision it was allowed at.
fn still_admitted(admission: &Admission) -> Result<(), StoreError> {
    match acting::actor() {
        Some(actor) if actor.admitted != admission.revision() => Err(failed(AdmissionLost)),
        _ => Ok(()),
    }
}

impl KvStore for EngineKv {
    fn get(&self, key: &[u8]) -> Result<Option<Stamped>, StoreError> {
        let found = self.keys.get(STREAM, key).map_err(failed)?;
        Ok(found.map(|kv| Stamped { value: kv.value, stamp: Stamp::new(kv.mod_revision) }))
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut range = Range::prefix(prefix.to_vec());
        if let Some(after) = after.filter(|after| *after >= prefix) {
            // The first key that can follow.
            range.key = [after, &[0]].concat().into();
        }
        let request =
            RangeRequest { without_count: true, ..RangeRequest::new(STREAM, range).limit(limit) };
        let found = self.keys.range(&request).map_err(failed)?;
        let entry = |kv: cairn_mvcc::KeyValue| Entry {
            key: kv.key,
            value: kv.value,
            stamp: Stamp::new(kv.mod_revision),
        };
        Ok(found.kvs.into_iter().map(entry).collect())
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if !changes_a_record(&batch) {
            let _inside = self.admission.enter();
            still_admitted(&self.admission)?;
            return self.write(&batch);
        }
        let _alone = self.admission.change();
        still_admitted(&self.admission)?;
        let written = self.write(&batch);
        // Also after a failure: what the disk holds is then unknown, and nothing remembered
        // is worth more than a fresh look.
        if !matches!(written, Err(StoreError::Conflict)) {
            self.admission.moved();
            if written.is_ok() {
                acting::moved_by_itself(self.admission.revision());
            }
        }
        written
    }
}
