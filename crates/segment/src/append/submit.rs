//! Stage two of an append: order, hash and encode a prepared draft into the buffer.

use std::sync::MutexGuard;

use cairn_codec::seal::OVERHEAD as SEAL_OVERHEAD;
use cairn_codec::{BatchContext, Draft, RecordKind, SequenceRule};
use cairn_types::{ChainHash, Lsn, StreamId, Timestamp, limits};

use super::sequences::NextSequences;
use super::state::{Append, AppendState, PendingBatch, PendingRecord};
use crate::checkpoint;
use crate::segment_index::is_about_keys;
use crate::space::is_limited;
use crate::{Error, Result};

/// Greatest sequence that can be chosen: nobody counts on from there to the end of the numbers.
const CHOSEN_MAX: u64 = u64::MAX >> 1;

/// A precondition of an append: the stream's next sequence must be this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// The stream.
    pub stream: StreamId,
    /// The sequence that its next record must get.
    pub next_sequence: u64,
}

/// Sequences given to the records of one batch, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sequences {
    /// All records follow each other, from this one on.
    Consecutive {
        /// Sequence of the first record.
        first: u64,
        /// How many records.
        count: u64,
    },
    /// One for each record.
    Each(Vec<u64>),
}

impl Sequences {
    fn from_slice(sequences: &[u64]) -> Self {
        let first = sequences.first().copied().unwrap_or(0);
        // Not as a range: the first may be the last there is.
        let mut placed = (0..).zip(sequences);
        let consecutive =
            placed.all(|(index, sequence)| first.checked_add(index) == Some(*sequence));
        if consecutive {
            Self::Consecutive { first, count: sequences.len() as u64 }
        } else {
            Self::Each(sequences.to_vec())
        }
    }

    /// Sequence of the record at `index` in the batch, from 0; `None` past its end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<u64> {
        match self {
            Self::Consecutive { first, count } => {
                ((index as u64) < *count).then(|| first + index as u64)
            }
            Self::Each(sequences) => sequences.get(index).copied(),
        }
    }
}

/// A batch that has its place in the log but may not have reached the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the batch is acknowledged only by `wait`"]
pub struct Ticket {
    /// What the batch was given.
    pub appended: Appended,
}

/// The place of a batch in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// LSN of its first record.
    pub first_lsn: Lsn,
    /// LSN after its last record.
    pub end_lsn: Lsn,
    /// When it was committed; never before the batch before it, whatever the clock says.
    pub commit_time: Timestamp,
    /// Sequences of its records.
    pub sequences: Sequences,
    /// Chain value after the batch.
    pub chain: ChainHash,
}

impl Append {
    /// Gives the draft its place and encodes it into the buffer.
    pub(crate) fn submit(&self, draft: &Draft, expect: &[Expect]) -> Result<Ticket> {
        let chosen = check_limits(draft)?;
        let mut state = self.lock();
        state.check_open()?;
        let now = self.store.clock.now();
        for condition in expect {
            let actual = state.next_sequence.get(&condition.stream).copied().unwrap_or(0);
            if actual != condition.next_sequence {
                return Err(Error::SequenceConflict {
                    stream: condition.stream,
                    expected: condition.next_sequence,
                    actual,
                });
            }
        }
        if chosen {
            check_chosen(&state.next_sequence, draft)?;
        }
        let limited = is_limited(&self.store.config, draft);
        state = self
            .make_room(state, draft.encoded_len_max() + SEAL_OVERHEAD, limited)
            .inspect_err(|error| {
                let full = matches!(error, Error::NoSpace { .. });
                self.store.counters.refused_for_space.increment(u64::from(full));
            })?;
        let appended = self.place(&mut state, draft, now, false);
        if self.checkpoint_due(&state) {
            // A checkpoint that finds no room is simply taken later.
            if let Ok(roomy) =
                self.make_room(state, checkpoint::ENCODED_LEN_MAX + SEAL_OVERHEAD, false)
            {
                state = roomy;
                self.place_checkpoint(&mut state, now);
            } else {
                return Ok(Ticket { appended });
            }
        }
        debug_check(&state);
        drop(state);
        Ok(Ticket { appended })
    }

