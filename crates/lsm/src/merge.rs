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

/// Merges runs by key, and the versions of a key from the newest on.
#[derive(Debug)]
pub(crate) struct Merge {
    runs: Vec<Run>,
    least: Option<usize>,
    /// The run that is next after the least: as long as the least stays before it, nothing else
    /// has to be compared.
    second: Option<usize>,
}

impl Merge {
    pub(crate) fn new(runs: impl IntoIterator<Item = Vec<Arc<Table>>>) -> Self {
        let runs = runs.into_iter().map(|tables| Run { tables, at: 0, cursor: None });
        Self { runs: runs.collect(), least: None, second: None }
    }

    /// Moves to the first version that is not before this key and sequence.
    pub(crate) fn seek(&mut self, key: &[u8], sequence: u64) -> Result<()> {
        for run in &mut self.runs {
            run.seek(key, sequence)?;
        }
        self.choose();
        Ok(())
    }

    /// Moves on.
    pub(crate) fn advance(&mut self) -> Result<()> {
        let Some(run) = self.least.and_then(|least| self.runs.get_mut(least)) else {
            return Ok(());
        };
        run.advance()?;
        let stays = match (self.run_entry(self.least), self.run_entry(self.second)) {
            (Some(_), None) => true,
            (Some(least), Some(second)) => least.is_before(second.key, second.sequence),
            (None, _) => false,
        };
        if !stays {
            self.choose();
        }
        Ok(())
    }

    fn run_entry(&self, run: Option<usize>) -> Option<EntryRef<'_>> {
        self.runs.get(run?)?.entry()
    }

    fn choose(&mut self) {
        let mut least: Option<(usize, EntryRef<'_>)> = None;
        let mut second: Option<(usize, EntryRef<'_>)> = None;
        let is_less = |entry: &EntryRef<'_>, than: &Option<(usize, EntryRef<'_>)>| {
            than.as_ref().is_none_or(|(_, than)| entry.is_before(than.key, than.sequence))
        };
        for (index, run) in self.runs.iter().enumerate() {
            let Some(entry) = run.entry() else { continue };
            if is_less(&entry, &least) {
                second = least.replace((index, entry));
            } else if is_less(&entry, &second) {
                second = Some((index, entry));
            }
        }
        let (least, second) = (least.map(|(index, _)| index), second.map(|(index, _)| index));
        (self.least, self.second) = (least, second);
    }

    /// The version it stands on.
    pub(crate) fn entry(&self) -> Option<EntryRef<'_>> {
        self.run_entry(self.least)
    }
}
