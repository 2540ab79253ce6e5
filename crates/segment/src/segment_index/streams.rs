//! Stream and sequence to LSN, as runs: consecutive sequences at consecutive LSNs take one
//! entry, so a log of one stream costs next to nothing. Derived.

use std::collections::BTreeMap;

use cairn_types::{Lsn, StreamId, Timestamp};

/// Longest run: bounds the scan after a search by time.
pub(crate) const RUN_LEN_MAX: u32 = 1024;

/// Consecutive sequences at consecutive LSNs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) sequence: u64,
    pub(crate) lsn: Lsn,
    pub(crate) len: u32,
    /// Latest time of this and all earlier runs of the stream in the segment.
    pub(crate) max_time: Timestamp,
}

impl Run {
    /// Sequence after the last.
    pub(crate) fn end(&self) -> u64 {
        self.sequence + u64::from(self.len)
    }

    /// LSN of a sequence within the run.
    pub(crate) fn lsn_of(&self, sequence: u64) -> Lsn {
        Lsn::new(self.lsn.get() + (sequence - self.sequence))
    }
}

/// Runs of every stream of a segment, by sequence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct StreamRuns {
    by_stream: BTreeMap<StreamId, Vec<Run>>,
}

impl StreamRuns {
    /// Adds a record; sequences of a stream grow.
    pub(crate) fn push(&mut self, stream: StreamId, sequence: u64, lsn: Lsn, time: Timestamp) {
        let runs = self.by_stream.entry(stream).or_default();
        let before = runs.last().map_or(Timestamp::MIN, |run| run.max_time);
        if let Some(last) = runs.last_mut()
            && last.len < RUN_LEN_MAX
            && last.end() == sequence
            && last.lsn_of(sequence) == lsn
        {
            last.len += 1;
            last.max_time = before.max(time);
            return;
        }
        runs.push(Run { sequence, lsn, len: 1, max_time: before.max(time) });
    }

    pub(crate) fn runs(&self, stream: StreamId) -> &[Run] {
        self.by_stream.get(&stream).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (StreamId, &[Run])> {
        self.by_stream.iter().map(|(stream, runs)| (*stream, runs.as_slice()))
    }

    pub(crate) fn insert(&mut self, stream: StreamId, runs: Vec<Run>) {
        self.by_stream.insert(stream, runs);
    }

    /// The first run that ends after `sequence`: it holds it, or it comes next.
    pub(crate) fn at_or_after(&self, stream: StreamId, sequence: u64) -> Option<(usize, Run)> {
        let runs = self.runs(stream);
        let index = runs.partition_point(|run| run.end() <= sequence);
        runs.get(index).map(|run| (index, *run))
    }

    /// The greatest sequence up to `sequence` whose record lies before `end`.
    pub(crate) fn at_or_before(&self, stream: StreamId, sequence: u64, end: Lsn) -> Option<u64> {
        let begins = |run: &Run| run.sequence <= sequence && run.lsn < end;
        let runs = self.runs(stream);
        let run = runs.get(runs.partition_point(begins).checked_sub(1)?)?;
        let before_end = run.sequence.saturating_add(end.get() - run.lsn.get() - 1);
        Some(sequence.min(run.end() - 1).min(before_end))
    }

    /// The first run that may hold a record at or after `time`.
    pub(crate) fn at_time(&self, stream: StreamId, time: Timestamp) -> Option<Run> {
        let runs = self.runs(stream);
        runs.get(runs.partition_point(|run| run.max_time < time)).copied()
    }

    pub(crate) fn next_sequences(&self) -> impl Iterator<Item = (StreamId, u64)> {
        self.by_stream.iter().filter_map(|(stream, runs)| Some((*stream, runs.last()?.end())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_record_is_found_like_in_a_map(
            records in proptest::collection::vec((0_u32..3, 1_u64..3, -5_i64..5), 0..3000),
        ) {
            let mut runs = StreamRuns::default();
            let mut model: BTreeMap<(u32, u64), Lsn> = BTreeMap::new();
            let mut next = [0_u64; 3];
            let mut times: Vec<Vec<(u64, i64)>> = vec![Vec::new(); 3];
            for (lsn, (stream, gap, time)) in records.iter().enumerate() {
                let sequence = next[*stream as usize] + gap - 1;
                next[*stream as usize] = sequence + 1;
                let lsn = Lsn::new(lsn as u64);
                runs.push(StreamId::new(*stream), sequence, lsn, Timestamp::from_micros(*time));
                model.insert((*stream, sequence), lsn);
                times[*stream as usize].push((sequence, *time));
            }
            for stream in 0..3_u32 {
                let id = StreamId::new(stream);
                for sequence in 0..next[stream as usize] + 2 {
                    let ceil = model.range((stream, sequence)..(stream + 1, 0)).next();
                    let found = runs.at_or_after(id, sequence).map(|(_, run)| {
                        let at = sequence.max(run.sequence);
                        (at, run.lsn_of(at))
                    });
                    prop_assert_eq!(found, ceil.map(|((_, s), lsn)| (*s, *lsn)));
                    let floor = model.range((stream, 0)..=(stream, sequence)).next_back();
                    let found = runs.at_or_before(id, sequence, Lsn::MAX);
                    prop_assert_eq!(found, floor.map(|((_, s), _)| *s));
                    let end = Lsn::new(records.len() as u64 / 2);
                    let floor = model.range((stream, 0)..=(stream, sequence));
                    let floor = floor.rev().find(|(_, lsn)| **lsn < end);
                    let found = runs.at_or_before(id, sequence, end);
                    prop_assert_eq!(found, floor.map(|((_, s), _)| *s));
                }
                for time in -6..6 {
                    let first = times[stream as usize].iter().find(|(_, t)| *t >= time);
                    let run = runs.at_time(id, Timestamp::from_micros(time));
                    match (first, run) {
                        (None, None) => {}
                        (Some((sequence, _)), Some(run)) => {
                            prop_assert!(run.sequence <= *sequence && *sequence < run.end());
                        }
                        other => prop_assert!(false, "{:?}", other),
                    }
                }
            }
        }
    }
}
