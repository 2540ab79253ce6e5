//! The tables of a store by level. Derived. Immutable: an edit makes a new list.
//!
//! Level 0 holds what was flushed, newest first, and its tables overlap. The tables of every
//! other level do not, and each level is allowed ten times as much as the one above.

use std::ops::Bound;
use std::sync::Arc;

use cairn_index::key_hash;

use crate::Result;
use crate::bounds::{Bounds, successor};
use crate::entry::EntryRef;
use crate::merge::Merge;
use crate::table::Table;

/// All tables.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    /// Changes with every edit.
    pub(crate) generation: u64,
    /// Never empty lists at the end.
    pub(crate) levels: Vec<Vec<Arc<Table>>>,
    /// For each level but the first: the weights of all tables before one.
    sums: Vec<Vec<i64>>,
}

impl Levels {
    pub(crate) fn new(generation: u64, mut levels: Vec<Vec<Arc<Table>>>) -> Self {
        while levels.last().is_some_and(Vec::is_empty) {
            levels.pop();
        }
        let sums = levels
            .iter()
            .map(|tables| {
                let mut sum = 0;
                let before = tables.iter().map(|table| {
                    sum += table.facts.weight;
                    sum - table.facts.weight
                });
                let mut sums: Vec<i64> = before.collect();
                sums.push(sum);
                sums
            })
            .collect();
        Self { generation, levels, sums }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// Every table with its level.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (u8, &Arc<Table>)> {
        let levels = self.levels.iter().enumerate();
        levels.flat_map(|(level, tables)| {
            let level = u8::try_from(level).expect("there are few levels");
            tables.iter().map(move |table| (level, table))
        })
    }

    pub(crate) fn level_len(&self, level: usize) -> u64 {
        let tables = self.levels.get(level).map_or(&[][..], |tables| tables);
        tables.iter().map(|table| table.facts.len).sum()
    }

    /// Sums over all tables: bytes, versions, weight.
    pub(crate) fn totals(&self) -> (u64, u64, i64) {
        self.tables().fold((0, 0, 0), |(len, versions, weight), (_, table)| {
            let facts = &table.facts;
            (len + facts.len, versions + facts.versions, weight + facts.weight)
        })
    }

    /// Calls `each` with the versions of a key from the newest that is not newer than
    /// `sequence`, until it says stop.
    pub(crate) fn versions(
        &self,
        key: &[u8],
        sequence: u64,
        mut each: impl FnMut(&EntryRef<'_>) -> bool,
    ) -> Result<()> {
        let hash = key_hash(key);
        let mut go_on = true;
        for (level, tables) in self.levels.iter().enumerate() {
            for table in candidates(level, tables, key) {
                if !table.spans(key) || !table.may_contain(hash)? {
                    continue;
                }
                table.versions(key, sequence, |entry| {
                    go_on = each(entry);
                    go_on
                })?;
                if !go_on {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Calls `look` with the newest version of a key that is not newer than `sequence`; says
    /// whether there is one.
    pub(crate) fn get(
        &self,
        key: &[u8],
        sequence: u64,
        look: &mut dyn FnMut(&EntryRef<'_>),
    ) -> Result<bool> {
        let hash = key_hash(key);
        for (level, tables) in self.levels.iter().enumerate() {
            for table in candidates(level, tables, key) {
                if table.spans(key) && table.may_contain(hash)? && table.get(key, sequence, look)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// All tables as one ordered stream.
    pub(crate) fn merge(&self) -> Merge {
        let first = self.levels.first().into_iter().flatten().map(|table| vec![table.clone()]);
        Merge::new(first.chain(self.levels.iter().skip(1).cloned()))
    }

    /// How many keys of a range exist, as far as the tables know.
    pub(crate) fn weight(&self, bounds: &Bounds<'_>) -> Result<i64> {
        let start = match bounds.0 {
            Bound::Unbounded => None,
            Bound::Included(key) => Some(key.to_vec()),
            Bound::Excluded(key) => Some(successor(key)),
        };
        let end = match bounds.1 {
            Bound::Unbounded => None,
            Bound::Excluded(key) => Some(key.to_vec()),
            Bound::Included(key) => Some(successor(key)),
        };
        let mut sum = 0;
        for (level, tables) in self.levels.iter().enumerate() {
            let all = self.sums.get(level).and_then(|sums| sums.last()).copied().unwrap_or(0);
            sum += match &end {
                None => all,
                Some(end) => self.below(level, tables, end)?,
            };
            if let Some(start) = &start {
                sum -= self.below(level, tables, start)?;
            }
        }
        Ok(sum)
    }

    fn below(&self, level: usize, tables: &[Arc<Table>], key: &[u8]) -> Result<i64> {
        if level == 0 {
            let mut sum = 0;
            for table in tables {
                sum += table.weight_below(key)?;
            }
            return Ok(sum);
        }
        let at = tables.partition_point(|table| &*table.facts.last_key < key);
        let before = self.sums.get(level).and_then(|sums| sums.get(at)).copied().unwrap_or(0);
        Ok(before + tables.get(at).map_or(Ok(0), |table| table.weight_below(key))?)
    }

    /// The last key below this one that a table has a version of; `None` stands for the end.
    pub(crate) fn last_key_below(&self, key: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let mut last: Option<Vec<u8>> = None;
        for (level, tables) in self.levels.iter().enumerate() {
            let below = |table: &&Arc<Table>| key.is_none_or(|key| &*table.facts.first_key < key);
            let candidates: Vec<&Arc<Table>> = match level {
                0 => tables.iter().filter(below).collect(),
                _ => tables.iter().take_while(below).last().into_iter().collect(),
            };
            for table in candidates {
                let found = crate::table::TableCursor::new(table.clone()).last_key_below(key)?;
                last = last.max(found);
            }
        }
        Ok(last)
    }
}

/// The tables of a level that may hold a key.
fn candidates<'t>(level: usize, tables: &'t [Arc<Table>], key: &[u8]) -> &'t [Arc<Table>] {
    if level == 0 {
        return tables;
    }
    let at = tables.partition_point(|table| &*table.facts.last_key < key);
    tables.get(at..=at).unwrap_or_default()
}