    /// Appends a checkpoint record now; it is acknowledged by waiting for the ticket.
    pub(crate) fn submit_checkpoint(&self) -> Result<Ticket> {
        let state = self.lock();
        state.check_open()?;
        let now = self.store.clock.now();
        let mut state =
            self.make_room(state, checkpoint::ENCODED_LEN_MAX + SEAL_OVERHEAD, false)?;
        let appended = self.place_checkpoint(&mut state, now);
        Ok(Ticket { appended })
    }

    fn checkpoint_due(&self, state: &AppendState) -> bool {
        let policy = &self.store.config.checkpoint;
        policy.records.is_some_and(|records| state.records_since_checkpoint >= records)
            || policy.interval.is_some_and(|interval| {
                self.store.clock.monotonic().saturating_sub(state.last_checkpoint_at) >= interval
            })
    }

    fn place_checkpoint(&self, state: &mut AppendState, now: Timestamp) -> Appended {
        let (lsn, chain) = (state.next_lsn, state.chain);
        let number = state.checkpoint_count;
        let draft = checkpoint::draft(lsn, chain, number);
        let appended = self.place(state, &draft, now, true);
        state.checkpoint_count += 1;
        state.records_since_checkpoint = 0;
        state.last_checkpoint_at = self.store.clock.monotonic();
        appended
    }

    /// Encodes into the buffer. Room was made, so this cannot fail.
    fn place(
        &self,
        state: &mut AppendState,
        draft: &Draft,
        now: Timestamp,
        checkpoint: bool,
    ) -> Appended {
        let first_lsn = state.next_lsn;
        let commit_time = now.max(state.last_commit_time);
        let mut sequences = std::mem::take(&mut state.sequences);
        sequences.clear();
        assign_sequences(state, draft, first_lsn, commit_time, &mut sequences);
        let active = state.active.as_mut().expect("make_room left an active segment");
        let context = BatchContext {
            first_lsn,
            commit_time,
            durable_end: self.marks.durable(),
            prev_hash: state.chain,
            crc: &active.segment.crc,
        };
        let start = state.buffer.bytes.len();
        let encoded = cairn_codec::encode_sealed(
            draft,
            &context,
            &sequences,
            &mut state.scratch,
            active.segment.sealer.as_ref(),
            &mut state.buffer.bytes,
        );
        let encoded = encoded.expect("a segment has fewer batches than its cipher has counters");
        let stored_len = state.buffer.bytes.len() - start;
        let records = draft.len() as u64;
        let end_lsn = Lsn::new(first_lsn.get() + records);
        state.buffer.batches.push(PendingBatch {
            first_lsn,
            position: active.end,
            records: u32::try_from(records).expect("a batch is limited to fewer records"),
            commit_time,
            checkpoint,
            has_keys: draft.records().iter().any(|record| is_about_keys(record.kind)),
        });
        let counters = &self.store.counters;
        counters.batches.increment(1);
        counters.records.increment(records);
        counters.written_bytes.increment(stored_len as u64);
        active.end += stored_len as u64;
        active.batch_count += 1;
        state.next_lsn = end_lsn;
        state.chain = encoded.chain;
        state.last_commit_time = commit_time;
        state.records_since_checkpoint += records;
        let appended = Appended {
            first_lsn,
            end_lsn,
            commit_time,
            sequences: Sequences::from_slice(&sequences),
            chain: encoded.chain,
        };
        state.sequences = sequences;
        appended
    }
}

