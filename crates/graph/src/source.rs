//! Where a graph is read from: one revision, or a transaction. Holds nothing.

use cairndb::keys::{Range, RangeRequest};
use cairndb::prelude::{Keyspace, Transaction};
use cairndb::types::Bytes;

use crate::Result;

/// Something that keys can be read from.
pub(crate) trait Source {
    /// The value of a key.
    fn get(&mut self, key: Vec<u8>) -> Result<Option<Bytes>>;

    /// Calls `each` with every key of a range in order until it says stop.
    fn walk(
        &mut self,
        range: Range,
        each: &mut dyn FnMut(&[u8], Bytes) -> Result<bool>,
    ) -> Result<()>;

    /// Whether a key is there.
    fn has(&mut self, key: Vec<u8>) -> Result<bool> {
        Ok(self.get(key)?.is_some())
    }
}

/// Keys read at a time.
const PAGE: usize = 256;

/// One revision.
#[derive(Debug, Clone)]
pub(crate) struct Past {
    pub(crate) space: Keyspace,
    pub(crate) revision: u64,
}

impl Source for Past {
    fn get(&mut self, key: Vec<u8>) -> Result<Option<Bytes>> {
        Ok(self.space.get_at(key, self.revision)?.map(|kv| kv.value))
    }

    fn walk(
        &mut self,
        range: Range,
        each: &mut dyn FnMut(&[u8], Bytes) -> Result<bool>,
    ) -> Result<()> {
        let request = RangeRequest::new(self.space.stream(), range).at(self.revision);
        // Counting what is left of the range would cost more than the page.
        let mut request = RangeRequest { without_count: true, ..request.limit(PAGE) };
        loop {
            let page = self.space.range(&request)?;
            let last = page.kvs.last().map(|kv| kv.key.clone());
            for kv in page.kvs {
                if !each(&kv.key, kv.value)? {
                    return Ok(());
                }
            }
            let (true, Some(last)) = (page.more, last) else { return Ok(()) };
            request.range.key = [&last[..], &[0]].concat().into();
        }
    }
}

/// A transaction: its snapshot and its own writes.
#[derive(Debug)]
pub(crate) struct Own<'a> {
    pub(crate) space: &'a Keyspace,
    pub(crate) tx: &'a mut Transaction,
}

impl Source for Own<'_> {
    fn get(&mut self, key: Vec<u8>) -> Result<Option<Bytes>> {
        Ok(self.tx.get(self.space, key)?)
    }

    fn walk(
        &mut self,
        range: Range,
        each: &mut dyn FnMut(&[u8], Bytes) -> Result<bool>,
    ) -> Result<()> {
        for kv in self.tx.range(self.space, range)? {
            if !each(&kv.key, kv.value)? {
                break;
            }
        }
        Ok(())
    }
}
