//! One ordered stream out of many tables. Derived.

use std::sync::Arc;

use crate::Result;
use crate::entry::EntryRef;
use crate::table::{Table, TableCursor};

/// A run of tables that do not overlap, in order of their keys.
#[derive(Debug)]
struct Run {
    tables: Vec<Arc<Table>>,
    /// The table that the cursor is in.
    at: usize,
    cursor: Option<TableCursor>,
}

impl Run {
    fn entry(&self) -> Option<EntryRef<'_>> {
        self.cursor.as_ref()?.entry()
    }

    fn seek(&mut self, key: &[u8], sequence: u64) -> Result<()> {
        self.at = self.tables.partition_point(|table| &*table.facts.last_key < key);
        self.cursor = self.tables.get(self.at).map(|table| TableCursor::new(table.clone()));
        if let Some(cursor) = &mut self.cursor {
            cursor.seek(key, sequence)?;
        }
        self.settle()
    }

    fn advance(&mut self) -> Result<()> {
        if let Some(cursor) = &mut self.cursor {
            cursor.advance()?;
        }
        self.settle()
    }

    /// Goes on to the next table at the end of one.
    fn settle(&mut self) -> Result<()> {
        while let Some(cursor) = &self.cursor
            && cursor.entry().is_none()
        {
            self.at += 1;
            self.cursor = self.tables.get(self.at).map(|table| TableCursor::new(table.clone()));
            if let Some(cursor) = &mut self.cursor {
                cursor.go_to_group(0)?;
            }
        }
        Ok(())
    }
}

/// The first bytes of a key as a number: of two keys with different heads, the one with the smaller
/// head is first.
fn head(key: &[u8]) -> u128 {
    if let Some(head) = key.first_chunk::<16>() {
        return u128::from_be_bytes(*head);
    }
    let mut head = [0; 16];
    head.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    u128::from_be_bytes(head)
}

/// Merges runs by key, and the versions of a key from the newest on.
#[derive(Debug)]
pub(crate) struct Merge {
    runs: Vec<Run>,
    /// For each run the head of the key it stands on: two runs are mostly told apart by it.
    heads: Vec<u128>,
    least: Option<usize>,
    /// The run that is next after the least: as long as the least stays before it, nothing else
    /// has to be compared.
    second: Option<usize>,
}

impl Merge {
    pub(crate) fn new(runs: impl IntoIterator<Item = Vec<Arc<Table>>>) -> Self {
        let runs = runs.into_iter().map(|tables| Run { tables, at: 0, cursor: None });
        let runs: Vec<Run> = runs.collect();
        Self { heads: vec![u128::MAX; runs.len()], runs, least: None, second: None }
    }

    /// Moves to the first version that is not before this key and sequence.
    pub(crate) fn seek(&mut self, key: &[u8], sequence: u64) -> Result<()> {
        for (run, at) in self.runs.iter_mut().zip(&mut self.heads) {
            run.seek(key, sequence)?;
            *at = run.entry().map_or(u128::MAX, |entry| head(entry.key));
        }
        self.choose();
        Ok(())
    }

    /// Moves on.
    pub(crate) fn advance(&mut self) -> Result<()> {
        let Some(least) = self.least else { return Ok(()) };
        let (Some(run), Some(at)) = (self.runs.get_mut(least), self.heads.get_mut(least)) else {
            return Ok(());
        };
        run.advance()?;
        let entry = run.entry();
        *at = entry.map_or(u128::MAX, |entry| head(entry.key));
        let stays =
            entry.is_some() && self.second.is_none_or(|second| self.is_before(least, second));
        if !stays {
            self.choose();
        }
        Ok(())
    }

    /// Whether what one run stands on is before what another does.
    fn is_before(&self, run: usize, other: usize) -> bool {
        let (head, other_head) = (self.heads.get(run), self.heads.get(other));
        if head != other_head {
            return head < other_head;
        }
        let entry = |run: usize| self.runs.get(run).and_then(Run::entry);
        match (entry(run), entry(other)) {
            (Some(entry), Some(other)) => entry.is_before(other.key, other.sequence),
            (entry, _) => entry.is_some(),
        }
    }

    fn choose(&mut self) {
        let (mut least, mut second) = (None, None);
        for run in (0..self.runs.len()).filter(|run| self.runs[*run].entry().is_some()) {
            if least.is_none_or(|least| self.is_before(run, least)) {
                second = least.replace(run);
            } else if second.is_none_or(|second| self.is_before(run, second)) {
                second = Some(run);
            }
        }
        (self.least, self.second) = (least, second);
    }

    /// The version it stands on.
    pub(crate) fn entry(&self) -> Option<EntryRef<'_>> {
        self.runs.get(self.least?)?.entry()
    }
}