/// Resolves every record's sequence, advances the streams, and notes what the index needs.
fn assign_sequences(
    state: &mut AppendState,
    draft: &Draft,
    first_lsn: Lsn,
    commit_time: Timestamp,
    sequences: &mut Vec<u64>,
) {
    // Consecutive records mostly share a stream: look the counter up once a run.
    let mut run: Option<(StreamId, u64)> = None;
    for (lsn, record) in (first_lsn.get()..).zip(draft.records()) {
        let mut next = match run {
            Some((stream, next)) if stream == record.stream => next,
            _ => {
                if let Some((stream, next)) = run {
                    state.next_sequence.insert(stream, next);
                }
                state.next_sequence.get(&record.stream).copied().unwrap_or(0)
            }
        };
        let sequence = match record.sequence {
            SequenceRule::Next => next,
            SequenceRule::At(sequence) => sequence,
        };
        if record.kind.is_sequenced() || record.sequence == SequenceRule::Next {
            next = next.max(sequence + 1);
        }
        if record.kind.is_sequenced() {
            state.buffer.records.push(PendingRecord {
                stream: record.stream,
                sequence,
                lsn: Lsn::new(lsn),
                timestamp: record.timestamp.unwrap_or(commit_time),
            });
        }
        run = Some((record.stream, next));
        sequences.push(sequence);
    }
    if let Some((stream, next)) = run {
        state.next_sequence.insert(stream, next);
    }
}

/// Checks what needs no lock, and says whether sequences were chosen that streams are found by.
fn check_limits(draft: &Draft) -> Result<bool> {
    if draft.is_empty() {
        return Err(Error::Invalid { what: "batch", reason: "it holds no record".into() });
    }
    let (found, limit) = (draft.len() as u64, limits::MAX_BATCH_RECORDS as u64);
    if found > limit {
        return Err(Error::TooLarge { what: "records of a batch", found, limit });
    }
    let (found, limit) = (draft.encoded_len_max() as u64, limits::MAX_BATCH_RAW_LEN as u64);
    if found > limit {
        return Err(Error::TooLarge { what: "bytes of a batch", found, limit });
    }
    let mut chosen = false;
    for record in draft.records() {
        let sequence = match record.sequence {
            SequenceRule::At(sequence) if record.kind.is_sequenced() => Some(sequence),
            _ => None,
        };
        chosen |= sequence.is_some();
        if sequence.is_some_and(|sequence| sequence > CHOSEN_MAX)
            || record.kind == RecordKind::DROPPED
        {
            return Err(Error::Invalid {
                what: "record",
                reason: "its kind or sequence is reserved".into(),
            });
        }
    }
    Ok(chosen)
}

/// Chosen sequences may leave gaps, but never go back: streams are searched by them.
fn check_chosen(next_sequence: &NextSequences, draft: &Draft) -> Result<()> {
    let mut ahead = NextSequences::default();
    for record in draft.records() {
        let known = || next_sequence.get(&record.stream).copied().unwrap_or(0);
        let next = ahead.entry(record.stream).or_insert_with(known);
        match record.sequence {
            SequenceRule::Next => *next += 1,
            SequenceRule::At(sequence) if record.kind.is_sequenced() => {
                if sequence < *next {
                    let (stream, actual) = (record.stream, *next);
                    return Err(Error::SequenceConflict { stream, expected: sequence, actual });
                }
                *next = sequence + 1;
            }
            SequenceRule::At(_) => {}
        }
    }
    Ok(())
}

fn debug_check(state: &MutexGuard<'_, AppendState>) {
    if cfg!(debug_assertions) {
        state.check_invariants();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_sequence_is_one_like_any_other() {
        let one = Sequences::from_slice(&[u64::MAX]);
        assert_eq!(one, Sequences::Consecutive { first: u64::MAX, count: 1 });
        assert_eq!(one.get(0), Some(u64::MAX));
        let both = Sequences::from_slice(&[u64::MAX, 0]);
        assert_eq!((both.get(0), both.get(1), both.get(2)), (Some(u64::MAX), Some(0), None));
    }
}
